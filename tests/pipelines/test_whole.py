"""The whole chain on real clips: both engines, the same bytes; nothing new, nothing done."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.conftest import FACE_NOFACE, NO_FACE, SHARED, SINGLE_FACE, WOLFGANG
from tests.pipelines.test_cli import fauscan

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
def test_a_second_run_computes_nothing_and_changes_nothing(workspace: Path, archive: Path) -> None:
    before = {name: (workspace / name).stat().st_mtime_ns for name in tree(workspace)}
    done = fauscan("run", archive, "--workspace", workspace, "--engine", "local")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("nothing new") == 6
    assert {name: (workspace / name).stat().st_mtime_ns for name in tree(workspace)} == before


@pytest.mark.slow
def test_ray_gives_the_same_bytes(workspace: Path, archive: Path, tmp_path: Path) -> None:
    done = fauscan("run", archive, "--workspace", tmp_path / "ray", "--engine", "ray")
    assert done.returncode == 0, done.stderr
    for part in ("data", "store"):
        ours, theirs = tree(workspace / part), tree(tmp_path / "ray" / part)
        assert sorted(ours) == sorted(theirs)
        # The ledgers hold the files' times on this disk; they are the same, for the archive is.
        assert [n for n in ours if ours[n] != theirs[n]] == []
    assert (workspace / "reports" / "metrics.json").read_bytes() == (tmp_path / "ray" / "reports" / "metrics.json").read_bytes()
    assert "Warning" not in done.stderr


@pytest.mark.slow
def test_a_new_file_leaves_old_units_alone(workspace: Path, archive: Path, tmp_path: Path) -> None:
    grown, copy = tmp_path / "archive", tmp_path / "ws"
    shutil.copytree(archive, grown)
    shutil.copytree(workspace, copy)
    params = copy / "params.yaml"
    params.write_text(params.read_text(encoding="utf-8").replace(str(archive), str(grown)), encoding="utf-8")
    old = tree(copy / "store" / "faces")
    data = bytearray(SINGLE_FACE.path.read_bytes())
    (grown / "new.mp4").write_bytes(data + b"\x00\x00\x00\x08free")
    done = fauscan("run", grown, "--workspace", copy, "--engine", "local")
    assert done.returncode == 0, done.stderr
    new = tree(copy / "store" / "faces")
    assert {n: new[n] for n in old} == old
    assert len(new) == len(old) + 3
    assert labels(copy).filter(pl.col("uri") == "new.mp4").height == SINGLE_FACE.frames
    # And when it is taken away again, its rows go and nothing is computed.
    (grown / "new.mp4").unlink()
    done = fauscan("run", grown, "--workspace", copy, "--engine", "local")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("nothing new") >= 5
    assert labels(copy).height == labels(workspace).height


@pytest.mark.slow
def test_a_workspace_is_for_one_archive(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"1")
    done = fauscan("run", tmp_path, "--workspace", workspace)
    assert done.returncode == 1
    assert "holds the labels of" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "code"), [("single_face.mp4", 1), ("copy/again.mp4", 0), ("Wolfgang", 0), ("broken.mp4", 0), ("nothing.mp4", 1)]
)
def test_show_finds_a_video_by_the_end_of_its_name(workspace: Path, name: str, code: int) -> None:
    done = fauscan("show", name, "-w", workspace)
    if name == "single_face.mp4":
        code = 0  # an exact match wins
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_video_that_could_not_be_read_is_read_when_it_can_be(tmp_path: Path) -> None:
    archive, out, away = tmp_path / "archive", tmp_path / "ws", tmp_path / "away.mov"
    archive.mkdir()
    shutil.copy(SINGLE_FACE.path, archive)
    shutil.copy(FACE_NOFACE.path, archive)
    out.mkdir()
    (out / "params.yaml").write_text(f"archive: {{uri: {archive}}}\nengine: {{name: local}}", encoding="utf-8")

    def steps(*names: str) -> str:
        said = ""
        for name in names:
            done = fauscan(name, "-w", out)
            assert done.returncode == 0, done.stderr
            said += done.stderr
        return said

    steps("inventory")
    (archive / FACE_NOFACE.path.name).rename(away)  # the storage has a bad moment
    steps("faces", "fau", "audio", "score", "label")
    failures = pl.read_parquet(out / "data" / "failures.parquet").filter(pl.col("outcome") == "failed")
    assert set(failures["reason"]) == {"read_failed"}
    assert pl.read_parquet(out / "data" / "labels").height == SINGLE_FACE.frames
    away.rename(archive / FACE_NOFACE.path.name)
    assert fauscan("run", archive, "-w", out).returncode == 0
    assert pl.read_parquet(out / "data" / "labels").height == SINGLE_FACE.frames + FACE_NOFACE.frames
    assert pl.read_parquet(out / "data" / "failures.parquet").filter(pl.col("outcome") == "failed").is_empty()
    assert fauscan("run", archive, "-w", out).stderr.count("nothing new") == 6


@pytest.mark.slow
def test_a_video_that_was_away_when_its_unit_was_computed_is_computed_when_it_is_back(tmp_path: Path) -> None:
    archive, out, away = tmp_path / "archive", tmp_path / "ws", tmp_path / "away.mp4"
    archive.mkdir()
    out.mkdir()
    for clip in (SINGLE_FACE, NO_FACE):
        shutil.copy(clip.path, archive)
    (out / "params.yaml").write_text(f"archive: {{uri: {archive}}}\nengine: {{name: local}}", encoding="utf-8")
    assert fauscan("inventory", "-w", out).returncode == 0
    (archive / SINGLE_FACE.path.name).rename(away)
    for name in ("inventory", "faces"):
        assert fauscan(name, "-w", out).returncode == 0
    away.rename(archive / SINGLE_FACE.path.name)
    for name in ("inventory", "faces"):
        done = fauscan(name, "-w", out)
        assert done.returncode == 0
    assert "faces      1 videos" in done.stderr
    outcomes = pl.read_parquet(out / "data" / "manifests" / "faces.parquet")
    assert sorted(outcomes["outcome"]) == ["done", "filtered"]
