"""Demo: a workspace, a small archive, `dvc repro`, and where to look."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from pipelines.archive import absolute_uri
from pipelines.demo_archive import FORGERIES, build_demo_archive
from pipelines.initialise import commit_all, initialise
from pipelines.view import print_verdicts
from pipelines.workspace import Workspace
from schemas.errors import FauScanError, WorkspaceError

CLIPS_FOLDER = "archive"
"""Below the demo's workspace, and ignored by its git: clips belong to their makers."""


def run_demo(root: Path, archive: str | None) -> None:
    """Makes the workspace if it is not there, runs `dvc repro` in it, and prints verdicts and the report's path.

    Args:
        root: the workspace.
        archive: a folder or URL of the person's own; None builds the clips.

    Raises:
        FauScanError: wrong input, or `dvc repro` failed.
    """
    out, root = Console(), root.absolute()
    wanted = None if archive is None else absolute_uri(archive)
    if not (root / "params.yaml").is_file():
        out.print(f"Making the workspace {root}", soft_wrap=True, highlight=False)
        initialise(root, wanted or CLIPS_FOLDER, check=wanted is not None)
    workspace = Workspace.open(root)
    if workspace.params.archive.uri != (wanted or CLIPS_FOLDER):
        raise WorkspaceError(f"{root}: holds the labels of {workspace.params.archive.uri}; remove it (`make clean`) or give another folder")
    if wanted is None and build_demo_archive(root / CLIPS_FOLDER):
        out.print(f"Built {CLIPS_FOLDER}/: real clips, and {len(FORGERIES)} forgeries made of them (truth.json)", highlight=False)
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])}
    done = subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=root, env=environment, check=False)
    if done.returncode:
        raise FauScanError(f"`dvc repro` failed in {root}; what it said is above, and the same command goes on from there")
    changed = commit_all(root, "Labels")
    print_verdicts(workspace)
    if wanted is None:
        for forgery in FORGERIES:
            spans = [f"{kind} {a:g}-{b:g} s" for kind in ("audio", "visual") for a, b in getattr(forgery, f"{kind}_fake_segments")]
            out.print(f"  truth: {forgery.file} was forged ({forgery.what}: {', '.join(spans)})", highlight=False)
    if not changed:
        out.print("Nothing was recomputed: the archive, the parameters and the weights are the same as last time.")
    out.print(f"Report: {workspace.report}", soft_wrap=True, highlight=False)
