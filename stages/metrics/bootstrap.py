"""Bootstrap: percentile intervals from resampling whole videos or identities, whose frames are not independent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stages.metrics.binary import checked

RESAMPLES = 500
LEVEL = 0.95
MIN_GROUPS = 5
"""With fewer groups an interval says nothing about others of their kind, and none is given."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Percentiles of a statistic over resampled groups."""

    low: float
    high: float
    groups: int
    resamples: int
    """Draws that have a value; one in which a class is missing has none."""


def interval(
    statistic: Callable[[NDArray[np.float64]], float],
    num_groups: int,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval | None:
    """Draws as many groups as there are, with replacement, again and again.

    Args:
        statistic: given (G,) how often each group was drawn, the figure; NaN where it has no value.
        num_groups: G.
        seed: the same seed gives the same interval.
        resamples: how many draws.
        level: share of the draws that lie inside.

    Returns:
        None with fewer than `MIN_GROUPS` groups, or when the figure has no value in half of the draws or more.
    """
    found = intervals(lambda weights: np.array([statistic(weights)]), num_groups, seed, resamples, level)
    return found[0] if found else None


def intervals(
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    num_groups: int,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> list[Interval | None]:
    """`interval` for several figures of the same draws. statistic: (G,) to (F,). Returns F intervals, or none with few groups."""
    if num_groups < MIN_GROUPS:
        return []
    rng = np.random.default_rng(seed)
    even = np.full(num_groups, 1.0 / num_groups)
    drawn = np.stack([statistic(rng.multinomial(num_groups, even).astype(np.float64)) for _ in range(resamples)])  # (R, F)
    return [_percentiles(column[np.isfinite(column)], num_groups, resamples, level) for column in drawn.T]


def _percentiles(known: NDArray[np.float64], num_groups: int, resamples: int, level: float) -> Interval | None:
    if 2 * len(known) <= resamples:
        return None
    low, high = np.percentile(known, [50 * (1 - level), 50 * (1 + level)])
    return Interval(float(low), float(high), num_groups, len(known))


class RankedScores:
    """Scores sorted once; AUC, AP, EER and accuracy for any weights of their groups in one pass over them."""

    def __init__(self, truth: ArrayLike, score: ArrayLike, group: ArrayLike, threshold: float = 0.5) -> None:
        """truth, score: (N,) as for `roc_auc`. group: (N,) any values, those that are equal are one group. threshold: of accuracy."""
        y, s = checked(truth, score)
        names, member = np.unique(np.asarray(group), return_inverse=True)
        if len(member) != len(y):
            raise ValueError(f"group has {len(member)} rows, score has {len(y)}; both must be (N,)")
        order = np.argsort(-s, kind="stable")
        y, s = y[order], s[order]
        self.num_groups = len(names)
        self._group = member[order]
        self._fake = y.astype(np.float64)
        self._ends = np.append(np.flatnonzero(np.diff(s)), len(s) - 1) if len(s) else np.zeros(0, np.int64)
        """Last place of each run of tied scores: these places are the thresholds."""
        self._right = np.bincount(member[order], (s > threshold) == y, self.num_groups)
        self._rows = np.bincount(member, minlength=self.num_groups).astype(np.float64)

    def auc(self, weights: NDArray[np.float64]) -> float:
        """weights: (G,). NaN when no fake or no real row has weight; so for `average_precision` and `eer`."""
        return float(self.figures(weights)[0])

    def average_precision(self, weights: NDArray[np.float64]) -> float:
        return float(self.figures(weights)[1])

    def eer(self, weights: NDArray[np.float64]) -> float:
        return float(self.figures(weights)[2])

    def accuracy(self, weights: NDArray[np.float64]) -> float:
        return float(self.figures(weights)[3])

    def figures(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """(4,): AUC, AP, EER, accuracy for (G,) weights, in one pass."""
        rows = float(weights @ self._rows)
        accuracy = float(weights @ self._right) / rows if rows else np.nan
        weight = weights[self._group]
        # (T,) weight of the fakes and of the reals at or above each threshold, the highest threshold first.
        fake = np.cumsum(weight * self._fake)[self._ends]
        real = np.cumsum(weight)[self._ends] - fake
        if not len(fake) or not fake[-1] or not real[-1]:
            return np.array([np.nan, np.nan, np.nan, accuracy])
        # By slices: np.diff and np.append cost more than the sums here, thousands of times over.
        new_fake, new_real = fake.copy(), real.copy()
        new_fake[1:] -= fake[:-1]
        new_real[1:] -= real[:-1]
        auc = float(new_real @ (2 * fake - new_fake)) / (2 * fake[-1] * real[-1])
        seen = fake + real
        average_precision = float(new_fake @ (fake / np.where(seen > 0, seen, 1.0))) / fake[-1]
        false_alarms, misses = real / real[-1], (fake[-1] - fake) / fake[-1]
        gap = np.abs(real * fake[-1] - (fake[-1] - fake) * real[-1])
        nearest = int(np.argmin(gap))
        # Before the first threshold nothing is called fake: no false alarms, all missed.
        eer = 0.5 if gap[nearest] >= fake[-1] * real[-1] else float(false_alarms[nearest] + misses[nearest]) / 2
        return np.array([auc, average_precision, eer, accuracy])
