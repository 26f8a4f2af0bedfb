"""Storage: opens a folder or URL with fsspec, and says in one line what is wrong with it."""

from __future__ import annotations

import os
import sys
from typing import Any
from urllib.parse import urlsplit

import fsspec
from fsspec.config import conf

S3_PROTOCOLS = ("s3", "s3a")
PART_BYTES = 16 * 2**20
"""Objects on S3 from twice this size on are written in parts, larger ones than this are read in parts."""
_PARTS_AT_ONCE = 4  # times PART_BYTES of memory in each process
_S3_CONFIG = {"connect_timeout": 5, "read_timeout": 15, "max_pool_connections": 32}
# botocore tries a request three times; s3fs goes on from there when an answer breaks off half way, and multiplies.
_S3_RETRIES = 2
_FOREIGN_ERRORS = {
    "botocore.exceptions": ("BotoCoreError", "ClientError"),
    "aiohttp": ("ClientError",),
    "urllib3.exceptions": ("HTTPError",),
}
_DENIED = "access denied ({said})", "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they are allowed to do"
_NO_CREDENTIALS = "no credentials", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
_SILENT = "the storage does not answer", "check the network and AWS_ENDPOINT_URL{where}"
_TROUBLE = {
    "NoSuchBucket": ("no such bucket", "create it, or correct its name"),
    "404": ("what answers there does not speak S3", "check AWS_ENDPOINT_URL"),
    **dict.fromkeys(("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "403"), _DENIED),
    **dict.fromkeys(("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"), _NO_CREDENTIALS),
    **dict.fromkeys(("ConnectionError", "ReadTimeoutError", "ConnectionClosedError", "FSTimeoutError"), _SILENT),
}
"""What it is and what would be right, by the code of S3's answer or the class of the exception."""


def open_storage(uri: str) -> tuple[Any, str]:
    """The file system of a path or URL, and the path in it.

    Whatever other processes write is seen at once: nothing of a listing is kept. Endpoint and credentials of S3 come from the
    environment, as everywhere.

    Raises:
        ValueError, ImportError: the protocol is unknown, or what it needs is not installed; `explain` makes a line of it.
    """
    options: dict[str, Any] = {}
    if uri.partition("://")[0] in S3_PROTOCOLS:
        config = {"retries": {"mode": os.environ.get("AWS_RETRY_MODE", "standard")}, **_S3_CONFIG}
        options = {
            "use_listings_cache": False,
            "default_block_size": PART_BYTES,
            "max_concurrency": _PARTS_AT_ONCE,
            "config_kwargs": {**config, **(conf.get("s3", {}).get("config_kwargs") or {})},
        }
    fs, root = fsspec.core.url_to_fs(uri, **options)
    if is_s3(fs):
        fs.retries = _S3_RETRIES
    return fs, root


def is_s3(fs: Any) -> bool:
    """Whether a file system is S3 or something that speaks like it."""
    return "s3" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)


def storage_errors() -> tuple[type[Exception], ...]:
    """What file systems raise when the storage is in trouble; for `except`. Those of packages that nobody imported can't occur."""
    loaded = [(sys.modules[module], names) for module, names in _FOREIGN_ERRORS.items() if module in sys.modules]
    return (OSError, ValueError, *(getattr(module, name) for module, names in loaded for name in names))


def is_missing(error: BaseException) -> bool:
    """Whether there is no such file. A bucket that is not there, or a server that knows no S3, is something else."""
    return isinstance(error, FileNotFoundError) and _code(error) in {None, "NoSuchKey", "NoSuchUpload"}


def summary(error: BaseException) -> str:
    """What went wrong, without addresses."""
    return _diagnosis(error)[0]


def explain(error: BaseException) -> str:
    """What went wrong, and what would be right; one line."""
    return "; ".join(part for part in _diagnosis(error) if part)


def _diagnosis(error: BaseException) -> tuple[str, str]:
    said = getattr(error, "strerror", None) or " ".join(str(error).split())[:200] or type(error).__name__
    for key in (_code(error), *(kind.__name__ for kind in type(error).__mro__)):
        if key in _TROUBLE:
            what, remedy = _TROUBLE[key]
            return what.format(said=said), remedy.format(where=_origin(getattr(error, "kwargs", {}).get("endpoint_url")))
    if isinstance(error, FileNotFoundError) and error.strerror is None:
        return "no such file", ""  # s3fs says the name only
    if isinstance(error, ImportError) and "s3fs" in said:
        return "s3:// needs the package s3fs", "pip install 'fauscan[s3]'"
    return said, "AWS_ENDPOINT_URL must be like https://host:port" if said.startswith("Invalid endpoint") else ""


def _code(error: BaseException) -> str | None:
    """The error code of S3's answer, where there was one."""
    response = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return str(code) if code is not None else None


def _origin(url: object) -> str:
    parts = urlsplit(url) if isinstance(url, str) else None
    return f" ({parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''} was asked)" if parts and parts.hostname else ""
