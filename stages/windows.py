"""Windows: where the network's 25-tick windows lie on a stretch of ticks."""

from __future__ import annotations

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
