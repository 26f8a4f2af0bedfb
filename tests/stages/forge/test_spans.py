from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from schemas.recipe import SpanParams
from stages.forge.spans import draw_spans, frames_in, spans_of


@given(st.integers(0, 10**6), st.floats(0.5, 8.0), st.integers(1, 4))
def test_spans_lie_inside_apart_and_are_not_the_whole(seed: int, length: float, count: int) -> None:
    params = SpanParams(max_count=count)
    spans = draw_spans([(1.0, 1.0 + length)], params, np.random.default_rng(seed))
    assert len(spans) <= count
    for start, end in spans:
        assert start >= 1.0 and end <= 1.0 + length + 1e-9
        assert params.min_s - 1e-9 <= end - start <= params.max_s + 1e-9
    assert all(a[1] < b[0] for a, b in itertools.pairwise(spans))
    assert sum(end - start for start, end in spans) <= 0.6 * length + 1e-6


def test_nothing_fits_into_too_little() -> None:
    assert draw_spans([(0.0, 0.15)], SpanParams(), np.random.default_rng(0)) == []


def test_the_liked_place_wins() -> None:
    spans = [draw_spans([(0.0, 5.0)], SpanParams(max_count=1), np.random.default_rng(s), lambda span: -abs(span[0] - 3)) for s in range(10)]
    assert np.mean([abs(s[0][0] - 3) for s in spans]) < 0.8


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_frames_and_spans_name_the_same_frames(chosen: list[bool]) -> None:
    pts_us = np.arange(len(chosen), dtype=np.int64) * 40_000
    mask = np.array(chosen)
    np.testing.assert_array_equal(frames_in(spans_of(mask, pts_us, len(chosen) * 0.04), pts_us), mask)
