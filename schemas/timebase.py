"""The 25 Hz clock that pixels, sound and labels share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TICK_US = 40_000
"""Length of a tick in microseconds: the network runs at 25 Hz."""

TICKS_PER_S = 25
HOPS_PER_TICK = 4
"""Mel hops per tick: 160 samples at 16 kHz are 10 ms."""

WINDOW_TICKS = 25
"""Ticks in one window of the network: one second."""


def pts_to_us(pts: int, time_base_num: int, time_base_den: int) -> int:
    """A stream timestamp in microseconds, rounded half up, in exact integer arithmetic."""
    return (2 * pts * time_base_num * 1_000_000 + time_base_den) // (2 * time_base_den)


def tick_of(pts_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """The nearest tick of each timestamp.

    Args:
        pts_us: (N,) int64, microseconds from the start of the common timeline.

    Returns:
        (N,) int64; a timestamp exactly between two ticks goes to the later one. Times before the start belong to tick 0.
    """
    return np.maximum((np.asarray(pts_us, np.int64) + TICK_US // 2) // TICK_US, 0)


def num_ticks(duration_us: int) -> int:
    """How many ticks begin within a duration in microseconds."""
    return max(0, -(-duration_us // TICK_US))
