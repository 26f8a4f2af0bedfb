from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pipelines.label_version import open_version
from schemas.errors import WorkspaceError
from tests.pipelines.made_labels import write_data

VIDEOS = {"a.mp4": ["real", "fake", None]}


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=n", "-c", "user.email=e@localhost", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A workspace in a folder of a git repository, without DVC; its first commit has no labels, `labels-1` is the second."""
    top = tmp_path / "top"
    workspace = top / "inner" / "ws"
    workspace.mkdir(parents=True)
    git(top, "init", "-q")
    (workspace / "params.yaml").write_text("label: {smooth_ticks: 5}\nnothing: 3\n", encoding="utf-8")
    git(top, "add", "-A")
    git(top, "commit", "-qm", "none")
    write_data(workspace / "data", VIDEOS)
    git(top, "add", "-A")
    git(top, "commit", "-qm", "one")
    git(top, "tag", "labels-1")
    return workspace


@pytest.mark.parametrize("named", ["ws", "ws/data"])
def test_a_workspace_and_its_data_folder_are_the_same_labels(tmp_path: Path, named: str) -> None:
    write_data(tmp_path / "ws" / "data", VIDEOS)
    with open_version(str(tmp_path / named), tmp_path) as version, open_version(".", tmp_path / "ws") as here:
        assert version.identity == here.identity
        assert version.labels().collect()["label"].to_list() == VIDEOS["a.mp4"]
        assert version.inventory()["uri"].to_list() == ["a.mp4"]
        assert version.params() == {}


def test_labels_alone_are_enough(tmp_path: Path) -> None:
    data = write_data(tmp_path, VIDEOS)
    for name in ("inventory", "segments", "provenance"):
        (data / f"{name}.parquet").unlink()
    with open_version(str(tmp_path), tmp_path) as version:
        assert version.labels().collect().height == 3
        assert version.segments().is_empty()
        assert version.inventory().is_empty()


def test_a_revision_is_read_without_touching_the_repository(repository: Path) -> None:
    write_data(repository / "data", {"a.mp4": ["fake", "fake", "fake"]})
    with open_version("labels-1", repository) as version, open_version("HEAD", repository) as head:
        assert version.identity == head.identity
        assert version.labels().collect()["label"].to_list() == VIDEOS["a.mp4"]
        assert version.params() == {"label.smooth_ticks": 5}
        taken_out = version.data
    assert not taken_out.exists()
    assert len(list((repository.parents[1] / ".git").glob("worktrees/*"))) == 0
    with open_version(".", repository) as version:
        assert version.labels().collect()["label"].to_list() == ["fake"] * 3


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("labels-9", r"labels-9: neither a folder nor a revision of the repository of .*; `git log --oneline` lists them"),
        ("--all", r"--all: neither a folder nor a revision"),
        ("HEAD~1", r"HEAD~1: that commit holds no labels; commit after `dvc repro`"),
        ("../..", r"\.\./\.\.: holds no labels \(looked for data/labels and labels\)"),
    ],
)
def test_what_is_no_version_is_one_line(repository: Path, monkeypatch: pytest.MonkeyPatch, named: str, message: str) -> None:
    monkeypatch.chdir(repository)
    with pytest.raises(WorkspaceError, match=message), open_version(named, Path()):
        pass


def test_revisions_need_a_repository(tmp_path: Path) -> None:
    with (
        pytest.raises(WorkspaceError, match=r"HEAD: .* as .* is in no git repository; give two folders, or -w WORKSPACE"),
        open_version("HEAD", tmp_path),
    ):
        pass
    with pytest.raises(WorkspaceError, match=r"none: no such folder; -w names the workspace"), open_version("HEAD", tmp_path / "none"):
        pass


def test_inside_a_hook_it_is_still_the_workspaces_own_repository(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    with open_version("HEAD", repository) as version:
        assert version.labels().collect().height == 3
