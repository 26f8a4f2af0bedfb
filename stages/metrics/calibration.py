"""Calibration: from a logit to a probability, from probabilities to the two label thresholds, and whether to believe them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stages.hysteresis import runs
from stages.metrics.binary import checked

MIN_SCALE, MAX_SCALE = 1e-3, 100.0
"""A head that learnt nothing, or learnt it upside down, ends up flat; it is never turned over."""

ALONE_LOGITS = 2.0
MAX_FAKE_ABOVE = 0.99
"""A threshold that no probability reaches would be no label at all."""

_STEPS, _HALVINGS = 100, 40


def fit_scale(logit: ArrayLike, truth: ArrayLike, shift: bool = True, balanced: bool = False) -> tuple[float, float]:
    """Platt scaling, p = sigmoid(scale * logit + shift), by maximum likelihood with scale > 0, so that no ranking changes.

    Targets are Platt's (N+ + 1)/(N+ + 2) and 1/(N- + 2) instead of 1 and 0: they keep the scale finite where a
    threshold separates the classes.

    Args:
        logit: (N,) finite, of validation data.
        truth: (N,) 0 or 1.
        shift: false leaves it at 0; scale is then one over the temperature.
        balanced: gives fake and real the same total weight.

    Returns:
        scale in [`MIN_SCALE`, `MAX_SCALE`], and shift.

    Raises:
        ValueError: one class only, or as for `roc_auc`.
    """
    y, x = checked(truth, logit)
    num_fake, num_real = int(y.sum()), int((~y).sum())
    if not num_fake or not num_real:
        raise ValueError(f"calibration needs real and fake rows; there are {num_real} real and {num_fake} fake")
    target = np.where(y, (num_fake + 1) / (num_fake + 2), 1 / (num_real + 2))
    weight = np.where(y, 0.5 / num_fake, 0.5 / num_real) if balanced else np.full(len(y), 1 / len(y))
    free = np.array([True, shift])
    best = _newton(x, target, weight, np.array([1.0, 0.0]), free)
    if not MIN_SCALE <= best[0] <= MAX_SCALE:
        # The loss is convex, so the best allowed scale is the nearest one; the shift follows it.
        best = _newton(x, target, weight, np.array([np.clip(best[0], MIN_SCALE, MAX_SCALE), 0.0]), np.array([False, shift]))
    return float(best[0]), float(best[1])


def probability(logit: ArrayLike, scale: float, shift: float) -> NDArray[np.float64]:
    """sigmoid(scale * logit + shift), without overflow."""
    z = scale * np.asarray(logit, np.float64) + shift
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, small) / (1 + small)


def _newton(
    x: NDArray[np.float64], target: NDArray[np.float64], weight: NDArray[np.float64], start: NDArray[np.float64], free: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Newton's method on the weighted cross-entropy, halving a step that does not help; only the `free` of (scale, shift) move."""
    here = start.copy()
    if not free.any():
        return here
    inputs = np.stack([x, np.ones_like(x)], 1)[:, free]  # (N, 1 or 2)

    def loss(at: NDArray[np.float64]) -> float:
        z = at[0] * x + at[1]
        return float(weight @ (np.logaddexp(0, z) - target * z))

    for _ in range(_STEPS):
        p = probability(x, here[0], here[1])
        slope = inputs.T @ (weight * (p - target))
        curve = (inputs * (weight * p * (1 - p))[:, None]).T @ inputs + 1e-12 * np.eye(inputs.shape[1])
        step, before = np.zeros(2), loss(here)
        step[free] = np.linalg.solve(curve, slope)
        for _ in range(_HALVINGS):
            if loss(here - step) <= before:
                break
            step /= 2
        else:
            break
        here = here - step
        if np.abs(step).max() < 1e-10:
            break
    return here


def fake_above_for_strangers(
    people: Mapping[str, Sequence[NDArray[np.float64]]], real_below: float, real_called_fake: float = 0.02, confidence: float = 0.9
) -> float:
    """The threshold for fake, set so that it should hold for somebody who is not among these people.

    For each person: the lowest logit at which at most a share `real_called_fake` of their real frames get the label fake, runs
    and all (`stages.hysteresis.states`). What one person needs says little of the next, so the result is the upper prediction bound of
    these logits for one more person, as if they were normally distributed: mean + t * s * sqrt(1 + 1/n), t of Student with n - 1
    degrees of freedom (Hahn and Meeker, Statistical Intervals). With one person `ALONE_LOGITS` is added; few people make it strict.

    Args:
        people: of each, (T,) calibrated probabilities of real clips, in the order of time, smoothed as labels are.
        real_below: the other threshold.
        real_called_fake: in [0, 1).
        confidence: of the bound, in (0.5, 1).

    Returns:
        In [max(0.5, real_below), `MAX_FAKE_ABOVE`], and never less than what any of the people needs, up to that maximum.
    """
    thresholds = [_needed(clips, real_below, real_called_fake) for clips in people.values()]
    if not thresholds:
        return MAX_FAKE_ABOVE
    needed = np.array([_logit(threshold) for threshold in thresholds])
    bound = float(needed[0]) + ALONE_LOGITS
    if len(needed) > 1:
        from scipy.stats import t as student_t  # noqa: PLC0415 - seconds, which a run without truth need not wait

        spread = needed.std(ddof=1) * np.sqrt(1 + 1 / len(needed))
        bound = float(needed.mean() + student_t.ppf(confidence, len(needed) - 1) * spread)
    # The way to logits and back may round down.
    found = max(float(probability(np.float64(bound), 1.0, 0.0)), *thresholds)
    return float(np.clip(found, max(0.5, real_below), MAX_FAKE_ABOVE))


