from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from schemas.timebase import TICK_US, num_ticks, pts_to_us, tick_of


@given(st.integers(-(10**12), 10**12), st.integers(1, 2000), st.integers(1, 10**6))
def test_microseconds_are_exact_to_half_a_microsecond(pts: int, num: int, den: int) -> None:
    exact = Fraction(pts * num * 1_000_000, den)
    assert abs(pts_to_us(pts, num, den) - exact) <= Fraction(1, 2)


@given(st.integers(0, 10**12))
def test_a_tick_is_at_most_half_a_tick_away(pts_us: int) -> None:
    tick = int(tick_of(np.array([pts_us]))[0])
    assert abs(tick * TICK_US - pts_us) <= TICK_US // 2


def test_frames_at_25_hz_are_ticks() -> None:
    assert tick_of(np.arange(1000) * TICK_US).tolist() == list(range(1000))


def test_a_time_before_the_start_is_tick_zero() -> None:
    assert tick_of(np.array([-90_000])).tolist() == [0]


def test_a_started_tick_counts() -> None:
    assert [num_ticks(us) for us in (0, 1, TICK_US, TICK_US + 1)] == [0, 1, 1, 2]
