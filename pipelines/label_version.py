"""Label version: finds the labels that somebody names, in a folder or in a commit of the workspace's repository."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import yaml

from pipelines.parquet import read_frame, scan_frames
from schemas.errors import WorkspaceError
from schemas.tables import INVENTORY, LABELS, PROVENANCE, SEGMENTS
from stages.contract import as_frame

_TABLES = ("data/labels", "data/segments.parquet", "data/provenance.parquet", "data/inventory.parquet")
_MADE_BY = "fauscan label"


@dataclass(frozen=True, slots=True)
class LabelVersion:
    """The tables beside one `labels` folder. All but the labels may be missing, and are empty then."""

    name: str
    """As the person named it."""
    identity: str
    """Equal for two names of the same thing."""
    data: Path

    def labels(self) -> pl.LazyFrame:
        """Rows of LABELS."""
        return scan_frames(self._label_files(), _MADE_BY, LABELS)

    def segments(self) -> pl.DataFrame:
        """Rows of SEGMENTS."""
        return self._table("segments", SEGMENTS)

    def provenance(self) -> pl.DataFrame:
        """Rows of PROVENANCE."""
        return self._table("provenance", PROVENANCE)

    def inventory(self) -> pl.DataFrame:
        """Rows of INVENTORY."""
        return self._table("inventory", INVENTORY)

    def params(self) -> dict[str, Any]:
        """`section.key` to value, from the params.yaml beside `data/`; empty where there is none that can be read."""
        try:
            raw = yaml.safe_load((self.data.parent / "params.yaml").read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            return {}
        sections = raw.items() if isinstance(raw, dict) else ()
        return {f"{name}.{key}": value for name, section in sections if isinstance(section, dict) for key, value in section.items()}

    def _label_files(self) -> list[Path]:
        return sorted((self.data / "labels").glob("*.parquet"))

    def _table(self, name: str, schema: pa.Schema) -> pl.DataFrame:
        path = self.data / f"{name}.parquet"
        return read_frame(path, _MADE_BY, schema) if path.is_file() else as_frame(schema.empty_table())


@contextlib.contextmanager
def open_version(wanted: str, workspace: Path) -> Iterator[LabelVersion]:
    """The labels that a word on the command line means; what has to be taken out of git and DVC lies in a temporary folder meanwhile.

    Args:
        wanted: a workspace, its `data` folder, or another folder with `labels` in it; `.` is the workspace itself; else a revision
            of the repository that the workspace is in: commit, branch, tag, `HEAD~1`.
        workspace: where revisions are looked up.

    Raises:
        WorkspaceError: neither a folder nor a revision, or one without labels, or labels whose bytes are not on this machine.
    """
    folder = workspace if wanted == "." else Path(wanted).expanduser()
    if folder.is_dir():
        yield _in_folder(wanted, folder.resolve())
        return
    commit = _commit(wanted, workspace)
    with tempfile.TemporaryDirectory(prefix="fauscan-diff-") as temporary:
        yield LabelVersion(wanted, commit, _take_out(wanted, commit, workspace, Path(temporary)))


def _in_folder(name: str, folder: Path) -> LabelVersion:
    for data in (folder / "data", folder):
        if any((data / "labels").glob("*.parquet")):
            return LabelVersion(name, str(data), data)
    raise WorkspaceError(f"{name}: holds no labels (looked for data/labels and labels); `fauscan run` or `dvc repro` makes them")


def _commit(revision: str, workspace: Path) -> str:
    where = "neither a folder nor"
    if not workspace.is_dir():
        raise WorkspaceError(f"{workspace}: no such folder; -w names the workspace in whose repository revisions are looked up")
    if not _ok(_git(workspace, "rev-parse", "--git-dir")):
        raise WorkspaceError(f"{revision}: {where} a revision, as {workspace} is in no git repository; give two folders, or -w WORKSPACE")
    found = _git(workspace, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if not _ok(found):
        raise WorkspaceError(f"{revision}: {where} a revision of the repository of {workspace}; `git log --oneline` lists them")
    return found.stdout.strip()


def take_out(revision: str, workspace: Path, temporary: Path, wanted: Callable[[str], bool]) -> Path:
    """The workspace as it was in a revision, in a clone below `temporary`, with those outputs of DVC whose path is wanted.

    Raises:
        WorkspaceError: no such revision, or outputs whose bytes are not on this machine.
    """
    return _clone(revision, _commit(revision, workspace), workspace, temporary, wanted)


def _take_out(name: str, commit: str, workspace: Path, temporary: Path) -> Path:
    root = _clone(name, commit, workspace, temporary, lambda path: path in _TABLES)
    if not any((root / "data" / "labels").glob("*.parquet")):
        raise WorkspaceError(f"{name}: that commit holds no labels; commit after `dvc repro`, and dvc.lock says which labels it made")
    return root / "data"


def _clone(name: str, commit: str, workspace: Path, temporary: Path, wanted: Callable[[str], bool]) -> Path:
    """Checks a commit out into a clone that borrows the objects and the DVC cache of the workspace's own repository.

    Not `git worktree`, which would leave a trace in the repository, and not `dvc get`, which asks the remote where there is one.
    """
    top = Path(_git(workspace, "rev-parse", "--show-toplevel").stdout.strip())
    clone = temporary / "clone"
    for command in (
        ("clone", "--quiet", "--shared", "--no-checkout", str(top), str(clone)),
        ("-C", str(clone), "checkout", "--quiet", "--detach", commit),
    ):
        done = _git(workspace, *command)
        if not _ok(done):
            raise WorkspaceError(f"{name}: git can't check it out: {_last_line(done)}")
    root = clone / workspace.resolve().relative_to(top.resolve())
    _check_out_outputs(name, root, workspace, clone, wanted)
    return root


def _check_out_outputs(name: str, root: Path, workspace: Path, clone: Path, wanted: Callable[[str], bool]) -> None:
    """Lets DVC put the commit's tables in their places, from the workspace's own cache."""
    outputs = [out for out in _locked_outputs(root / "dvc.lock") if wanted(out) and not (root / out).exists()]
    if not outputs:
        return
    dvc_root = next((folder for folder in (root, *root.parents) if (folder / ".dvc").is_dir() and folder.is_relative_to(clone)), None)
    if dvc_root is None:
        raise WorkspaceError(f"{name}: has a dvc.lock and no .dvc folder, so nobody knows where its labels are")
    settings = dvc_root / ".dvc" / "config.local"
    # Copies, whatever the workspace does: links would lend the cache's own files to a folder that is deleted.
    text = f'[core]\n    check_update = false\n[cache]\n    dir = {_cache_dir(workspace.resolve())}\n    type = "reflink,copy"\n'
    settings.write_text(text, encoding="utf-8")
    done = _dvc(root, "checkout", *outputs, site=clone.parent)
    if not _ok(done):
        missing = "missing-files" in done.stderr or "Is your cache up to date" in done.stderr
        raise WorkspaceError(
            f"{name}: the labels of that commit are not in the DVC cache of {workspace}; `dvc fetch --all-commits` brings those of every "
            f"commit, or check it out and run `dvc pull`"
            if missing
            else f"{name}: DVC can't check out its labels: {_last_line(done)}"
        )


@functools.cache  # DVC takes more than a second to start
def _cache_dir(workspace: Path) -> str:
    with tempfile.TemporaryDirectory(prefix="fauscan-diff-") as site:
        done = _dvc(workspace, "cache", "dir", site=Path(site))
    if not _ok(done):
        raise WorkspaceError(f"{workspace}: DVC does not say where its cache is: {_last_line(done)}")
    return done.stdout.strip()


def _locked_outputs(lock: Path) -> list[str]:
    """Paths of all outputs that a dvc.lock knows."""
    try:
        raw = yaml.safe_load(lock.read_text(encoding="utf-8"))
        return [out["path"] for stage in raw["stages"].values() for out in stage.get("outs", ())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise WorkspaceError(f"{lock.name} of that commit is damaged; `dvc repro` in it says more") from None


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Inside a hook, git points at the repository by variables, and would at this one whatever -C says.
    environment = {k: v for k, v in os.environ.items() if k not in {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"}}
    try:
        return subprocess.run(
            ["git", "-c", "core.hooksPath=/dev/null", *arguments], cwd=folder, env=environment, check=False, capture_output=True, text=True
        )
    except FileNotFoundError:
        raise WorkspaceError("git is not installed; without it only folders can be compared (Debian: apt install git)") from None


def _dvc(folder: Path, *arguments: str, site: Path) -> subprocess.CompletedProcess[str]:
    """`site`: where DVC keeps notes about this repository, which would pile up where it does by default."""
    environment = {**os.environ, "DVC_SITE_CACHE_DIR": str(site / "site"), "DVC_NO_ANALYTICS": "1"}
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)


def _ok(done: subprocess.CompletedProcess[str]) -> bool:
    return done.returncode == 0


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join((done.stderr or done.stdout).split())[:300]
