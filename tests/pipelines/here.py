"""`fauscan run` without a process of its own: what it says and exits with is shown elsewhere, and an interpreter's start costs seconds."""

from __future__ import annotations

from pathlib import Path

from pipelines.lock import locked
from pipelines.whole import open_for_run, run_all
from pipelines.workspace import Workspace


def run_here(archive: Path, folder: Path, params: Path | None = None) -> Workspace:
    """Labels an archive by the local engine, as the command does. Its sandboxes are real, and stay for the next run."""
    workspace = open_for_run(str(archive), folder, "local", params)
    with locked(workspace.root):
        run_all(workspace)
    return workspace
