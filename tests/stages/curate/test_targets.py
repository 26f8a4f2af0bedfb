from __future__ import annotations

from typing import Any

import pytest

from tests.stages.curate.made_archive import curate, frames, inputs, video

SPAN = [[0.5, 1.5]]


def rows(
    truth: dict[str, Any], recipe: dict[str, Any] | None = None, segments: list[dict[str, Any]] | None = None, **labels: Any
) -> list[dict]:
    given = inputs([video("a", **truth)], frames("a", **labels), segments)
    return curate(given, recipe).selection.sort("start_tick").to_dicts()


def test_a_clip_is_fake_where_a_span_touches_it() -> None:
    found = rows({"fake": True, "audio_fake": True, "visual_fake": False, "spans": SPAN, "audio_spans": SPAN, "visual_spans": []})
    assert [r["target"] for r in found] == ["fake", "fake", "real"]
    assert [r["fake_spans"] for r in found] == [[[0.5, 1.0]], [[1.0, 1.5]], []]
    assert [(r["audio_fake"], r["visual_fake"]) for r in found] == [(True, False), (True, False), (False, False)]


def test_without_spans_a_fake_clip_is_fake_from_end_to_end() -> None:
    found = rows({"fake": True, "audio_fake": None, "visual_fake": True})
    assert [r["fake_spans"] for r in found] == [[[k, k + 1.0]] for k in (0.0, 1.0, 2.0)]
    assert {(r["audio_fake"], r["visual_fake"]) for r in found} == {(None, True)}


def test_spans_of_both_streams_say_which_clips_of_the_only_fake_stream_are_touched() -> None:
    found = rows({"fake": True, "audio_fake": False, "visual_fake": True, "spans": SPAN})
    assert [r["visual_fake"] for r in found] == [True, True, False]
    both = rows({"fake": True, "audio_fake": True, "visual_fake": True, "spans": SPAN})
    assert [r["visual_fake"] for r in both] == [None, None, False]


def test_overlapping_spans_count_once() -> None:
    found = rows({"fake": True, "spans": [[0.2, 0.6], [0.4, 0.8], [0.8, 0.9]]})
    assert found[0]["fake_spans"] == [[0.2, 0.9]]


def test_a_clip_that_is_hardly_fake_is_left_out() -> None:
    recipe = {"targets": {"min_fake_ticks": 5}}
    assert [(r["start_tick"], r["target"]) for r in rows({"fake": True, "spans": [[0.9, 1.8]]}, recipe)] == [(25, "fake"), (50, "real")]


def test_real_parts_of_a_fake_video_can_be_left_out() -> None:
    assert [r["start_tick"] for r in rows({"fake": True, "spans": SPAN}, {"targets": {"real_parts": "drop"}})] == [0, 25]


def test_the_head_decides_which_spans_count() -> None:
    truth = {"fake": True, "audio_fake": True, "visual_fake": False, "spans": SPAN, "audio_spans": SPAN, "visual_spans": []}
    assert [r["target"] for r in rows(truth, {"targets": {"head": "visual"}})] == ["real"] * 3
    assert [r["target"] for r in rows(truth, {"targets": {"head": "audio"}})] == ["fake", "fake", "real"]


def test_predictions_never_stand_in_for_the_truth_unasked() -> None:
    known, unknown = video("a", fake=False), video("b")
    given = inputs([known, unknown], frames("a", p=0.9) + frames("b", p=0.9))
    assert {(r["content_id"], r["target"], r["target_from"]) for r in curate(given).selection.to_dicts()} == {("id-a", "real", "truth")}
    mixed = curate(given, {"targets": {"target_from": "truth_then_prediction"}}).selection.to_dicts()
    assert {(r["content_id"], r["target"], r["target_from"]) for r in mixed} == {("id-a", "real", "truth"), ("id-b", "fake", "prediction")}


def test_predicted_spans_are_the_segments_of_the_own_face() -> None:
    segments = [
        {"content_id": "id-a", "track": track, "modality": modality, "start_s": start, "end_s": end, "score": 0.9}
        for track, modality, start, end in [
            (0, "total", 0.2, 1.4),
            (1, "total", 2.0, 3.0),
            (None, "audio", 0.0, 0.5),
            (0, "visual", 2.1, 2.2),
        ]
    ]
    found = rows({}, {"targets": {"target_from": "prediction"}}, segments, p=0.9)
    assert [r["target"] for r in found] == ["fake"] * 3
    assert [r["fake_spans"] for r in found] == [[[0.2, 1.0]], [[1.0, 1.4]], []]
    assert [(r["audio_fake"], r["visual_fake"]) for r in found] == [(True, False), (False, False), (False, True)]


@pytest.mark.parametrize(
    ("condition", "left"), [({"agreement": False}, ["b"]), ({"agreement": True}, ["a"]), ({"loss": {"min": 1}}, ["b"])]
)
def test_truth_and_prediction_can_be_set_against_each_other(condition: dict[str, Any], left: list[str]) -> None:
    given = inputs([video("a", fake=False), video("b", fake=True)], frames("a", p=0.1) + frames("b", p=0.1))
    assert curate(given, {"filters": condition}).selection["content_id"].unique().to_list() == [f"id-{name}" for name in left]
