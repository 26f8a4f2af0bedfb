"""Windows: where the network's 25-tick windows lie on a stretch of ticks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from schemas.timebase import WINDOW_TICKS


def window_starts(length: int, stride_ticks: int) -> NDArray[np.int64]:
    """(N,) first ticks of the windows in [0, length), `stride_ticks` apart, the last one flush with the end.

    Every tick is covered when `length` is at least 25; a shorter stretch has no window.
    """
    if length < WINDOW_TICKS:
        return np.zeros(0, np.int64)
    return np.unique(np.append(np.arange(0, length - WINDOW_TICKS + 1, stride_ticks), length - WINDOW_TICKS)).astype(np.int64)


def mean_over_windows(starts: Sequence[int], values: Sequence[float], num_ticks: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean over the windows that cover a tick, (T,) with NaN where none does; and how many do, (T,).

    Args:
        starts: first tick of each window.
        values: one number for each window.
        num_ticks: T.
    """
    total, count = np.zeros(num_ticks), np.zeros(num_ticks, np.int64)
    for start, value in zip(starts, values, strict=True):
        total[start : start + WINDOW_TICKS] += value
        count[start : start + WINDOW_TICKS] += 1
    return np.where(count > 0, total / np.maximum(count, 1), np.nan), count
