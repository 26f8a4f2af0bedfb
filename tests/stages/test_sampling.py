from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.timebase import TICK_US
from stages.sampling import MAX_HOLD_US, nearest_frames


@dataclass
class Frame:
    pts_us: int


def ticks_of(times: list[int]) -> dict[int, int]:
    return {tick: frame.pts_us for tick, frame in nearest_frames(Frame(t) for t in times)}


@given(st.lists(st.integers(0, 4_000_000), min_size=1, max_size=80, unique=True).map(sorted))
def test_every_tick_gets_its_nearest_frame(times: list[int]) -> None:
    chosen = ticks_of(times)
    assert list(chosen) == sorted(chosen)
    for tick, pts_us in chosen.items():
        assert abs(pts_us - tick * TICK_US) == min(abs(t - tick * TICK_US) for t in times)
    last = (times[-1] + TICK_US // 2) // TICK_US
    for tick in range(last + 1):
        near = min(abs(t - tick * TICK_US) for t in times)
        # A tick within reach of a frame has one; in a hole, frames are held for half a second at most.
        assert (tick in chosen) == (near <= MAX_HOLD_US)


@pytest.mark.parametrize("rate", [23.976, 25.0, 29.97, 30.0, 50.0, 59.94])
def test_no_rate_drifts(rate: float) -> None:
    times = [round(i * 1e6 / rate) for i in range(round(rate * 600))]  # ten minutes
    chosen = ticks_of(times)
    assert len(chosen) == pytest.approx(600 * 25, abs=2)
    assert max(abs(pts - tick * TICK_US) for tick, pts in list(chosen.items())[:-1]) <= 0.5e6 / rate + 1


def test_25_hz_is_one_to_one() -> None:
    times = [i * TICK_US for i in range(100)]
    assert list(ticks_of(times).values()) == times


def test_a_late_start_leaves_the_first_ticks_empty() -> None:
    chosen = ticks_of([2_000_000, 2_040_000])
    assert min(chosen) * TICK_US >= 2_000_000 - MAX_HOLD_US


def test_no_frames_no_ticks() -> None:
    assert ticks_of([]) == {}
