from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from schemas.tables import LABELS
from stages.curate.clips import clips_of
from tests.stages.curate.made_archive import frames, table


def clips(rows: list[dict[str, Any]], stride: int = 25, **more: Any) -> pl.DataFrame:
    found = clips_of(table(LABELS, rows).lazy(), stride, more.pop("head", "total"), **more).collect()
    return found.sort("content_id", "track", "start_tick", nulls_last=True)


def test_clips_are_whole_seconds_of_the_clock() -> None:
    found = clips(frames("a", seconds=2.96))
    assert found.select("start_tick", "end_tick", "start_us", "end_us", "frame_from", "frame_to", "ticks").rows() == [
        (0, 25, 0, 1_000_000, 0, 25, 25), (25, 50, 1_000_000, 2_000_000, 25, 50, 25),
    ]  # fmt: skip


@pytest.mark.parametrize(("rate", "frames_each"), [(50.0, 50), (25.0, 25), (30.0, 30)])
def test_frames_belong_to_the_nearest_tick_at_any_rate(rate: float, frames_each: int) -> None:
    found = clips(frames("a", seconds=3, rate=rate))
    assert found.height == 3
    assert (found["frame_to"] - found["frame_from"]).sum() == pytest.approx(3 * frames_each, abs=1)
    assert found["frame_to"].to_list()[:-1] == found["frame_from"].to_list()[1:]


def test_overlapping_clips_start_at_every_stride() -> None:
    assert clips(frames("a", seconds=2), stride=10)["start_tick"].to_list() == [0, 10, 20]
    assert clips(frames("a", seconds=4), stride=40)["start_tick"].to_list() == [0, 40]


def test_a_clip_is_of_one_face_and_its_bounds_are_those_of_the_video() -> None:
    late = [row for row in frames("a", seconds=2, track=1, p=0.9) if row["frame_index"] >= 35]
    found = clips(frames("a", seconds=2) + late)
    assert found.select("track", "start_tick", "ticks", "frame_from", "frame_to").rows() == [
        (0, 0, 25, 0, 25), (0, 25, 25, 25, 50), (1, 25, 15, 25, 50),
    ]  # fmt: skip
    whole = clips(frames("a", seconds=2) + late, whole_picture=True)
    assert whole.select("track", "start_tick", "fake_frames", "real_frames").rows() == [(None, 0, 0, 25), (None, 25, 15, 10)]


def test_the_box_is_the_union_and_numbers_are_means() -> None:
    rows = frames("a", seconds=1)
    rows[3] = rows[3] | {"box": [5.0, 30.0, 50.0, 200.0], "p_total": 0.6, "quality": None}
    found = clips(rows).row(0, named=True)
    assert [found[side] for side in ("left", "top", "right", "bottom")] == [5.0, 20.0, 110.0, 200.0]
    assert found["p_total"] == pytest.approx((24 * 0.1 + 0.6) / 25, abs=1e-4)
    assert found["quality"] == 0.5
    assert found["face_px"] == pytest.approx((24 * 100 + 45) / 25)


def test_without_sound_the_visual_head_speaks() -> None:
    mute = {"p_total": None, "p_audio": None, "basis": "visual", "p_visual": 0.75}
    found = clips(frames("a", seconds=1, **mute)).row(0, named=True)
    assert (found["p"], found["p_total"], found["confidence"]) == (0.75, None, 0.5)
    assert clips(frames("a", seconds=1, **mute), head="audio")["p"].to_list() == [None]


def test_means_do_not_depend_on_the_order_of_rows() -> None:
    rows = [row | {"p_total": 0.1 + row["frame_index"] / 1000, "quality": 1 / (1 + row["frame_index"])} for row in frames("a", seconds=8)]
    assert clips(rows, stride=5).equals(clips(rows[::-1], stride=5))
