from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.diff import run_diff
from pipelines.initialise import commit_all, initialise
from schemas.errors import WorkspaceError
from schemas.tables import DIFF, SEGMENT_DIFF
from tests.pipelines.made_labels import write_data

A = {"x/1.mp4": ["real"] * 10, "x/2.mp4": ["uncertain"] * 4 + [None], "y/3.mp4": ["fake", "fake"]}
B = {"x/1.mp4": ["real"] * 7 + ["fake"] * 3, "x/2.mp4": ["uncertain"] * 4 + [None], "z/4.mp4": ["real"]}


@pytest.fixture
def two(tmp_path: Path) -> tuple[str, str]:
    """Two workspaces: frames of one video changed, one video went, one came."""
    a, b = tmp_path / "a", tmp_path / "b"
    write_data(a / "data", A, {"x/1.mp4": (0.0, 1.0), "y/3.mp4": (0.0, 0.1)})
    write_data(b / "data", B, {"x/1.mp4": (0.5, 1.0)}, fake_above=0.8, weights_sha256="cd" * 32)
    (a / "params.yaml").write_text("label: {smooth_ticks: 5, fake_above: null}\nengine: {workers: 1}\n", encoding="utf-8")
    (b / "params.yaml").write_text("label: {smooth_ticks: 9, fake_above: null}\nengine: {workers: 2}\n", encoding="utf-8")
    return str(a), str(b)


