"""Cuts: where one shot ends and another begins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SAMPLES = 96  # rows and columns looked at
_BINS = 16


class CutDetector:
    """Compares the colour histograms of neighbouring ticks."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._last: NDArray[np.float64] | None = None

    def __call__(self, rgb: NDArray[np.uint8]) -> bool:
        """Whether a new shot begins with this (H, W, 3) picture.

        The distance is half the L1 distance of the joint colour histogram (16 levels a channel, 0 equal, 1 disjoint).
        """
        step_y, step_x = max(1, rgb.shape[0] // _SAMPLES), max(1, rgb.shape[1] // _SAMPLES)
        levels = rgb[::step_y, ::step_x].reshape(-1, 3).astype(np.int32) * _BINS // 256
        index = (levels[:, 0] * _BINS + levels[:, 1]) * _BINS + levels[:, 2]
        histogram = np.bincount(index, minlength=_BINS**3) / len(index)
        last, self._last = self._last, histogram
        return last is not None and 0.5 * float(np.abs(histogram - last).sum()) > self._threshold
