"""Initialise: makes a workspace, a repository whose history is the history of one archive's labels."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import models
from pipelines.archive import absolute_uri
from pipelines.params_file import render
from pipelines.provenance import code_version
from pipelines.weights.records import write_lock
from schemas.errors import ArchiveError, WorkspaceError
from schemas.params import ArchiveParams, PipelineParams

_TEMPLATES = Path(__file__).parent / "templates"
_IGNORED = "/store/\n/compare/\n/logs/\n/archive/\n/out/\n.venv/\n__pycache__/\n"
_IDENTITY = {
    f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "FauScan"), ("EMAIL", "fauscan@localhost"))
}


def initialise(root: Path, archive_uri: str, check: bool = True) -> None:
    """Makes the folder, its git and DVC repositories, `dvc.yaml`, `params.yaml`, ignore rules, weights and the version pin; commits.

    A local archive is written down as an absolute path; with `check` off it is taken as it is, and need not exist yet.

    Raises:
        WorkspaceError: the folder already holds something, or git is not installed.
        ArchiveError: the archive is a local folder that does not exist.
    """
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise WorkspaceError(f"{root}: is not empty; give a new folder")
    if shutil.which("git") is None:
        raise WorkspaceError("git is not installed; a workspace keeps its history in git (Debian: apt install git)")
    uri = archive_uri
    if check and "://" not in uri:
        uri = absolute_uri(uri)
        if not Path(uri).is_dir():
            raise ArchiveError(f"archive {archive_uri}: no such folder; give a folder or URL that exists")
    root.mkdir(parents=True, exist_ok=True)
    _run(root, "git", "init", "-q", "-b", "main")
    _run(root, sys.executable, "-m", "dvc", "init", "-q")
    for key, value in (("core.analytics", "false"), ("core.check_update", "false"), ("core.autostage", "true")):
        _run(root, sys.executable, "-m", "dvc", "config", key, value)
    shutil.copy(_TEMPLATES / "dvc.yaml", root / "dvc.yaml")
    (root / "params.yaml").write_text(render(PipelineParams(archive=ArchiveParams(uri=uri))), encoding="utf-8")
    (root / ".gitignore").write_text(_IGNORED, encoding="utf-8")
    (root / ".dvcignore").write_text("/store\n/compare\n/logs\n/archive\n", encoding="utf-8")
    (root / "requirements.txt").write_text(f"fauscan=={code_version()}\n", encoding="utf-8")
    write_lock(root, {})
    (root / "models").mkdir()
    for file in sorted(Path(next(iter(models.__path__))).glob("lite*")):
        shutil.copy(file, root / "models" / file.name)
    commit_all(root, f"Workspace for {archive_uri}, FauScan {code_version()}")


def commit_all(root: Path, message: str) -> bool:
    """Commits whatever changed; returns whether anything had. Uses the person's own git identity where there is one."""
    _run(root, "git", "add", "-A")
    if subprocess.run(["git", "diff", "--cached", "--quiet"], cwd=root, check=False).returncode == 0:
        return False
    known = subprocess.run(["git", "config", "user.email"], cwd=root, check=False, capture_output=True).returncode == 0
    _run(root, "git", "commit", "-q", "-m", message, env=None if known else {**os.environ, **_IDENTITY})
    return True


def _run(root: Path, *command: str, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=root, env=env, check=False, capture_output=True, text=True)
    if done.returncode:
        raise WorkspaceError(f"{root}: `{' '.join(command)}` failed: {' '.join((done.stderr or done.stdout).split())[:300]}")
