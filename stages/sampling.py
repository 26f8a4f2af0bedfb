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
        if previous is None:
            tick = max(0, -(-(frame.pts_us - MAX_HOLD_US) // TICK_US)) if frame.pts_us > MAX_HOLD_US else 0
        else:
            middle = (previous.pts_us + frame.pts_us) // 2
            while tick * TICK_US <= middle:
                if tick * TICK_US - previous.pts_us > MAX_HOLD_US:
                    tick = max(tick + 1, -(-(frame.pts_us - MAX_HOLD_US) // TICK_US))
                    break
                yield tick, previous
                tick += 1
        previous = frame
    if previous is not None:
        while tick * TICK_US <= previous.pts_us + TICK_US // 2:
            yield tick, previous
            tick += 1
