"""Temporal: average precision and average recall of fake spans, as the public scorers count them and as one would expect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Mode = Literal["upstream", "upstream_float32", "strict"]
Truth = Sequence[tuple[str, Sequence[Sequence[float]]]]
"""(file, [[start_s, end_s], ...]) for each video, in the order of its metadata."""
Predictions = Mapping[str, Sequence[Sequence[float]]]
"""file -> [[score, start_s, end_s], ...]"""

AR_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""IoU thresholds that average recall is a mean over: 0.5, 0.55, ... 0.95."""

_ROUNDING = 1e-9
"""An IoU is called equal to the threshold when it misses it by no more than this: 3.4 - 3 is not 0.4 in binary."""


def average_precision_at_iou(truth: Truth, predictions: Predictions, threshold: float, mode: Mode) -> float:
    """AP of fake spans at one IoU threshold, all videos pooled; real videos have no spans and can only add false alarms.

    `upstream` counts as the scorers of LAV-DF and AV-Deepfake1M do. In each video every label, in the order of the
    truth, takes the first free proposal *in list order* with IoU > threshold; lists are not sorted. Proposals are pooled
    and sorted by score, ties in the order of truth and list. The precision-recall curve has no point at recall 0, so its
    first step is missing: one label found perfectly is AP 0. An IoU equal to the threshold is no match, whatever
    rounding makes of it.

    `upstream_float32` is the same in the scorers' own float32, where rounding decides such ties: spans [3, 3.5] and
    [3, 3.4] have an IoU of 0.8, and there it is more. Use it to compare with figures that they printed.

    `strict` counts as ActivityNet's toolkit does, in float64 and whatever the order of truth or lists: proposals of a
    video take turns by score (ties: the earlier start, then the earlier end), each takes the free label of highest IoU
    if that is >= threshold, and tied scores are one point of the curve. The curve is closed at recall 0.

    Both: precision is interpolated (the highest at this recall or beyond); a label or proposal of no length matches
    nothing, and counts; an empty list of proposals leaves its labels unfound; predictions for files that the truth
    does not know are left out.

    Args:
        truth: spans of every video, seconds.
        predictions: scored proposals of every video, seconds.
        threshold: IoU in (0, 1].
        mode: how to count.

    Returns:
        In [0, 1]; NaN when the truth holds no span at all.

    Raises:
        ValueError: unknown mode, a threshold out of range, a row of the wrong length, or a number that is not finite. In
            `upstream`, a video without a list (the scorers stop there too); in `strict` that is an empty list, but a file
            must not be twice in the truth.
    """
    return average_precision(match(truth, predictions, threshold, mode))


def average_recall_at_k(truth: Truth, predictions: Predictions, k: int, mode: Mode) -> float:
    """Share of labels found by the first k proposals of each video, mean over the ten `AR_THRESHOLDS`.

    `upstream` and `upstream_float32`: the first k in list order. A label is found if any of them has IoU > threshold, so
    one proposal can find several. A video with an empty list is dropped, its labels with it: the rule of AV-Deepfake1M's
    scorer (LAV-DF's stops there, and where a list is shorter than k).

    `strict`: the k of highest score, each finds one label at most, matched as for AP. An empty list finds nothing.

    Args:
        truth: as for `average_precision_at_iou`.
        predictions: as for `average_precision_at_iou`.
        k: at least 1; a shorter list is used as it is.
        mode: how to count.

    Returns:
        In [0, 1]. When no label is left to be found: 0 in `upstream`, NaN in `strict`.

    Raises:
        ValueError: as for `average_precision_at_iou`, or k below 1.
    """
    return average_recall(count_found(truth, predictions, k, mode))


@dataclass(frozen=True, slots=True)
class Matched:
    """Proposals of all videos at one threshold, the highest score first, ties in the order of truth and list."""

    mode: Mode
    score: NDArray[np.float64]  # (P,)
    hit: NDArray[np.bool_]  # (P,) took a label
    video: NDArray[np.int64]  # (P,) place in the truth
    labels: NDArray[np.int64]  # (V,) spans of each video


