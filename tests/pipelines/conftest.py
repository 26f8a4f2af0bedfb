"""A small labelled workspace, made once; tests work on copies of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import NO_FACE, SINGLE_FACE
from tests.pipelines.test_cli import fauscan


@pytest.fixture(scope="session")
def small_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels of a face, of a clip without one and of a broken file. Read only: take a copy."""
    root = tmp_path_factory.mktemp("small")
    (root / "archive").mkdir()
    for clip in (SINGLE_FACE, NO_FACE):
        shutil.copy(clip.path, root / "archive")
    (root / "archive" / "broken.mp4").write_bytes(SINGLE_FACE.path.read_bytes()[:2000])
    done = fauscan("run", root / "archive", "-w", root / "ws", "--engine", "local")
    assert done.returncode == 0, done.stderr
    return root / "ws"


@pytest.fixture
def labelled(small_workspace: Path, tmp_path: Path) -> Path:
    """A workspace of one's own, with everything done."""
    return Path(shutil.copytree(small_workspace, tmp_path / "ws"))
