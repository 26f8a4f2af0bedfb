"""Lock: one FauScan at a time writes in a workspace."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from schemas.errors import BusyError, WorkspaceError

_HELD = "FAUSCAN_LOCK_HELD"


@contextlib.contextmanager
def locked(root: Path) -> Iterator[int]:
    """Holds the workspace; the system lets go of it when the process ends, however it ends.

    Yields:
        The descriptor that holds the lock, or -1 where the process that started this one holds it. A child that inherits the
        descriptor, and is told so by `told`, keeps the workspace held even when its parent is killed.

    Raises:
        BusyError: another process holds it.
        WorkspaceError: the folder can't be written.
    """
    if os.environ.get(_HELD) == str(root.absolute()):
        yield -1
        return
    path = root / "logs" / "lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8")  # opening leaves the file as it is
    except OSError as error:
        raise WorkspaceError(f"{root}: can't be written ({error.strerror}); a workspace must be writable") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"{root}: another FauScan is at work here; wait until it ends, or stop it") from None
        yield file.fileno()


def told(root: Path) -> dict[str, str]:
    """The environment for a child that works under its parent's lock."""
    return {**os.environ, _HELD: str(root.absolute())}
