from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

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
