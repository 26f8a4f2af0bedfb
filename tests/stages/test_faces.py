from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from schemas.params import DecodeParams, FaceParams
from stages.contract import StageResult, as_frame
from stages.encoding import write_mp4
from stages.faces import Faces, decode_crop
from tests.conftest import FACE_NOFACE, NO_FACE, SINGLE_FACE, inventory_row, media


@pytest.fixture(scope="module")
def stage() -> Faces:
    return Faces(DecodeParams(), FaceParams())


def run(stage: Faces, path: Path) -> tuple[StageResult, pl.DataFrame, pl.DataFrame]:
    result = stage(inventory_row(path), media(path))
    return result, as_frame(result.rows), as_frame(result.side["frames"])


def first_picture() -> np.ndarray:
    from stages.decoding import Damage, scan_video

    return next(iter(scan_video(SINGLE_FACE.path, 0, 0, DecodeParams(), Damage()))).rgb()


def clip(path: Path, pictures: list[np.ndarray]) -> Path:
    write_mp4(path, ((i * 40_000, p) for i, p in enumerate(pictures)), None, 16_000)
    return path


@pytest.mark.slow
def test_a_frontal_face_is_one_track_on_every_tick(stage: Faces) -> None:
    _, faces, frames = run(stage, SINGLE_FACE.path)
    assert frames.height == SINGLE_FACE.frames
    assert faces["track"].unique().to_list() == [0]
    assert faces["tick"].to_list() == list(range(60))
    assert faces["presence"].min() > 0.9
    assert faces["yaw_deg"].abs().max() < 20
    middle = faces["box"].to_numpy()[30]
    assert (middle[:2] > [150, 50]).all()
    assert (middle[2:] < [440, 340]).all()
    crop = decode_crop(faces["crop"][0])
    assert crop.shape == (160, 160, 3)


@pytest.mark.slow
def test_a_cartoon_has_no_face(stage: Faces) -> None:
    result, faces, frames = run(stage, NO_FACE.path)
    assert faces.is_empty()
    assert frames.height == NO_FACE.frames
    assert [str(o) for o in result.outcomes.values()] == ["filtered"]
    assert [str(f.reason) for f in result.failures] == ["no_face"]


@pytest.mark.slow
def test_the_track_ends_at_the_shot_cut(stage: Faces) -> None:
    _, faces, frames = run(stage, FACE_NOFACE.path)
    assert frames.height == FACE_NOFACE.frames
    assert faces["tick"].max() == 59  # the face is on screen for 2.4 s
    # Ticks are chosen by pts: the nearest frame of this VFR file is less than one frame away.
    assert (faces["pts_us"] - faces["tick"].cast(pl.Int64) * 40_000).abs().max() <= 25_000


@pytest.mark.slow
def test_a_face_that_returns_soon_keeps_its_track_and_a_later_one_does_not(stage: Faces, tmp_path: Path) -> None:
    face = first_picture()
    # A hand before the lens: same picture, the face covered.
    covered = face.copy()
    covered[60:330, 150:430] = covered[:20, :20].mean((0, 1))
    short = clip(tmp_path / "short.mp4", [face] * 20 + [covered] * 12 + [face] * 20)
    _, faces, _ = run(stage, short)
    assert faces["track"].unique().to_list() == [0]
    assert set(range(22, 30)).isdisjoint(faces["tick"].to_list())
    long = clip(tmp_path / "long.mp4", [face] * 20 + [covered] * 40 + [face] * 20)
    assert sorted(run(stage, long)[1]["track"].unique().to_list()) == [0, 1]


@pytest.mark.slow
def test_two_people_are_two_tracks(stage: Faces, tmp_path: Path) -> None:
    face = first_picture()
    # Side by side, one mirrored; shifted so that both are whole.
    pair = np.concatenate([face[:, 100:500], face[:, 100:500][:, ::-1]], axis=1)
    _, faces, _ = run(stage, clip(tmp_path / "pair.mp4", [pair] * 30))
    assert sorted(faces["track"].unique().to_list()) == [0, 1]
    assert faces.group_by("track").len()["len"].to_list() == [30, 30]
    left = {r["track"]: r["box"][0] for r in faces.filter(pl.col("tick") == 15).to_dicts()}
    assert abs(left[0] - left[1]) > 200


@pytest.mark.slow
def test_png_crops_are_lossless_and_jpeg_is_near(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", [first_picture()] * 6)
    crops = {}
    for kind in ("png", "jpeg"):
        stage = Faces(DecodeParams(), FaceParams(crop_format=kind))
        _, faces, _ = run(stage, path)
        crops[kind] = decode_crop(faces["crop"][0]).astype(float)
    assert 0 < np.abs(crops["png"] - crops["jpeg"]).mean() < 4


@pytest.mark.slow
def test_the_same_video_gives_the_same_rows(stage: Faces, tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", [first_picture()] * 10)
    assert run(stage, path)[1].equals(run(stage, path)[1])


def test_a_broken_video_costs_itself_only(stage: Faces, tmp_path: Path) -> None:
    good = clip(tmp_path / "good.mp4", [first_picture()] * 8)
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"garbage")
    import contextlib

    import pyarrow as pa

    rows = inventory_row(good)
    both = pa.concat_tables([rows, rows.set_column(0, "content_id", pa.array(["bad"]))])
    both = both.set_column(1, "uri", pa.array(["good.mp4", "bad.mp4"]))

    @contextlib.contextmanager
    def open_media(uri: str):
        yield tmp_path / uri

    result = stage(both, open_media)
    assert result.side["frames"].num_rows == 8
    assert {str(o) for o in result.outcomes.values()} == {"done", "failed"}
    assert [(f.uri, str(f.reason)) for f in result.failures] == [("bad.mp4", "open_failed")]