@dataclass(frozen=True, slots=True)
class Found:
    """What the first k proposals of each video found."""

    mode: Mode
    hits: NDArray[np.int64]  # (V, 10) at each of AR_THRESHOLDS
    labels: NDArray[np.int64]  # (V,) spans that count


def match(truth: Truth, predictions: Predictions, threshold: float, mode: Mode) -> Matched:
    """The matching behind `average_precision_at_iou`; same arguments, same errors."""
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is {threshold!r}; it must be in (0, 1]")
    scores, hits, videos, labels = [np.zeros(0)], [np.zeros(0, np.bool_)], [np.zeros(0, np.int64)], []
    for number, (proposals, spans) in enumerate(_videos(truth, predictions, mode)):
        scores.append(proposals[:, 0].astype(np.float64))
        hits.append(_hits(proposals, spans, threshold, mode))
        videos.append(np.full(len(proposals), number))
        labels.append(len(spans))
    score = np.concatenate(scores)
    order = np.argsort(-score, kind="stable")
    return Matched(mode, score[order], np.concatenate(hits)[order], np.concatenate(videos)[order], np.array(labels, np.int64))


def average_precision(matched: Matched, weights: NDArray[np.float64] | None = None) -> float:
    """AP of a matching. weights: (V,) how often each video counts, for a bootstrap; all once by default."""
    weights = np.ones(len(matched.labels)) if weights is None else weights
    num_labels = float(weights @ matched.labels)
    if num_labels == 0:
        return float("nan")
    weight = weights[matched.video]
    drawn = np.flatnonzero(weight > 0)
    if not len(drawn):
        return 0.0
    weight, hit = weight[drawn], matched.hit[drawn]
    found, seen = np.cumsum(hit * weight), np.cumsum(weight)
    if matched.mode == "strict":
        score = matched.score[drawn]
        ends = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)
        found, seen = found[ends], seen[ends]
    best = np.maximum.accumulate((found / seen)[::-1])[::-1]
    step = found.copy()
    step[1:] -= found[:-1]
    if matched.mode != "strict" and hit[0]:
        step[0] -= 1.0  # the curve begins at its first proposal, not at recall 0
    return float(step @ best / num_labels)


def count_found(truth: Truth, predictions: Predictions, k: int, mode: Mode) -> Found:
    """The counts behind `average_recall_at_k`; same arguments, same errors."""
    if k < 1:
        raise ValueError(f"k is {k!r}; it must be at least 1")
    hits, labels = [], []
    for proposals, spans in _videos(truth, predictions, mode):
        if mode != "strict":
            hits.append(_found_by_any(proposals[:k], spans, mode))
            labels.append(len(spans) if len(proposals) else 0)
        else:
            best = proposals[_turns(proposals)][:k]
            hits.append([int(_hits(best, spans, threshold, mode).sum()) for threshold in AR_THRESHOLDS])
            labels.append(len(spans))
    return Found(mode, np.array(hits, np.int64).reshape(-1, len(AR_THRESHOLDS)), np.array(labels, np.int64))


def average_recall(found: Found, weights: NDArray[np.float64] | None = None) -> float:
    """AR of counts. weights: (V,) how often each video counts, for a bootstrap; all once by default."""
    weights = np.ones(len(found.labels)) if weights is None else weights
    num_labels = float(weights @ found.labels)
    if num_labels == 0:
        return float("nan") if found.mode == "strict" else 0.0
    return float((weights @ found.hits).mean() / num_labels)


