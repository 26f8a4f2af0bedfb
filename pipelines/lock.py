"""Lock: one FauScan at a time writes in a workspace."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from schemas.errors import WorkspaceError


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Holds the workspace; the system lets go of it when the process ends, however it ends.

    Raises:
        WorkspaceError: another process holds it, or the folder can't be written.
    """
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
            raise WorkspaceError(f"{root}: another FauScan is at work here; wait until it ends, or stop it") from None
        yield
