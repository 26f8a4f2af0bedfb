"""Archive: lists the files of a folder or URL, and hands out their bytes as local files."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
from fsspec.callbacks import Callback
from fsspec.implementations.local import LocalFileSystem

from pipelines.storage import explain, is_missing, is_s3, open_storage, storage_errors, summary
from schemas.errors import ArchiveError
from schemas.reasons import Outcome, Reason
from schemas.tables import LISTING
from stages.contract import MediaError, table_from_columns

_STAMPS = ("ETag", "etag", "LastModified", "mtime", "created")
"""What file systems call the thing that changes when a file is replaced, best first."""


_MARK = "\N{REPLACEMENT CHARACTER}"


def absolute_uri(uri: str, root: Path = Path()) -> str:
    """A URL as it is; a folder, which may be relative to `root`, by the one name that has no `..` and no slash at its end."""
    return uri if "://" in uri or uri.startswith("memory:") else os.path.abspath(root / Path(uri).expanduser())  # noqa: PTH100


class Archive:
    """Files under one root, named by their path below it."""

    def __init__(self, uri: str, store_uri: str | None = None) -> None:
        """Opens nothing yet.

        Args:
            uri: a folder or an fsspec URL.
            store_uri: the workspace's store, which is not part of the archive even if it lies in it.

        Raises:
            ArchiveError: the protocol is unknown, or the package for it is not installed.
        """
        self.uri = uri
        self._store_uri = store_uri
        try:
            self._fs, self._root = open_storage(uri)
        except (ValueError, ImportError) as error:
            raise ArchiveError(f"archive {uri}: {explain(error)}") from None
        self._is_local = isinstance(self._fs, LocalFileSystem)

    @property
    def name(self) -> str:
        """Last part of the root: a title that does not give the machine away."""
        return PurePosixPath(self._root.rstrip("/")).name or self.uri

    def listing(self, leave_out: Path | None = None) -> pa.Table:
        """Rows of LISTING for every file, sorted by uri.

        Args:
            leave_out: a local folder that is skipped: the workspace, when it lies inside the archive.

        Raises:
            ArchiveError: no such folder or bucket, not a folder, or no file in it; or the storage refuses or does not answer.
        """
        try:
            found = self._local(leave_out) if self._is_local else self._remote()
        except storage_errors() as error:
            if is_missing(error):
                raise ArchiveError(f"archive {self.uri}: no such folder; give a folder or URL that exists") from None
            raise ArchiveError(f"archive {self.uri}: can't be listed: {error if self._is_local else explain(error)}") from None
        if not found:
            raise ArchiveError(f"archive {self.uri}: holds no files; give a folder with videos in it")
        found.sort()
        uris, sizes, stamps = zip(*found, strict=True)
        return table_from_columns({"uri": list(uris), "size_bytes": list(sizes), "stamp": list(stamps)}, LISTING)

    def _local(self, leave_out: Path | None) -> list[tuple[str, int, str]]:
        root = Path(self._root)
        if not root.exists():
            raise FileNotFoundError(root)
        if not root.is_dir():
            raise ArchiveError(f"archive {self.uri}: is a file; give the folder that holds it")
        skipped = {leave_out.resolve()} if leave_out else set()
        if root.resolve() in skipped:
            raise ArchiveError(f"archive {self.uri}: is the workspace itself; give the workspace a folder of its own")
        if self._store_uri and "://" not in self._store_uri:
            skipped.add(Path(self._store_uri).resolve())
            if root.resolve() in skipped:
                raise ArchiveError(f"archive {self.uri}: is the store itself; give store.uri a folder of its own")
        found: list[tuple[str, int, str]] = []

        # Links to folders are not followed: they make loops and lead out of the archive.
        def unreadable(error: OSError) -> None:
            if error.filename == str(root):
                raise error
            found.append((Path(error.filename).relative_to(root).as_posix(), 0, "unreadable"))

        for folder, folders, files in os.walk(root, onerror=unreadable):
            folders[:] = sorted(f for f in folders if Path(folder, f).resolve() not in skipped and f not in {".git", ".dvc"})
            for name in files:
                path = Path(folder, name)
                try:
                    facts = path.stat()
                except OSError:
                    found.append((path.relative_to(root).as_posix(), 0, "unreadable"))
                    continue
                found.append((path.relative_to(root).as_posix(), facts.st_size, str(facts.st_mtime_ns)))
        return _as_text(found)

    def _remote(self) -> list[tuple[str, int, str]]:
        self._fs.invalidate_cache()
        details: dict[str, Any] = self._fs.find(self._root, detail=True)
        root = self._root.rstrip("/")
        if root in details and is_s3(self._fs):
            raise ArchiveError(f"archive {self.uri}: is a file; give the folder that holds it")
        store = self._store_prefix()
        if store == f"{root}/":
            raise ArchiveError(f"archive {self.uri}: is the store itself; give store.uri a folder of its own")
        found = []
        for path, info in details.items():
            size_bytes = int(info.get("size") or 0)
            # Object stores have no folders: an empty object whose name ends in a slash stands for one.
            is_marker = path.endswith("/") and not size_bytes
            if info["type"] == "file" and not is_marker and not (store and path.startswith(store)):
                stamp = next((str(info[key]) for key in _STAMPS if info.get(key)), "")
                found.append((path.removeprefix(f"{root}/"), size_bytes, stamp))
        return found

    def _store_prefix(self) -> str | None:
        """How the names of the store's files begin, when it is on the same file system."""
        if self._store_uri is None or "://" not in self._store_uri:
            return None
        try:
            fs, root = open_storage(self._store_uri)
        except (ValueError, ImportError):
            return None  # the store says so itself
        return f"{root.rstrip('/')}/" if fs == self._fs else None

    def restless(self, uris: list[str], settle_s: float) -> set[str]:
        """Those of some files that changed within the last `settle_s` seconds, or will in the future by their clock.

        Object stores show an object only when it is whole: there, none is.
        """
        if not self._is_local:
            return set()
        now = time.time()
        found = set()
        for uri in uris:
            with contextlib.suppress(OSError, ValueError):
                facts = Path(self._root, uri).stat()
                # The system's own time of change too: copying tools set the other one back while they are still at work.
                if abs(now - max(facts.st_mtime, facts.st_ctime)) < settle_s:
                    found.add(uri)
        return found

    @contextlib.contextmanager
    def open_media(self, uri: str) -> Iterator[Path]:
        """A local file with the bytes of `uri`; a copy that is deleted afterwards when the archive is remote.

        Raises:
            MediaError: the file is gone, or may not be read, or lies outside the archive.
        """
        if ".." in PurePosixPath(uri).parts:
            raise MediaError(Reason.READ_FAILED, "a name must not contain '..'", Outcome.FILTERED)
        if self._is_local:
            path = Path(self._root, uri)
            try:
                # A pipe or a device would never end, or never begin.
                before = path.stat()
                if not stat.S_ISREG(before.st_mode):
                    raise MediaError(Reason.READ_FAILED, "not a regular file")
                with path.open("rb"):
                    pass
            except (OSError, ValueError) as error:
                raise MediaError(Reason.READ_FAILED, summary(error)) from None
            yield path
            with contextlib.suppress(OSError):
                after = path.stat()
                if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                    raise MediaError(Reason.CHANGED_DURING_READ, "somebody wrote to it meanwhile")
            return
        with tempfile.TemporaryDirectory(prefix="fauscan-") as folder:
            # The suffix stays: some demuxers look at it.
            path = Path(folder, "media" + PurePosixPath(uri).suffix[:16])
            self._download(uri, path)
            yield path

    def _download(self, uri: str, path: Path) -> None:
        """Copies a remote file.

        Raises:
            MediaError: it is gone, may not be read, or what came is not all of it.
        """
        if is_s3(self._fs) and "?versionId=" in uri:
            # s3fs would cut the name there and fetch another object.
            raise MediaError(Reason.READ_FAILED, "a name must not contain '?versionId='", Outcome.FILTERED)
        remote, progress = f"{self._root.rstrip('/')}/{uri}", Callback()
        try:
            facts = self._fs.info(remote) if is_s3(self._fs) else {}
            self._fs.get_file(remote, str(path), callback=progress)
        except storage_errors() as error:
            raise MediaError(Reason.READ_FAILED, summary(error)) from None
        # Counted, not measured: a part that came short leaves a hole in a file of the right length.
        if facts.get("type") == "file" and progress.value != facts["size"]:
            raise MediaError(Reason.READ_FAILED, f"{progress.value:,} of {facts['size']:,} bytes came")


def _as_text(found: list[tuple[str, int, str]]) -> list[tuple[str, int, str]]:
    """Names as text. A byte that is not UTF-8 becomes the replacement mark and its value: the file is listed, and fails.

    Where it would be called like another file, it gets one more mark: every file has a row of its own.
    """
    named, taken = [], set()
    for raw, size, stamp in sorted(found, key=lambda file: not _is_text(file[0])):
        name = "".join(f"{_MARK}{ord(c) - 0xDC00:02x}" if "\udc80" <= c <= "\udcff" else c for c in raw)
        while name in taken:
            name += _MARK
        taken.add(name)
        named.append((name, size, stamp))
    return named


def _is_text(name: str) -> bool:
    return not any("\udc80" <= c <= "\udcff" for c in name)


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or " ".join(str(error).split())[:200] or type(error).__name__