def _needed(clips: Sequence[NDArray[np.float64]], real_below: float, share: float) -> float:
    """Lowest threshold at which at most `share` of the frames lie in runs that reach it."""
    spans = [(float(p[a:b].max()), b - a) for p in clips for a, b in runs(p >= real_below)]
    left = share * sum(len(p) for p in clips)
    for peak, length in sorted(spans, reverse=True):
        left -= length
        if left < 0:
            return min(float(np.nextafter(peak, 2.0)), 1.0)
    return real_below


def _logit(p: float) -> float:
    p = min(max(p, 1e-6), 1 - 1e-6)
    return float(np.log(p / (1 - p)))


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where labels change, and what that costs on the data they were fitted on."""

    fake_above: float
    real_below: float
    real_called_fake: float
    """Share of real rows at or above `fake_above`."""
    fake_called_real: float
    """Share of fake rows below `real_below`."""


def fit_thresholds(p: ArrayLike, truth: ArrayLike, real_called_fake: float = 0.02, fake_called_real: float = 0.1) -> Thresholds:
    """The two label thresholds from probabilities of validation frames.

    `fake_above` is the lowest threshold from 0.5 up that at most a share `real_called_fake` of the real rows reach;
    `real_below` the highest from 0.5 down that at most a share `fake_called_real` of the fake rows are below. What lies
    between them is uncertain. Shares count single rows: the hysteresis of the labels is not in them.

    Args:
        p: (N,) calibrated probabilities.
        truth: (N,) 0 or 1.
        real_called_fake: in [0, 1).
        fake_called_real: in [0, 1).

    Raises:
        ValueError: one class only, a probability outside [0, 1], or as for `roc_auc`.
    """
    y, s = checked(truth, p)
    if not y.any() or y.all():
        raise ValueError("thresholds need real and fake rows")
    if s.min() < 0 or s.max() > 1:
        raise ValueError("p must be probabilities in [0, 1]")
    real, fake = np.sort(s[~y]), np.sort(s[y])
    spare_real, spare_fake = int(real_called_fake * len(real) + 1e-9), int(fake_called_real * len(fake) + 1e-9)
    # The next value above the first real row that must stay out; and the first fake row that must stay in.
    fake_above = float(np.clip(np.nextafter(real[-1 - spare_real], 2), 0.5, np.nextafter(1, 0)))
    real_below = float(np.clip(fake[spare_fake], np.nextafter(0, 1), 0.5))
    return Thresholds(fake_above, real_below, float((real >= fake_above).mean()), float((fake < real_below).mean()))


@dataclass(frozen=True, slots=True)
class Reliability:
    """Probabilities in bins of equal width, and how often each bin is right. Arrays are (B,); empty bins hold NaN."""

    edges: NDArray[np.float64]  # (B + 1,)
    count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    """Mean probability of the bin's rows."""
    observed: NDArray[np.float64]
    """Share of them that are fake."""
    ece: float
    """Expected calibration error: mean distance of the two, over rows; NaN without rows."""


def reliability(p: ArrayLike, truth: ArrayLike, bins: int = 10) -> Reliability:
    """The reliability curve of probabilities; one class is enough.

    Args:
        p: (N,) in [0, 1]; 1 belongs to the last bin.
        truth: (N,) 0 or 1.
        bins: at least 1.

    Raises:
        ValueError: a probability outside [0, 1], or as for `roc_auc`.
    """
    y, s = checked(truth, p)
    if len(s) and (s.min() < 0 or s.max() > 1):
        raise ValueError("p must be probabilities in [0, 1]")
    place = np.minimum((s * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence, observed = np.bincount(place, s, bins) / count, np.bincount(place, y, bins) / count
    known = count > 0
    ece = float(count[known] @ np.abs(confidence - observed)[known] / count.sum()) if known.any() else float("nan")
    return Reliability(np.linspace(0, 1, bins + 1), count, confidence, observed, ece)
