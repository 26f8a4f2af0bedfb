"""Curated diff: each clip's change is found once, and only real changes are."""

from __future__ import annotations

import polars as pl

from schemas.tables import CURATED
from stages.contract import as_frame
from stages.curated_diff import compare
from tests.pipelines.exports.made_set import FAKE, clip
from tests.pipelines.made_labels import table


def made(*rows):
    return as_frame(table(CURATED, list(rows)))


def test_added_removed_moved_and_retargeted_clips():
    a = made(
        clip("a", "a.mp4"), clip("b", "b.mp4"), clip("c", "c.mp4"), clip("d", "d.mp4", fake_spans=[[0.1, 0.5]], **FAKE), clip("e", "e.mp4")
    )
    b = made(
        clip("b", "b.mp4", split="test"), clip("c", "c.mp4", split="dev", **FAKE), clip("d", "d.mp4", fake_spans=[[0.1, 0.6]], **FAKE),
        clip("e", "e.mp4", weight=2.0, p_total=0.9), clip("f", "f.mp4"),
    )  # fmt: skip
    found = compare(a, b)
    assert found.select("change", "clip_id").rows() == [
        ("added", "f-0-0"), ("removed", "a-0-0"), ("split", "b-0-0"), ("split", "c-0-0"), ("target", "c-0-0"), ("target", "d-0-0"),
    ]  # fmt: skip
    row = found.filter(pl.col("change") == "target").row(0, named=True)
    assert (row["split_a"], row["split_b"], row["target_a"], row["target_b"]) == ("train", "dev", "real", "fake")


def test_equal_sets_in_another_order_do_not_differ():
    rows = [clip("a", "a.mp4"), clip("b", "b.mp4", fake_spans=None, **FAKE)]
    assert compare(made(*rows), made(*rows[::-1])).is_empty()
    assert compare(made(), made()).is_empty()
