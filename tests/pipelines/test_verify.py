from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from pipelines.verify import Checked, forget_faulty, verify
from pipelines.workspace import Workspace
from tests.pipelines.test_cli import fauscan

pytestmark = pytest.mark.slow


def table(root: Path, stage: str) -> Path:
    return next((root / "store" / stage).rglob("*.parquet"))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def drop_a_row(path: Path) -> None:
    pl.read_parquet(path)[1:].write_parquet(path)


def test_an_undisturbed_workspace_is_as_promised(labelled: Path) -> None:
    seen = Checked()
    assert list(verify(Workspace.open(labelled), seen)) == []
    assert seen.videos == 3
    assert seen.receipts == 5
    assert seen.tables == 7
    done = fauscan("verify", "-w", labelled)
    assert done.returncode == 0
    assert "3 files, 5 receipts, 7 tables" in done.stderr
    assert "all as promised" in done.stderr


@pytest.mark.parametrize(
    ("disturb", "where", "what"),
    [
        (lambda ws: flip(table(ws, "faces")), "faces, unit", "has other bytes"),
        (lambda ws: table(ws, "audio").unlink(), "audio, unit", "table audio is missing"),
        (lambda ws: next((ws / "store" / "fau").rglob("receipt.json")).unlink(), "fau, unit", "no receipt"),
        (lambda ws: shutil.rmtree(ws / "store" / "score"), "score, unit", "no receipt"),
        (lambda ws: drop_a_row(ws / "data" / "manifests" / "fau.parquet"), "fau.parquet", "1 rows differ"),
        (lambda ws: (ws / "data" / "manifests" / "score.parquet").write_bytes(b"PAR1"), "score.parquet", "missing or damaged"),
        (lambda ws: flip(next((ws / "data" / "labels").glob("*"))), "labels", "differs from the store"),
        (lambda ws: next((ws / "data" / "labels").glob("*")).unlink(), "labels", "missing"),
        (lambda ws: (ws / "data" / "labels" / "more.parquet").write_bytes(b"x"), "more.parquet", "belongs to no unit"),
    ],
)
def test_whatever_is_not_as_promised_is_told(labelled: Path, disturb: Callable[[Path], None], where: str, what: str) -> None:
    disturb(labelled)
    faults = list(verify(Workspace.open(labelled)))
    assert any(where in fault.where and what in fault.what for fault in faults), faults


def test_damage_ends_with_1_and_is_mended(labelled: Path, small_workspace: Path) -> None:
    flip(table(labelled, "score"))
    done = fauscan("verify", "-w", labelled)
    assert done.returncode == 1
    assert "1 fault" in done.stderr
    assert forget_faulty(Workspace.open(labelled)) == 1
    again = fauscan("run", small_workspace.parent / "archive", "-w", labelled, "--engine", "local")
    assert again.returncode == 0, again.stderr
    assert list(verify(Workspace.open(labelled))) == []
    assert table(labelled, "score").read_bytes() == table(small_workspace, "score").read_bytes()
