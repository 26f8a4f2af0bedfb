from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from schemas.tables import DIFF, LABELS, SEGMENTS
from stages import label_diff
from stages.contract import as_frame, table_from_columns

URIS = pl.DataFrame({"content_id": ["v"], "uri": ["a/v.mp4"]})


def labels(*rows: dict[str, Any]) -> pl.LazyFrame:
    filled = [{"content_id": "v", "track": 0, "label": "real", "pts_us": 40_000 * row["frame_index"]} | row for row in rows]
    return as_frame(table_from_columns({n: [row.get(n) for row in filled] for n in LABELS.names}, LABELS)).lazy()


def segments(*spans: tuple[float, float], track: int | None = 0, modality: str = "total") -> pl.DataFrame:
    rows = [{"content_id": "v", "track": track, "modality": modality, "start_s": s, "end_s": e, "score": 0.9} for s, e in spans]
    return as_frame(table_from_columns({n: [row.get(n) for row in rows] for n in SEGMENTS.names}, SEGMENTS))


def changed(a: pl.LazyFrame, b: pl.LazyFrame) -> list[dict[str, Any]]:
    return label_diff.changed(label_diff.join(a, b), URIS).collect().to_dicts()


def counts(a: pl.LazyFrame, b: pl.LazyFrame) -> list[dict[str, Any]]:
    return label_diff.count(label_diff.join(a, b)).collect(engine="streaming").sort("frames").to_dicts()


def test_each_change_has_its_name_and_the_rest_is_left_out() -> None:
    a = labels(*({"frame_index": i} for i in range(4)), {"frame_index": 4, "label": "fake"})
    b = labels(
        {"frame_index": 0},
        {"frame_index": 1, "label": "fake"},
        {"frame_index": 2, "reason": "no_audio"},
        {"frame_index": 3, "label": None, "reason": "bad_packets"},
        {"frame_index": 5},
    )
    rows = changed(a, b)
    assert [(r["frame_index"], r["change"], r["label_a"], r["label_b"]) for r in rows] == [
        (1, "label", "real", "fake"),
        (2, "reason", "real", "real"),
        (3, "label", "real", None),
        (4, "removed", "fake", None),
        (5, "added", None, "real"),
    ]
    assert rows[2]["reason_b"] == "bad_packets"
    assert [r["pts_us"] for r in rows] == [40_000 * r["frame_index"] for r in rows]
    assert list(rows[0]) == DIFF.names
    assert {r["uri"] for r in rows} == {"a/v.mp4"}


def test_frames_without_a_face_meet_each_other() -> None:
    """Their track is null, and null equals nothing in a join that is not told so."""
    side = labels({"frame_index": 0, "track": None, "label": None, "reason": "no_face"})
    assert changed(side, side) == []
    assert [c["frames"] for c in counts(side, side)] == [1]


def test_a_face_that_only_one_version_saw_is_two_rows() -> None:
    rows = changed(labels({"frame_index": 0, "track": None, "label": None, "reason": "no_face"}), labels({"frame_index": 0}))
    assert {(r["track"], r["change"], r["reason_a"], r["label_b"]) for r in rows} == {
        (None, "removed", "no_face", None),
        (0, "added", None, "real"),
    }


def test_another_probability_is_counted_and_is_no_change() -> None:
    a = labels({"frame_index": 0, "p_total": 0.5, "p_visual": 0.25}, {"frame_index": 1, "p_visual": 0.5}, {"frame_index": 2})
    b = labels({"frame_index": 0, "p_total": 0.75, "p_visual": 0.25}, {"frame_index": 1, "p_visual": 0.5}, {"frame_index": 2})
    (found,) = counts(a, b)
    assert (found["change"], found["frames"], found["rescored"], found["largest"]) == (None, 3, 1, 0.25)
    assert changed(a, b) == []


def test_the_same_span_counts_as_such_and_scores_alone_do_not_move_it() -> None:
    spans = label_diff.spans(segments((1, 2)), segments((1, 2)).with_columns(score=pl.lit(0.8, pl.Float32)))
    assert spans["change"].to_list() == [None]


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        ([(1, 2)], [], {("removed", 1, None)}),
        ([], [(1, 2)], {("added", None, 1)}),
        ([(1, 2)], [(1.5, 3)], {("moved", 1, 1.5)}),
        ([(1, 2)], [(2, 3)], {("removed", 1, None), ("added", None, 2)}),  # ends touch, no time is shared
        ([(1, 9)], [(1, 4.5), (5, 8.5)], {("moved", 1, 1), ("added", None, 5)}),  # on a tie the earlier one
        ([(1, 3), (4, 9)], [(2, 9)], {("moved", 4, 2), ("removed", 1, None)}),  # the larger share wins
        ([], [], set()),
    ],
)
def test_spans_are_paired_by_the_time_they_share(a: list, b: list, found: set) -> None:
    rows = label_diff.spans(segments(*a), segments(*b)).to_dicts()
    assert {(r["change"], r["start_s_a"], r["start_s_b"]) for r in rows} == found


def test_spans_of_the_sound_have_no_track_and_meet_only_their_own_kind() -> None:
    sound, face = segments((1, 2), track=None, modality="audio"), segments((1, 2))
    assert label_diff.spans(sound, sound)["change"].to_list() == [None]
    assert sorted(label_diff.spans(sound, face)["change"]) == ["added", "removed"]
