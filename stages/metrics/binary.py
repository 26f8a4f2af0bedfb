"""Binary: how well a score tells fake from real; 1 (or true) is fake, a higher score means fake."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def roc_auc(truth: ArrayLike, score: ArrayLike) -> float | None:
    """Area under the ROC curve: how often a fake scores above a real one, ties count half.

    Args:
        truth: (N,) 0 or 1, or false and true.
        score: (N,) finite.

    Returns:
        In [0, 1]; None when there is one class only.

    Raises:
        ValueError: other shapes, another label, or a score that is not finite.
    """
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415 - seconds, which a run without truth need not wait

    y, s = checked(truth, score)
    return float(roc_auc_score(y, s)) if _both(y) else None


def average_precision(truth: ArrayLike, score: ArrayLike) -> float | None:
    """Sum of (R_n - R_n-1) P_n over falling thresholds, not interpolated; tied scores are one threshold.

    Arguments, result and errors as for `roc_auc`. A useless score has the share of fakes, not one half.
    """
    from sklearn.metrics import average_precision_score  # noqa: PLC0415 - seconds, which a run without truth need not wait

    y, s = checked(truth, score)
    return float(average_precision_score(y, s)) if _both(y) else None


def eer(truth: ArrayLike, score: ArrayLike) -> float | None:
    """Equal error rate: (FPR + FNR) / 2 at the vertex of the full ROC curve where the two are nearest; of several, the first.

    Vertices run from the highest threshold down and none is left out: scikit-learn's shortened curve can lose the very
    vertex. Arguments, result and errors as for `roc_auc`.
    """
    from sklearn.metrics import roc_curve  # noqa: PLC0415 - seconds, which a run without truth need not wait

    y, s = checked(truth, score)
    if not _both(y):
        return None
    fpr, tpr, _ = roc_curve(y, s, drop_intermediate=False)
    num_fake, num_real = int(y.sum()), int((~y).sum())
    # In whole numbers, so that rounding does not decide between two vertices that are equally near.
    false_alarms, misses = np.rint(fpr * num_real).astype(np.int64), num_fake - np.rint(tpr * num_fake).astype(np.int64)
    nearest = int(np.argmin(np.abs(false_alarms * num_fake - misses * num_real)))
    return float(false_alarms[nearest] / num_real + misses[nearest] / num_fake) / 2


def accuracy(truth: ArrayLike, score: ArrayLike, threshold: float = 0.5) -> float | None:
    """Share of right answers when scores *above* the threshold are called fake. One class is enough; None without any row."""
    y, s = checked(truth, score)
    return float(((s > threshold) == y).mean()) if len(y) else None


def roc_points(truth: ArrayLike, score: ArrayLike, most: int = 200) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The ROC curve for a plot: false and true positive rate and threshold of at most `most` vertices, (M,) each; empty for one class."""
    from sklearn.metrics import roc_curve  # noqa: PLC0415 - seconds, which a run without truth need not wait

    y, s = checked(truth, score)
    if not _both(y):
        return np.zeros(0), np.zeros(0), np.zeros(0)
    fpr, tpr, threshold = roc_curve(y, s)
    kept = np.unique(np.linspace(0, len(fpr) - 1, min(most, len(fpr))).astype(np.int64))
    return fpr[kept], tpr[kept], threshold[kept]


def checked(truth: ArrayLike, score: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Both as (N,) arrays. Raises ValueError as `roc_auc` says."""
    y, s = np.asarray(truth), np.asarray(score, np.float64)
    if y.ndim != 1 or y.shape != s.shape:
        raise ValueError(f"truth has shape {y.shape}, score has {s.shape}; both must be (N,)")
    if not np.isin(y, (0, 1)).all():
        raise ValueError("truth must be 0 (real) or 1 (fake)")
    if not np.isfinite(s).all():
        bad = int(np.flatnonzero(~np.isfinite(s))[0])
        raise ValueError(f"score {bad} is {s[bad]}; leave out what has no score, and count it")
    return y.astype(np.bool_), s


def _both(y: NDArray[np.bool_]) -> bool:
    return bool(y.any()) and not bool(y.all())
