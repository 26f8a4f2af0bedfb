"""A small labelled workspace and an S3 server, made once; tests work on copies of the one and in buckets of their own on the other."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import NO_FACE, SINGLE_FACE
from tests.pipelines import s3_server
from tests.pipelines.here import run_here


@pytest.fixture(scope="session")
def small_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels of a face, of a clip without one and of a broken file. Read only: take a copy."""
    root = tmp_path_factory.mktemp("small")
    (root / "archive").mkdir()
    for clip in (SINGLE_FACE, NO_FACE):
        shutil.copy(clip.path, root / "archive")
    (root / "archive" / "broken.mp4").write_bytes(SINGLE_FACE.path.read_bytes()[:2000])
    run_here(root / "archive", root / "ws")
    return root / "ws"


@pytest.fixture
def labelled(small_workspace: Path, tmp_path: Path) -> Path:
    """A workspace of one's own, with everything done."""
    return Path(shutil.copytree(small_workspace, tmp_path / "ws"))


@pytest.fixture(scope="session")
def moto_server() -> Iterator[s3_server.S3Server]:
    with s3_server.running() as server:
        yield server


@pytest.fixture
def s3(moto_server: s3_server.S3Server, monkeypatch: pytest.MonkeyPatch) -> s3_server.S3Server:
    """The server, which the environment names; what fsspec kept of another environment is forgotten."""
    s3_server.point_to(moto_server.url, monkeypatch)
    return moto_server


@pytest.fixture
def bucket(s3: s3_server.S3Server) -> str:
    """A bucket of the test's own."""
    return s3.make_bucket()
