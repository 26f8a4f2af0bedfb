from __future__ import annotations

from typing import Any

import pytest

from schemas.tables import INVENTORY, LABELS, STORED_LABELS
from stages.truth_labels import STREAMS, by_content, run
from tests.stages.test_truth_frames import table


def video(uri: str = "a.mp4", content_id: str | None = "a", **truth: Any) -> dict[str, Any]:
    return {"uri": uri, "content_id": content_id} | {f"truth_{name}": value for name, value in truth.items()}


def told(*videos: dict[str, Any], rule: Any = "exact", frames: int = 5) -> dict[str, list[bool | None]]:
    """The truth of frames at 25 Hz of the content `a`, by flag."""
    rows = [{"content_id": "a", "frame_index": i, "pts_us": 40_000 * i, "label": "real"} for i in range(frames)]
    rows += [{"content_id": "another", "frame_index": 0, "pts_us": 0}]
    labels = table(STORED_LABELS, rows).to_arrow().cast(STORED_LABELS)
    public = run(labels, by_content(table(INVENTORY, list(videos)))[0], rule)
    assert public.schema.equals(LABELS, check_metadata=True)
    assert public.select(STORED_LABELS.names).equals(labels)
    found = {flag: public[flag].to_pylist() for flag in STREAMS}
    assert all(values.pop() is None for values in found.values())
    return found


def test_spans_are_frames_and_each_stream_has_its_own() -> None:
    found = told(video(fake=True, visual_fake=True, audio_fake=False, spans=[[0.04, 0.12]], visual_spans=[[0.04, 0.12]], audio_spans=[]))
    assert found["truth_fake"] == found["truth_visual_fake"] == [False, True, True, False, False]
    assert found["truth_audio_fake"] == [False] * 5


def test_what_is_only_known_of_the_whole_clip_holds_for_every_frame() -> None:
    found = told(video(fake=True, visual_fake=True))
    assert found == {"truth_fake": [True] * 5, "truth_visual_fake": [True] * 5, "truth_audio_fake": [None] * 5}


@pytest.mark.parametrize("truth", [{}, {"fake": True, "spans": []}])
def test_what_is_not_known_is_null(truth: dict[str, Any]) -> None:
    assert told(video(**truth))["truth_fake"] == [None] * 5


def test_the_upstream_rule_is_there() -> None:
    one = video(fake=True, spans=[[1.16, 2.0]])  # int(25 * 1.16) is 28
    assert [told(one, rule=rule, frames=31)["truth_fake"].index(True) for rule in ("exact", "upstream")] == [29, 28]


def test_copies_that_contradict_each_other_leave_nothing_known_of_that_stream() -> None:
    same = {"audio_fake": False, "visual_fake": True}
    videos = [video("a.mp4", fake=True, **same), video("b.mp4", fake=False, **same), video("c.mp4")]
    found = told(*videos)
    assert found == {"truth_fake": [None] * 5, "truth_audio_fake": [False] * 5, "truth_visual_fake": [True] * 5}
    assert by_content(table(INVENTORY, videos))[1] == [
        ("b.mp4", "truth_fake: the same bytes as a.mp4, of which something else is said; neither is taken")
    ]


def test_a_file_that_could_not_be_read_has_no_content_to_tell_of() -> None:
    assert by_content(table(INVENTORY, [video(content_id=None, fake=True)])) == ({}, [])
