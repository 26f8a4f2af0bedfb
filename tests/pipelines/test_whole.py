"""The whole chain on real clips; nothing new, nothing done. (That both engines write the same bytes, test_isolation.py shows.)"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.listing import update_inventory
from pipelines.publish import publish_labels
from pipelines.step import UNIT_STEPS, run_step
from pipelines.workspace import Workspace
from tests.conftest import FACE_NOFACE, NO_FACE, SHARED, SINGLE_FACE, WOLFGANG
from tests.pipelines.clips import FRAMES, different_clips, short_clip, write_clip
from tests.pipelines.here import run_here
from tests.pipelines.test_cli import fauscan, refused

GRID = sorted((SHARED / "media" / "grid").rglob("*.mpg"))[:2]
"""Two talkers of 75 frames each, where ../shared is there."""


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    for clip in (SINGLE_FACE, NO_FACE, FACE_NOFACE, WOLFGANG):
        shutil.copy(clip.path, folder)
    for talker in GRID:
        shutil.copy(talker, folder)
    (folder / "copy").mkdir()
    shutil.copy(SINGLE_FACE.path, folder / "copy" / "again.mp4")
    (folder / "broken.mp4").write_bytes(SINGLE_FACE.path.read_bytes()[:2000])
    (folder / "notes.txt").write_text("not a video", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def workspace(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "ws"
    done = fauscan("run", archive, "--workspace", folder, "--engine", "local")
    assert done.returncode == 0, done.stderr
    return folder


def labels(workspace: Path) -> pl.DataFrame:
    inventory = pl.read_parquet(workspace / "data" / "inventory.parquet").unique("content_id", keep="last")
    return pl.read_parquet(workspace / "data" / "labels").join(inventory.select("content_id", "uri"), on="content_id")


@pytest.mark.slow
def test_every_frame_of_every_video_has_a_row(workspace: Path) -> None:
    rows = labels(workspace)
    for clip, name in (
        (SINGLE_FACE, "single_face.mp4"),
        (NO_FACE, "no_face.mp4"),
        (FACE_NOFACE, "face_noface.mov"),
        (WOLFGANG, "Wolfgang"),
    ):
        own = rows.filter(pl.col("uri").str.contains(name, literal=True))
        assert own.height == clip.frames  # one face at most in all of them
        assert own["frame_index"].to_list() == list(range(clip.frames))
        assert (np.diff(own["pts_us"]) > 0).all()
    no_face = rows.filter(pl.col("uri") == "no_face.mp4")
    assert no_face["label"].null_count() == NO_FACE.frames
    assert set(no_face["reason"]) == {"no_face"}
    for column in ("p_total", "p_audio", "p_visual", "quality"):
        assert rows[column].drop_nulls().cast(float).is_between(0, 1).all()
    assert (rows["label"].is_not_null() | rows["reason"].is_not_null()).all()
    assert rows.filter(pl.col("uri").str.contains("Wolfgang"))["basis"].unique().to_list() == ["visual"]


@pytest.mark.slow
def test_every_file_is_accounted_for(workspace: Path) -> None:
    inventory = pl.read_parquet(workspace / "data" / "inventory.parquet")
    failures = pl.read_parquet(workspace / "data" / "failures.parquet")
    assert inventory["uri"].to_list() == sorted(
        ["WolfgangLanger_Pexels.mp4", "broken.mp4", "copy/again.mp4", "face_noface.mov", "no_face.mp4", "notes.txt", "single_face.mp4"]
        + [talker.name for talker in GRID]
    )
    outcome = dict(inventory.select("uri", "outcome").iter_rows())
    assert outcome["broken.mp4"] == "failed"
    assert outcome["notes.txt"] == "filtered"
    assert set(failures["uri"]) >= {"broken.mp4", "notes.txt", "no_face.mp4"}
    same = inventory.filter(pl.col("uri").is_in(["single_face.mp4", "copy/again.mp4"]))
    assert same["content_id"].n_unique() == same["unit"].n_unique() == 1
    assert labels(workspace).height == SINGLE_FACE.frames + NO_FACE.frames + FACE_NOFACE.frames + WOLFGANG.frames + 75 * len(GRID)


@pytest.mark.slow
def test_provenance_and_report_are_there(workspace: Path) -> None:
    provenance = pl.read_parquet(workspace / "data" / "provenance.parquet")
    assert set(labels(workspace)["provenance_id"]) == set(provenance["provenance_id"])
    page = (workspace / "reports" / "index.html").read_text(encoding="utf-8")
    assert "single_face.mp4" in page
    assert "no_face" in page or "No face" in page
    assert str(workspace) not in page


@pytest.mark.slow
def test_a_second_run_computes_nothing_and_changes_nothing(workspace: Path, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {name: (workspace / name).stat().st_mtime_ns for name in tree(workspace)}
    run_here(archive, workspace)
    assert capsys.readouterr().err.count("nothing new") == 6
    assert {name: (workspace / name).stat().st_mtime_ns for name in tree(workspace)} == before


@pytest.mark.slow
def test_a_new_file_leaves_old_units_alone(workspace: Path, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grown, copy = tmp_path / "archive", tmp_path / "ws"
    shutil.copytree(archive, grown)
    shutil.copytree(workspace, copy)
    params = copy / "params.yaml"
    params.write_text(params.read_text(encoding="utf-8").replace(str(archive), str(grown)), encoding="utf-8")
    old = tree(copy / "store" / "faces")
    write_clip(grown / "new.mp4", 1)
    run_here(grown, copy)
    new = tree(copy / "store" / "faces")
    assert {n: new[n] for n in old} == old
    assert len(new) == len(old) + 3
    assert labels(copy).filter(pl.col("uri") == "new.mp4").height == FRAMES
    # And when it is taken away again, its rows go and nothing is computed.
    (grown / "new.mp4").unlink()
    capsys.readouterr()
    run_here(grown, copy)
    assert capsys.readouterr().err.count("nothing new") >= 5
    assert labels(copy).height == labels(workspace).height


@pytest.mark.slow
def test_a_workspace_is_for_one_archive(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"1")
    done = fauscan("run", tmp_path, "--workspace", workspace)
    assert done.returncode == 1
    assert "holds the labels of" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["single_face.mp4", "copy/again.mp4", "Wolfgang", "broken.mp4"])
def test_show_finds_a_video_by_the_end_of_its_name(workspace: Path, name: str) -> None:
    assert CliRunner().invoke(app, ["show", name, "-w", str(workspace)]).exit_code == 0


@pytest.mark.slow
def test_show_says_that_there_is_no_such_file(workspace: Path) -> None:
    refused(fauscan("show", "nothing.mp4", "-w", workspace), "nothing.mp4: no such file in the inventory")


def on_its_own(archive: Path, folder: Path) -> Workspace:
    """A workspace whose steps are run one by one."""
    folder.mkdir()
    (folder / "params.yaml").write_text(f"archive: {{uri: {archive}}}\nengine: {{name: local}}", encoding="utf-8")
    return Workspace.open(folder)


@pytest.mark.slow
def test_a_video_that_could_not_be_read_is_read_when_it_can_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive, out, away = tmp_path / "archive", tmp_path / "ws", tmp_path / "away.mp4"
    different_clips(archive, "here.mp4", "bad moment.mp4")
    workspace = on_its_own(archive, out)
    update_inventory(workspace)
    (archive / "bad moment.mp4").rename(away)  # the storage has one
    for name in UNIT_STEPS:
        receipts = run_step(workspace, name)
    publish_labels(workspace, receipts)
    failures = pl.read_parquet(out / "data" / "failures.parquet").filter(pl.col("outcome") == "failed")
    assert set(failures["reason"]) == {"read_failed"}
    assert pl.read_parquet(out / "data" / "labels").height == FRAMES
    away.rename(archive / "bad moment.mp4")
    run_here(archive, out)
    assert pl.read_parquet(out / "data" / "labels").height == 2 * FRAMES
    assert pl.read_parquet(out / "data" / "failures.parquet").filter(pl.col("outcome") == "failed").is_empty()
    capsys.readouterr()
    run_here(archive, out)
    assert capsys.readouterr().err.count("nothing new") == 6


@pytest.mark.slow
def test_a_video_that_was_away_when_its_unit_was_computed_is_computed_when_it_is_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive, out, away = tmp_path / "archive", tmp_path / "ws", tmp_path / "away.mp4"
    different_clips(archive, "face.mp4")
    short_clip(NO_FACE, 10, archive / "nobody.mp4", sound=True)
    workspace = on_its_own(archive, out)
    update_inventory(workspace)
    (archive / "face.mp4").rename(away)
    update_inventory(workspace)
    run_step(workspace, "faces")
    away.rename(archive / "face.mp4")
    update_inventory(workspace)
    capsys.readouterr()
    run_step(workspace, "faces")
    assert "faces      1 videos" in capsys.readouterr().err
    outcomes = pl.read_parquet(out / "data" / "manifests" / "faces.parquet")
    assert sorted(outcomes["outcome"]) == ["done", "filtered"]