def test_counts_by_transition_dataset_reason_and_video(two: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_diff(*two, Path(), None, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["frames"] == {"a": 17, "b": 16, "changed": 6, "label": 3, "reason": 0, "added": 1, "removed": 2, "rescored": 0}
    assert [(t["a"], t["b"], t["frames"]) for t in found["transitions"]] == [
        ("real", "fake", 3),
        ("fake", "(not there)", 2),
        ("(not there)", "real", 1),
    ]
    assert [(d["dataset"], d["changed"], d["frames"]) for d in found["datasets"]] == [("x", 3, 15), ("y", 2, 2), ("z", 1, 1)]
    assert [(v["uri"], v["changed"], v["to_fake"]) for v in found["videos"]][:2] == [("x/1.mp4", 3, 3), ("y/3.mp4", 2, 0)]
    assert found["segments"] == {"same": 0, "added": 0, "removed": 1, "moved": 1}
    assert {s["name"]: (s["a"], s["b"]) for s in found["settings"]} == {
        "weights_sha256": (["ab" * 32], ["cd" * 32]),
        "fake_above": ([0.9], [0.8]),
        "label.smooth_ticks": ([5], [9]),
    }


def test_another_truth_is_no_other_label(two: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    first = Path(two[0])
    shutil.copytree(first, told := first.parent / "told")
    for path in (told / "data" / "labels").iterdir():
        table = pq.read_table(path)
        place = table.column_names.index("truth_fake")
        pq.write_table(table.set_column(place, table.schema.field(place), pa.array([True] * table.num_rows)), path)
    assert not run_diff(str(first), str(told), Path(), None, as_json=False)


def test_the_tables_on_the_terminal_say_the_same(two: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_diff(*two, Path(), None, as_json=False)
    text = " ".join(capsys.readouterr().out.split())
    assert "frames: 3 with another label, 0 with another reason only, 1 added, 2 removed" in text
    assert "fake segments: 0 added, 1 removed, 1 moved, 0 the same" in text
    assert "weights_sha256 abababababab cdcdcdcdcdcd" in text
    assert "x/1.mp4 3 10 3 0 0 0" in text


def test_reasons_are_counted_where_they_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, label in (("a", "real"), ("b", None)):
        write_data(tmp_path / name, {"1.mp4": [label]})
    assert run_diff(str(tmp_path / "a"), str(tmp_path / "b"), Path(), None, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert {(r["reason_a"], r["reason_b"], r["frames"]) for r in found["reasons"]} == {(None, "no_face", 1)}
    assert [d["dataset"] for d in found["datasets"]] == [""]


def test_all_changed_frames_go_to_a_file_or_a_folder(two: tuple[str, str], tmp_path: Path) -> None:
    run_diff(*two, Path(), tmp_path / "d.parquet", as_json=False)
    frames = pq.read_table(tmp_path / "d.parquet")
    assert frames.schema.equals(DIFF, check_metadata=True)
    assert frames["uri"].to_pylist() == ["x/1.mp4"] * 3 + ["y/3.mp4"] * 2 + ["z/4.mp4"]
    assert frames["frame_index"].to_pylist()[:3] == [7, 8, 9]
    run_diff(*two, Path(), tmp_path / "folder", as_json=False)
    assert pq.read_table(tmp_path / "folder" / "frames.parquet").equals(frames)
    spans = pq.read_table(tmp_path / "folder" / "segments.parquet")
    assert spans.schema.equals(SEGMENT_DIFF, check_metadata=True)
    assert spans["change"].to_pylist() == ["moved", "removed"]


def test_the_same_labels_differ_in_nothing(two: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not run_diff(two[0], f"{two[0]}/data", Path(), None, as_json=False)
    assert "are the same labels" in " ".join(capsys.readouterr().out.split())
    shutil.copytree(two[0], tmp_path / "copy")
    assert not run_diff(two[0], str(tmp_path / "copy"), Path(), tmp_path / "d.parquet", as_json=False)
    assert "no frame and no segment changed" in " ".join(capsys.readouterr().out.split())
    assert pq.read_table(tmp_path / "d.parquet").num_rows == 0


def test_labels_of_two_versions_in_one_folder_are_refused(two: tuple[str, str]) -> None:
    folder = Path(two[1], "data", "labels")
    shutil.copy(next(folder.glob("x-1*")), folder / "again.parquet")
    for order in (two, two[::-1]):
        with pytest.raises(WorkspaceError, match=r"/b: holds a frame twice"):
            run_diff(*order, Path(), None, as_json=False)


def test_a_damaged_table_is_named(two: tuple[str, str]) -> None:
    path = next(Path(two[0], "data", "labels").glob("*"))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(WorkspaceError, match=f"{path.name}: missing or damaged"):
        run_diff(*two, Path(), None, as_json=False)


def test_a_difference_is_no_error_unless_it_is_asked_for(two: tuple[str, str]) -> None:
    call = CliRunner().invoke
    assert call(app, ["diff", *two]).exit_code == 0
    assert call(app, ["diff", *two, "--exit-code"]).exit_code == 1
    assert call(app, ["diff", two[0], two[0], "--exit-code"]).exit_code == 0


def dvc_commit(workspace: Path, message: str) -> None:
    """What `dvc repro` leaves, without running the steps."""
    done = subprocess.run([sys.executable, "-m", "dvc", "commit", "-f", "-q"], cwd=workspace, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert commit_all(workspace, message)


@pytest.mark.slow
def test_two_commits_of_a_dvc_workspace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = tmp_path / "ws"
    initialise(workspace, "archive", check=False)
    for stage in ("faces", "fau", "audio", "score", "label"):
        (workspace / "data" / "manifests").mkdir(parents=True, exist_ok=True)
        (workspace / "data" / "manifests" / f"{stage}.parquet").touch()
    (workspace / "reports").mkdir()
    evaluated = ("data/truth_problems.parquet", "reports/metrics-evaluate.json", "reports/roc.csv", "reports/reliability.csv")
    for name in ("data/failures.parquet", "reports/index.html", "reports/metrics.json", *evaluated):
        (workspace / name).touch()
    write_data(workspace / "data", A)
    dvc_commit(workspace, "A")
    shutil.rmtree(workspace / "data" / "labels")
    write_data(workspace / "data", B)
    params = workspace / "params.yaml"
    params.write_text(params.read_text(encoding="utf-8").replace("smooth_ticks: 5", "smooth_ticks: 9"), encoding="utf-8")
    dvc_commit(workspace, "B")

    assert run_diff("HEAD~1", "HEAD", workspace, tmp_path / "d.parquet", as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["frames"]["changed"] == pl.read_parquet(tmp_path / "d.parquet").height == 6
    assert [s["name"] for s in found["settings"]] == ["label.smooth_ticks"]
    state = subprocess.run(["git", "status", "--porcelain"], cwd=workspace, capture_output=True, text=True)
    assert state.stdout == ""

    shutil.rmtree(workspace / ".dvc" / "cache" / "files")
    with pytest.raises(WorkspaceError, match=r"HEAD~1: the labels of that commit are not in the DVC cache of .*; `dvc fetch --all-c"):
        run_diff("HEAD~1", ".", workspace, None, as_json=False)
