"""Shards: tar files whose bytes depend on nothing but their members."""

from __future__ import annotations

import io
import tarfile
from typing import BinaryIO

_BLOCK = 512


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """Appends a member: no owner, no clock."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = len(data), 0, 0o644
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    tar.addfile(entry, io.BytesIO(data))


def open_tar(file: BinaryIO) -> tarfile.TarFile:
    """An empty tar for `add`."""
    return tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT)


def size_of(members: list[tuple[str, bytes]]) -> int:
    """Bytes that members take in a tar, with their headers."""
    return sum(_BLOCK + -(-len(data) // _BLOCK) * _BLOCK for _, data in members)
