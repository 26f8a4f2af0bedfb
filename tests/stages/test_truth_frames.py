from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.tables import INVENTORY, LABELS
from schemas.truth import TruthRow
from stages.contract import as_frame
from stages.truth_frames import in_spans, truth_frames


def table(schema: Any, rows: list[dict[str, Any]]) -> pl.DataFrame:
    empty = as_frame(schema.empty_table())
    return pl.DataFrame([{name: row.get(name) for name in empty.columns} for row in rows], schema=empty.schema)


def frame(index: int, **more: Any) -> dict[str, Any]:
    return {"content_id": "c", "track": 0, "frame_index": index, "pts_us": index * 40_000, "basis": "total"} | more


INVENTORY_ROWS = table(INVENTORY, [{"uri": "a.mp4", "content_id": "c"}, {"uri": "copy.mp4", "content_id": "c"}, {"uri": "broken.mp4"}])


def test_start_is_inclusive_and_end_exclusive() -> None:
    pts_us = np.arange(10) * 40_000
    assert np.flatnonzero(in_spans([(0.08, 0.2)], pts_us, np.arange(10))).tolist() == [2, 3, 4]
    assert np.flatnonzero(in_spans([(0.0, 0.04), (0.32, 9.0)], pts_us, np.arange(10))).tolist() == [0, 8, 9]
    assert not in_spans([(0.1, 0.1)], pts_us, np.arange(10)).any()


@pytest.mark.parametrize("number", [29, 57, 58, 113, 114, 115, 116, 201])  # where int(25 t) is one frame low
def test_exact_and_upstream_frames_differ_where_doubles_do(number: int) -> None:
    start = number / 25
    index = np.arange(300)
    exact, upstream = (in_spans([(start, 12.0)], index * 40_000, index, rule) for rule in ("exact", "upstream"))  # type: ignore[arg-type]
    assert np.flatnonzero(exact)[0] == number
    assert np.flatnonzero(upstream)[0] == int(start * 25) == number - 1


RATES = (24_000 / 1001, 25.0, 30_000 / 1001, 30.0, 50.0, 60_000 / 1001)


@st.composite
def videos(draw: st.DrawFn) -> tuple[list[int], list[bool]]:
    """Timestamps in microseconds, of a constant rate or of none, and which frames are fake."""
    flags = draw(st.lists(st.booleans(), min_size=1, max_size=60))
    start_us = draw(st.integers(0, 3_600_000_000))
    if draw(st.booleans()):
        rate = draw(st.sampled_from(RATES))
        return [start_us + int(number * 1e6 / rate) for number in range(len(flags))], flags
    steps_us = draw(st.lists(st.integers(2_000, 200_000), min_size=len(flags), max_size=len(flags)))
    return [start_us + sum(steps_us[:number]) for number in range(len(flags))], flags


@given(video=videos(), decimals=st.sampled_from([6, 9, 12]))
def test_frames_become_spans_and_the_same_frames_again(video: tuple[list[int], list[bool]], decimals: int) -> None:
    pts, flags = np.array(video[0]), np.array(video[1])
    # A span runs from the first of its frames to the one after the last, as a container or a person would write it down: in seconds.
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    times_s = [round(float(t) / 1e6, decimals) for t in np.append(pts, pts[-1] + 40_000)[edges]]
    spans = list(zip(times_s[::2], times_s[1::2], strict=True))
    assert in_spans(spans, pts, np.arange(len(pts))).tolist() == flags.tolist()


@given(first=st.integers(0, 2_000), length=st.integers(0, 50))
def test_frames_of_a_25_hz_video_become_spans_and_the_same_frames_again(first: int, length: int) -> None:
    index = np.arange(2_100)
    span = (first / 25, (first + length) / 25)
    assert np.flatnonzero(in_spans([span], index * 40_000, index)).tolist() == list(range(first, first + length))
    upstream = np.flatnonzero(in_spans([span], index * 40_000, index, "upstream"))
    assert upstream.tolist() == list(range(int(span[0] * 25), int(span[1] * 25)))
    # Doubles put an edge one frame early at the most.
    assert {int(span[0] * 25) - first, int(span[1] * 25) - first - length} <= {0, -1}


@given(start=st.floats(0, 100), length=st.floats(0, 10))
def test_rules_differ_by_a_frame_at_each_edge_at_the_most(start: float, length: float) -> None:
    index = np.arange(2_800)
    exact, upstream = (in_spans([(start, start + length)], index * 40_000, index, rule) for rule in ("exact", "upstream"))  # type: ignore[arg-type]
    assert (exact != upstream).sum() <= 2


def test_a_span_that_ends_after_the_video_covers_what_is_there() -> None:
    index = np.arange(10)
    for rule in ("exact", "upstream"):
        assert np.flatnonzero(in_spans([(0.32, 9.0)], index * 40_000, index, rule)).tolist() == [8, 9]  # type: ignore[arg-type]


def test_a_timestamp_that_was_rounded_down_is_still_at_the_edge() -> None:
    pts_us = np.array([33_366, 33_367])  # 1001/30000 s
    assert in_spans([(1001 / 30_000, 1.0)], pts_us, np.arange(2)).tolist() == [True, True]


def test_a_frame_is_as_fake_as_its_most_suspicious_face() -> None:
    rows = [frame(0, p_total=0.25, label="real"), frame(0, track=1, p_total=0.75, label="fake"), frame(1, p_total=0.5, label="uncertain")]
    found = truth_frames([TruthRow(file="a.mp4")], INVENTORY_ROWS, table(LABELS, rows))
    assert found.p["total"].tolist() == [0.75, 0.5]
    assert found.label.tolist() == [3, 2]


def test_total_is_what_the_label_rests_on() -> None:
    rows = [
        frame(0, p_visual=0.75, basis="visual", label="fake"),
        frame(1, p_visual=0.75, p_audio=0.5, basis=None, track=None, reason="no_face"),
        frame(2, p_total=0.25, p_visual=0.75),
    ]
    found = truth_frames([TruthRow(file="a.mp4")], INVENTORY_ROWS, table(LABELS, rows))
    assert np.nan_to_num(found.p["total"], nan=-1).tolist() == [0.75, -1, 0.25]
    assert np.nan_to_num(found.p["audio"], nan=-1).tolist() == [-1, 0.5, -1]


def test_copies_share_their_labels_and_clips_without_labels_are_left_out() -> None:
    truth = [
        TruthRow(file=name, fake_periods=[(0, 0.04)] if name == "copy.mp4" else [])
        for name in ("copy.mp4", "broken.mp4", "gone.mp4", "a.mp4")
    ]
    found = truth_frames(truth, INVENTORY_ROWS, table(LABELS, [frame(1, p_total=0.5), frame(0, p_total=0.25)]))
    assert [row.file for row in found.clips] == ["copy.mp4", "a.mp4"]
    assert found.clip.tolist() == [0, 0, 1, 1]
    assert found.frame_index.tolist() == [0, 1, 0, 1]
    assert found.fake("total").tolist() == [True, False, False, False]


def test_no_labels_no_frames() -> None:
    found = truth_frames([TruthRow(file="a.mp4")], INVENTORY_ROWS, table(LABELS, [frame(0)]).clear())
    assert found.clips == [] and len(found.clip) == 0
