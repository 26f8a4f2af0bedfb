"""Export: whose folder it is, what counts as done, and what is never touched."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from pipelines.exports.export import export
from schemas.errors import ParamsError, WorkspaceError
from tests.pipelines.exports.made_set import clip, tables_only, write_set


@pytest.fixture
def workspace(tmp_path):
    rows = [clip("id-a.mp4", "a.mp4"), clip("id-b.mp4", "b.mp4", split="test"), clip("id-gone", "gone.mp4")]
    return tables_only(tmp_path, {"a.mp4": {}, "b.mp4": {}}, rows)


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_vanished_video_is_a_named_row_and_a_count(workspace, tmp_path):
    (tmp_path / "archive" / "b.mp4").unlink()
    out = export(workspace, "made", "lavdf", tmp_path / "out", "copy")
    assert out.counts["missing"] == 2 and out.counts["videos"] == 1
    rows = list(csv.DictReader((tmp_path / "out" / "missing.csv").open(encoding="utf-8")))
    assert [row["uri"] for row in rows] == ["b.mp4", "gone.mp4"]
    assert rows[0]["what"].startswith("read_failed") and rows[1]["what"] == "no longer in the archive"
    assert json.loads((tmp_path / "out" / "export.json").read_text(encoding="utf-8"))["counts"]["missing"] == 2
    (tmp_path / "archive" / "b.mp4").write_text("b.mp4", encoding="utf-8")
    assert export(workspace, "made", "lavdf", tmp_path / "out", "copy").counts["videos"] == 2  # what was missing is looked for again


def test_the_same_export_again_writes_nothing_and_elsewhere_the_same_bytes(workspace, tmp_path):
    write_set(workspace.root, [clip("id-a.mp4", "a.mp4")], "small")
    export(workspace, "small", "lavdf", tmp_path / "out", "copy")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    assert export(workspace, "small", "lavdf", tmp_path / "out", "copy").is_done
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")} == before
    export(workspace, "small", "lavdf", tmp_path / "again", "copy")
    assert content(tmp_path / "again") == content(tmp_path / "out")


def test_a_killed_export_is_written_anew(workspace, tmp_path):
    out = tmp_path / "out"
    export(workspace, "made", "lavdf", out, "copy")
    facts = json.loads((out / "export.json").read_text(encoding="utf-8"))
    (out / "export.json").write_text(json.dumps({k: v for k, v in facts.items() if k != "counts"} | {"complete": False}), encoding="utf-8")
    (out / "half.mp4").write_bytes(b"")
    export(workspace, "made", "lavdf", out, "copy")
    assert not (out / "half.mp4").exists() and (out / "train" / "000000.mp4").is_file()


def test_another_set_wants_another_folder_or_fresh(workspace, tmp_path):
    export(workspace, "made", "lavdf", tmp_path / "out", "link")
    write_set(workspace.root, [clip("id-a.mp4", "a.mp4")])
    with pytest.raises(WorkspaceError, match="holds an export that differs in digest; give another folder, or --fresh"):
        export(workspace, "made", "lavdf", tmp_path / "out", "link")
    export(workspace, "made", "lavdf", tmp_path / "out", "link", fresh=True)
    assert not (tmp_path / "out" / "test").exists()
    assert (tmp_path / "archive" / "b.mp4").is_file()  # the link went, not what it led to


def test_a_folder_of_something_else_is_left_alone(workspace, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("precious", encoding="utf-8")
    with pytest.raises(WorkspaceError, match="is no export of FauScan"):
        export(workspace, "made", "coco", tmp_path / "out", fresh=True)
    assert (tmp_path / "out" / "thesis.tex").is_file()


@pytest.mark.parametrize("where", ["archive", "archive/sub", "ws", "ws/data/out"])
def test_nothing_is_written_into_archive_or_workspace_data(workspace, tmp_path, where):
    with pytest.raises(ParamsError, match=r"lies in the archive|is the workspace"):
        export(workspace, "made", "lavdf", tmp_path / where)


def test_options_that_a_format_does_not_have(workspace, tmp_path):
    with pytest.raises(ParamsError, match="webdataset holds the face crops themselves"):
        export(workspace, "made", "webdataset", tmp_path / "out", "copy")
    with pytest.raises(ParamsError, match="coco wants frames"):
        export(workspace, "made", "coco", tmp_path / "out", "link")
    with pytest.raises(WorkspaceError, match="no curated set 'mode'; did you mean 'made'"):
        export(workspace, "mode", "coco", tmp_path / "out")
    assert not (tmp_path / "out").exists()
