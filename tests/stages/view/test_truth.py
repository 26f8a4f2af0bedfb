from __future__ import annotations

from typing import Any

from schemas.tables import INVENTORY, TRUTH_PROBLEMS
from stages.view.truth import truth_entry, truth_summary
from tests.stages.test_truth_frames import table


def row(uri: str = "a.mp4", **truth: Any) -> dict[str, Any]:
    return {"uri": uri, "content_id": "a"} | {f"truth_{name}": value for name, value in truth.items()}


def test_says_streams_spans_method_split_and_data_set() -> None:
    one = row(dataset="lavdf", fake=True, visual_fake=True, audio_fake=False, visual_spans=[[1, 2]], methods=["x"], split="test")
    entry = truth_entry(table(INVENTORY, [one]))
    assert entry is not None
    assert (entry.word, entry.text) == ("fake", "picture fake 1.00\N{EN DASH}2.00 s; sound real; x; split test; by lavdf")


def test_what_is_not_known_and_what_copies_contradict() -> None:
    dfdc = truth_entry(table(INVENTORY, [row(dataset="dfdc", fake=True, spans=[[0, 1]])]))
    assert dfdc is not None and dfdc.text == "picture not known; sound not known; fake 0.00\N{EN DASH}1.00 s; by dfdc"
    both = truth_entry(table(INVENTORY, [row("b.mp4", dataset="d", fake=True), row(dataset="e", fake=False), row("c.mp4")]))
    assert both is not None and (both.word, both.text.count(" / ")) == ("contradictory", 1)
    assert truth_entry(table(INVENTORY, [row()])) is None


def test_the_summary_is_silent_where_nothing_is_known() -> None:
    nothing = table(INVENTORY, [row()])
    assert truth_summary(nothing, None) == truth_summary(nothing, table(TRUTH_PROBLEMS, [])) == ""
    broken = table(TRUTH_PROBLEMS, [{"kind": "metadata"}])
    assert "known of 0 files." in truth_summary(nothing, broken) and "does not match: 1 metadata" in truth_summary(nothing, broken)
    assert "known of 1 files (1 of d)." in truth_summary(table(INVENTORY, [row(dataset="d"), row("b.mp4")]), None)
