from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.proposals import MOST, proposals

FRAME_US = 40_000


def proposed(p: list[float]) -> list[list[float]]:
    return proposals(np.arange(len(p)) * FRAME_US, np.array(p))


def test_the_best_proposal_has_the_edges_of_the_fake_stretch() -> None:
    score, start, end = proposed([0.1] * 25 + [0.9] * 25 + [0.1] * 25)[0]
    assert (start, end) == (1.0, 2.0)
    assert 0.75 < score < 0.85  # 0.9 inside, 0.1 around


def test_a_video_that_is_fake_from_end_to_end_is_one_span() -> None:
    assert proposed([0.9] * 50)[0] == pytest.approx([0.9, 0.0, 2.0])
    assert len(proposed([0.9] * 50)) == 1


def test_a_short_hole_is_bridged_and_a_long_one_is_not() -> None:
    nan = float("nan")
    assert [row[1:] for row in proposed([0.9] * 10 + [nan] * 5 + [0.9] * 10)] == [[0.0, 1.0]]
    spans = [row[1:] for row in proposed([0.9] * 10 + [nan] * 6 + [0.9] * 10)]
    assert sorted(spans) == [[0.0, 0.4], [0.64, 1.04]]


def test_nothing_to_propose() -> None:
    assert proposed([]) == proposed([float("nan")] * 5) == proposed([0.05] * 20) == []


@settings(deadline=None, max_examples=100)
@given(st.lists(st.one_of(st.floats(0, 1), st.just(float("nan"))), max_size=60))
def test_proposals_are_sorted_apart_and_inside(p: list[float]) -> None:
    rows = proposed(p)
    assert len(rows) <= MOST
    scores = [score for score, _, _ in rows]
    assert scores == sorted(scores, reverse=True)
    for n, (_, start, end) in enumerate(rows):
        assert 0 <= start < end <= len(p) * FRAME_US / 1e6 + 1e-9
        for _, a, b in rows[:n]:
            assert min(end, b) - max(start, a) < 0.8 * (max(end, b) - min(start, a))
