"""A hub on loopback: HEAD and ranged GET of files, with redirects to a storage of its own, and faults on demand."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

COMMIT = "5" * 40


@dataclass
class Hub:
    """What it holds, and how it misbehaves.

    Attributes:
        files: `repository/file` to bytes.
        cut_after: bytes of a body after which the connection is dropped, once for each entry; no more cuts when used up.
        down: every request is answered with 503.
        gated: every request is answered as for a repository that asks for consent.
        says: digest that it claims of every file, instead of the true one.
        small: files are handed out where they are asked for, without a digest, as the hub does with small ones.
        asked: method, path and range of what was asked for.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    cut_after: list[int] = field(default_factory=list)
    down: bool = False
    gated: bool = False
    says: str | None = None
    small: bool = False
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    url: str = ""

    def bodies(self) -> list[tuple[str, str, str | None]]:
        """Requests for bytes."""
        return [row for row in self.asked if row[0] == "GET"]


@contextlib.contextmanager
def served(hub: Hub) -> Iterator[Hub]:
    """Runs it in a thread, on a port that is free."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            hub.asked.append((self.command, self.path, self.headers.get("Range")))
            if hub.down:
                return self._end(503, {})
            if hub.gated:
                return self._end(403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "consent first"})
            stored = self.path.startswith("/storage/")
            name = self.path.removeprefix("/storage/") if stored else self.path[1:].replace(f"/resolve/{self._revision()}/", "/")
            data = hub.files.get(name)
            if data is None:
                return self._end(404, {"X-Error-Code": "EntryNotFound"})
            tag = hub.says or hashlib.sha256(data).hexdigest()
            if not stored and "/resolve/" in self.path and not hub.small:
                # As the hub does for large files: the facts here, the bytes on another host.
                facts = {"X-Repo-Commit": COMMIT, "ETag": '"0123"', "X-Linked-Etag": f'"{tag}"', "X-Linked-Size": str(len(data))}
                return self._end(302, facts | {"Location": f"{hub.url.replace('127.0.0.1', 'localhost')}/storage/{name}"})
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
            self.send_response(206 if start else 200)
            self.send_header("ETag", '"0123"')
            if not stored:
                self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(data) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.end_headers()
            if body:
                cut = hub.cut_after.pop(0) if hub.cut_after else len(data)
                self.wfile.write(data[start : start + cut])
                self.close_connection = start + cut < len(data)
            return None

        def _revision(self) -> str:
            return self.path.partition("/resolve/")[2].partition("/")[0]

        def _end(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