def _videos(truth: Truth, predictions: Predictions, mode: Mode) -> list[tuple[NDArray[np.floating], NDArray[np.floating]]]:
    """(P, 3) proposals and (L, 2) spans of each video, checked, in the precision of the mode."""
    if mode not in get_args(Mode):
        raise ValueError(f"mode is {mode!r}; use one of {', '.join(get_args(Mode))}")
    dtype = np.float32 if mode == "upstream_float32" else np.float64
    names = [file for file, _ in truth]
    if mode == "strict" and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"truth: {twice!r} is there twice; strict mode counts each video once")
    videos = []
    for file, spans in truth:
        if file not in predictions and mode != "strict":
            raise ValueError(f"predictions: no list for {file!r}; {mode} mode needs one for each video of the truth, if only []")
        own = predictions.get(file, [])
        videos.append((_array(own, 3, f"predictions of {file!r}", dtype), _array(spans, 2, f"truth of {file!r}", dtype)))
    return videos


def _array(rows: Sequence[Sequence[float]], width: int, where: str, dtype: type[np.floating]) -> NDArray[np.floating]:
    shape = "[score, start, end]" if width == 3 else "[start, end]"
    try:
        table = np.array([list(row) for row in rows], np.float64).reshape(len(rows), -1 if len(rows) else width)
    except (TypeError, ValueError):
        raise ValueError(f"{where}: must be a list of {shape}") from None
    if table.shape[1] != width:
        raise ValueError(f"{where}: must be a list of {shape}")
    if not np.isfinite(table).all():
        bad = int(np.flatnonzero(~np.isfinite(table).all(1))[0])
        raise ValueError(f"{where}: row {bad} is {table[bad].tolist()}; every number must be finite")
    return table.astype(dtype)


def _iou(proposals: NDArray[np.floating], spans: NDArray[np.floating]) -> NDArray[np.floating]:
    """(P, L) overlap over hull, which is the union where there is an overlap; 0 for two points at one place."""
    start, end = proposals[:, None, -2], proposals[:, None, -1]
    overlap = np.maximum(np.minimum(end, spans[None, :, 1]) - np.maximum(start, spans[None, :, 0]), 0)
    hull = np.maximum(end, spans[None, :, 1]) - np.minimum(start, spans[None, :, 0])
    return np.divide(overlap, hull, out=np.zeros_like(overlap), where=hull > 0)


def _turns(proposals: NDArray[np.floating]) -> NDArray[np.int64]:
    """Highest score first, then the earlier start, then the earlier end: no list order can change this."""
    return np.lexsort((proposals[:, 2], proposals[:, 1], -proposals[:, 0]))


def _hits(proposals: NDArray[np.floating], spans: NDArray[np.floating], threshold: float, mode: Mode) -> NDArray[np.bool_]:
    """(P,) whether each proposal takes a label."""
    hit = np.zeros(len(proposals), np.bool_)
    if not len(spans) or not len(proposals):
        return hit
    if mode != "strict":
        near = _iou(proposals, spans) > _above(threshold, mode)
        for label in range(len(spans)):
            free = np.flatnonzero(near[:, label] & ~hit)
            hit[free[:1]] = True
        return hit
    spans = spans[np.lexsort((spans[:, 1], spans[:, 0]))]  # of two labels with the same IoU, the earlier is taken
    iou = _iou(proposals, spans)
    turns = _turns(proposals)
    for row in turns[np.any(iou[turns] >= threshold - _ROUNDING, axis=1)]:
        label = int(np.argmax(iou[row]))
        if iou[row, label] >= threshold - _ROUNDING:
            hit[row] = True
            iou[:, label] = -1.0
            if int(hit.sum()) == len(spans):
                break
    return hit


def _above(threshold: float, mode: Mode) -> np.floating:
    """What an IoU must be greater than."""
    return np.float32(threshold) if mode == "upstream_float32" else np.float64(threshold + _ROUNDING)


def _found_by_any(proposals: NDArray[np.floating], spans: NDArray[np.floating], mode: Mode) -> list[int]:
    if not len(spans) or not len(proposals):
        return [0] * len(AR_THRESHOLDS)
    best = _iou(proposals, spans).max(0)  # (L,)
    return (best > np.array([_above(t, mode) for t in AR_THRESHOLDS])[:, None]).sum(1).tolist()
