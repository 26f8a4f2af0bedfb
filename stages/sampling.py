"""Sampling: which frame of the source stands for which tick of the 25 Hz clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeVar

from schemas.timebase import TICK_US

MAX_HOLD_US = 500_000
"""A frame stands for ticks at most this far away: a longer hole in a stream is a hole, not a still picture."""


class Timed(Protocol):
    """Anything with a place on the common timeline."""

    pts_us: int


T = TypeVar("T", bound=Timed)


def nearest_frames(frames: Iterator[T]) -> Iterator[tuple[int, T]]:
    """Pairs each tick with the frame nearest to it in time; at equal distance the earlier frame wins.

    Args:
        frames: strictly increasing `pts_us`.

    Yields:
        (tick, frame) in order of ticks. A slow source repeats a frame, a fast one skips some, ticks further than
        `MAX_HOLD_US` from any frame are left out.
    """
    tick = 0
    previous: T | None = None
    for frame in frames:
        if previous is not None:
            middle = (previous.pts_us + frame.pts_us) // 2
            yield from ((k, previous) for k in _held(tick, previous, middle))
            tick = max(tick, middle // TICK_US + 1)
        previous = frame
        tick = max(tick, -(-(frame.pts_us - MAX_HOLD_US) // TICK_US)) if tick * TICK_US < frame.pts_us - MAX_HOLD_US else tick
    if previous is not None:
        yield from ((k, previous) for k in _held(tick, previous, previous.pts_us + TICK_US // 2))


def _held(first_tick: int, frame: Timed, until_us: int) -> range:
    """Ticks from `first_tick` up to a time, as far as the frame may stand for them."""
    return range(first_tick, min(until_us, frame.pts_us + MAX_HOLD_US) // TICK_US + 1)
