from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from pipelines.workspace import Workspace
from schemas.errors import ParamsError, WorkspaceError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text("archive: {uri: videos}", encoding="utf-8")
    return tmp_path


def test_paths_are_relative_to_the_workspace_and_urls_are_left_alone(root: Path) -> None:
    workspace = Workspace.open(root)
    assert workspace.archive().uri == str(root / "videos")
    assert workspace.store_uri == str(root / "store")
    (root / "params.yaml").write_text("archive: {uri: 'memory://a'}\nstore: {uri: 'memory://b'}", encoding="utf-8")
    workspace = Workspace.open(root)
    assert (workspace.archive().uri, workspace.store_uri) == ("memory://a", "memory://b")


def test_the_workspaces_own_weights_win_over_the_shipped_ones(root: Path) -> None:
    shipped = Workspace.open(root).weights()
    assert shipped.name == "lite.safetensors"
    assert shipped.is_file()
    (root / "models").mkdir()
    (root / "models" / "lite.safetensors").write_bytes(b"own")
    assert Workspace.open(root).weights() == root / "models" / "lite.safetensors"


def test_without_an_archive_the_message_says_where_to_put_it(root: Path) -> None:
    (root / "params.yaml").write_text("{}", encoding="utf-8")
    with pytest.raises(ParamsError, match=r"archive\.uri is not set"):
        Workspace.open(root).archive()


def test_a_workspace_pinned_to_another_version_is_refused(root: Path) -> None:
    pin = root / "requirements.txt"
    pin.write_text(f"fauscan=={version('fauscan')}\npandas\n", encoding="utf-8")
    Workspace.open(root)
    pin.write_text("fauscan==9.9.9\n", encoding="utf-8")
    with pytest.raises(WorkspaceError, match=r"pins FauScan 9\.9\.9, this is "):
        Workspace.open(root)
