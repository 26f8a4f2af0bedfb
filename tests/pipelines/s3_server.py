"""A real S3 server (moto) as a process on loopback, and a proxy before it that breaks its answers."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import os
import re
import subprocess
import sys
import threading
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from s3fs import S3FileSystem

CUT, SHORT, NEWLINE = "cut-off", "too-short", "newline-here"
"""Parts of names that the proxy acts on. moto knows no names with a newline: the proxy puts them in."""
PAGE = 50
"""Names in one answer to a listing; S3 itself gives a thousand."""


def _settings(url: str) -> dict[str, str]:
    """All that S3 clients look at; nothing of the person's own settings."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "AWS_CONFIG_FILE": f"{os.devnull}/none",
        "AWS_SHARED_CREDENTIALS_FILE": f"{os.devnull}/none",
    }


def point_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes an address that of S3, in this process and those that it starts."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, value in _settings(url).items():
        monkeypatch.setenv(name, value)
    S3FileSystem.clear_instance_cache()


@dataclass
class S3Server:
    """Where it is, and a client that knows nothing of fsspec: to our code it is another process."""

    url: str

    @property
    def client(self) -> Any:
        keys = {"aws_access_key_id": "somebody", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
        return boto3.client("s3", endpoint_url=self.url, **keys)

    def make_bucket(self) -> str:
        """An empty bucket that nobody else knows."""
        name = f"bucket-{uuid.uuid4().hex}"
        self.client.create_bucket(Bucket=name)
        return name

    @contextlib.contextmanager
    def asking_for_credentials(self) -> Iterator[None]:
        """Nobody is known to the server while this lasts."""
        self._let_pass("0")
        try:
            yield
        finally:
            self._let_pass("1e18")

    def _let_pass(self, requests: str) -> None:
        body, headers = requests.encode(), {"Content-Type": "text/plain"}
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/moto-api/reset-auth", body, headers, method="POST")):
            pass


@contextlib.contextmanager
def running() -> Iterator[S3Server]:
    """A server on a free port; it ends with the context."""
    command = [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    environment = {**os.environ, "MOTO_S3_DEFAULT_MAX_KEYS": str(PAGE)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = iter(process.stderr)
        found = next(match for line in said if (match := re.search(r"Running on (http://\S+)", line)))
        # Read to the end: a full pipe would stop the server.
        threading.Thread(target=lambda: [None for _ in said], daemon=True).start()
        yield S3Server(found[1])
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def breaking_proxy(server: S3Server) -> Iterator[str]:
    """Address of a proxy that hangs up in the middle of bodies, leaves off their ends, or renames (`CUT`, `SHORT`, `NEWLINE`)."""
    target = urlsplit(server.url)

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            back = http.client.HTTPConnection(str(target.hostname), target.port)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            back.request(self.command, self.path.replace("%0A", NEWLINE), headers=headers)
            answer = back.getresponse()
            body = answer.read()
            back.close()
            if "list-type" in self.path:
                body = body.replace(NEWLINE.encode(), b"%0A")
            if SHORT in self.path and self.command == "GET":
                body = body[:-1]
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if not re.match("content-length|connection|transfer-encoding|x-amz-checksum", name.lower()):
                    self.send_header(name, value)
            length = answer.getheader("content-length") if self.command == "HEAD" else str(len(body))
            self.send_header("Content-Length", length or "0")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if CUT in self.path else body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_address[1]}"
        proxy.shutdown()
