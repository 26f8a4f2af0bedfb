from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.garbage import Kind, collect_garbage, find_waste
from pipelines.verify import verify
from pipelines.workspace import Workspace
from tests.pipelines.test_cli import fauscan

pytestmark = pytest.mark.slow


def names(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def leave_behind(root: Path) -> None:
    """What runs leave that are killed at a bad moment."""
    orphan = root / "store" / "faces" / "ab" / ("ab" * 16)
    orphan.mkdir(parents=True)
    (orphan / "faces.parquet").write_bytes(b"data without a receipt")
    unit = next((root / "store" / "fau").rglob("receipt.json")).parent
    (unit / ".tmp-0123").write_bytes(b"half")
    (unit / "faces.parquet").write_bytes(b"a table of no receipt")
    (root / "data" / ".tmp-segments").write_bytes(b"half")
    (root / "reports" / ".tmp-index").write_bytes(b"half")
    (root / ".tmp-params").write_bytes(b"half")


def test_by_default_nothing_is_deleted(labelled: Path) -> None:
    leave_behind(labelled)
    before = names(labelled)
    done = fauscan("gc", "-w", labelled)
    assert done.returncode == 0
    assert "nothing was deleted" in done.stderr
    assert names(labelled) - {"fauscan.lock"} == before - {"fauscan.lock"}


def test_exactly_what_counts_for_nothing_goes(labelled: Path) -> None:
    before = names(labelled)
    leave_behind(labelled)
    collect_garbage(Workspace.open(labelled), delete=True, superseded=False)
    assert names(labelled) == before
    assert not (labelled / "store" / "faces" / "ab" / ("ab" * 16)).exists()
    assert list(verify(Workspace.open(labelled))) == []
    assert list(find_waste(Workspace.open(labelled), superseded=True)) == []


def test_young_files_of_a_shared_store_stay(labelled: Path) -> None:
    leave_behind(labelled)
    assert list(find_waste(Workspace.open(labelled), superseded=True, older_than_s=3600)) == []


def test_units_of_other_parameters_go_only_when_asked(labelled: Path) -> None:
    text = (labelled / "params.yaml").read_text(encoding="utf-8")
    assert "detect_every_ticks: 5" in text
    (labelled / "params.yaml").write_text(text.replace("detect_every_ticks: 5", "detect_every_ticks: 4"), encoding="utf-8")
    workspace = Workspace.open(labelled)
    assert list(find_waste(workspace, superseded=False)) == []
    waste = list(find_waste(workspace, superseded=True))
    assert {item.kind for item in waste} == {Kind.SUPERSEDED}
    stages = {item.file.name.split("/")[0] for item in waste}
    assert stages == {"faces", "fau", "score", "label"}  # sound does not depend on faces
