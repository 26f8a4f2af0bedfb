"""Proposals: scored candidates for fake spans from frame probabilities, many enough to rank."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stages.hysteresis import runs

THRESHOLDS = tuple(round(0.1 * step, 1) for step in range(1, 10))
MOST = 100
"""Kept for each video; no figure looks at more."""

_BRIDGE_US = 200_000  # interruptions up to this long, as for the published segments
_FLANK, _MIN_FLANK_US = 0.5, 200_000  # of a span's length, on each side, and at least
_SAME_IOU = 0.8


def proposals(pts_us: NDArray[np.int64], p: NDArray[np.float64]) -> list[list[float]]:
    """[score, start_s, end_s], the best first.

    A candidate is a stretch whose frames reach one of `THRESHOLDS`, holes bridged. Its score is the mean probability inside
    less the mean of its flanks (0 where there are none), so that of two nested candidates the one with the sharper edges
    wins. One that overlaps a better one by an IoU of 0.8 is dropped.

    Args:
        pts_us: (T,) rising.
        p: (T,) probability of fake, NaN where unknown.
    """
    known = np.isfinite(p)
    times, values = pts_us[known], p[known]
    if not len(times):
        return []
    frame_us = int(np.median(np.diff(pts_us))) if len(pts_us) > 1 else 40_000
    sums = np.append(0.0, np.cumsum(values))
    found: dict[tuple[int, int], float] = {}
    for threshold in THRESHOLDS:
        for first, last in _stretches(times, values >= threshold, frame_us):
            start, end = int(times[first]), int(times[last]) + frame_us
            flank = max(_MIN_FLANK_US, int(_FLANK * (end - start)))
            left, right = np.searchsorted(times, start - flank), np.searchsorted(times, end + flank)
            around = (sums[first] - sums[left]) + (sums[right] - sums[last + 1])
            num_around = (first - left) + (right - last - 1)
            inside = (sums[last + 1] - sums[first]) / (last + 1 - first)
            found[start, end] = float(inside - (around / num_around if num_around else 0.0))
    ranked = sorted(([score, start / 1e6, end / 1e6] for (start, end), score in found.items()), key=lambda row: (-row[0], row[1], row[2]))
    return _without_doubles(ranked)


def _stretches(times: NDArray[np.int64], high: NDArray[np.bool_], frame_us: int) -> list[tuple[int, int]]:
    """First and last place of each stretch."""
    merged: list[tuple[int, int]] = []
    holes = np.flatnonzero(np.diff(times) > frame_us + _BRIDGE_US) + 1
    for part in np.split(np.arange(len(times)), holes):
        for start, end in runs(high[part]):
            first, last = int(part[start]), int(part[end - 1])
            if merged and merged[-1][1] >= part[0] and times[first] - (times[merged[-1][1]] + frame_us) <= _BRIDGE_US:
                merged[-1] = (merged[-1][0], last)
            else:
                merged.append((first, last))
    return merged


def _without_doubles(ranked: list[list[float]]) -> list[list[float]]:
    kept: list[list[float]] = []
    for row in ranked:
        overlaps = (min(row[2], other[2]) - max(row[1], other[1]) for other in kept)
        hulls = (max(row[2], other[2]) - min(row[1], other[1]) for other in kept)
        if all(overlap < _SAME_IOU * hull for overlap, hull in zip(overlaps, hulls, strict=True)):
            kept.append(row)
        if len(kept) == MOST:
            break
    return kept
