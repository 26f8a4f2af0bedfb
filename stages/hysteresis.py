"""Hysteresis: from a probability over time to real, fake or uncertain, with two thresholds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

REAL, UNCERTAIN, FAKE, UNKNOWN = "real", "uncertain", "fake", None


def moving_average(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Centred mean over `width` places that skips NaN; a place that is NaN stays NaN. values: (T,)."""
    if not len(values):
        return values
    known = np.isfinite(values)
    kernel = np.ones(width)
    total = np.convolve(np.where(known, values, 0.0), kernel, mode="full")
    count = np.convolve(known.astype(float), kernel, mode="full")
    start = (width - 1) // 2
    mean = total[start : start + len(values)] / np.maximum(count[start : start + len(values)], 1.0)
    return np.where(known, mean, np.nan)


def states(p: NDArray[np.float64], fake_above: float, real_below: float) -> list[str | None]:
    """One state for each place.

    A run of places that never falls below `real_below` is fake if it reaches `fake_above` anywhere; otherwise its
    places are uncertain. Places below `real_below` are real. NaN has no state and ends a run.

    Args:
        p: (T,) probabilities of fake, NaN where unknown.
        fake_above: at least `real_below`.
        real_below: in [0, 1].
    """
    above = np.isfinite(p) & (p >= real_below)
    result: list[str | None] = [UNKNOWN if np.isnan(v) else REAL for v in p]
    for start, end in runs(above):
        state = FAKE if np.nanmax(p[start:end]) >= fake_above else UNCERTAIN
        result[start:end] = [state] * (end - start)
    return result


def runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """[start, end) of each run of true in a (T,) array."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
