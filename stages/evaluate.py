"""Evaluate: labels against truth, as one nested table of figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas.errors import TruthError
from schemas.tables import LABELS, SEGMENTS
from schemas.truth import Modality, TruthRow
from stages import versions
from stages.metrics import binary, calibration, temporal
from stages.metrics.bootstrap import RESAMPLES, Interval, RankedScores, intervals
from stages.proposals import proposals
from stages.truth_frames import LABEL_NAMES, FrameRule, TruthFrames, truth_frames

INPUT, VERSION = (LABELS, SEGMENTS), versions.EVALUATE
HEADS: tuple[Modality, ...] = ("total", "audio", "visual")
ALL = "all"
AP_THRESHOLDS = (0.5, 0.75, 0.95)
AR_COUNTS = (100, 50, 20, 10)
MODES: tuple[temporal.Mode, ...] = ("upstream", "strict")
SPLITS = ("test", "dev", "train", "all")

_MIN_IDENTITIES = 10
_MAX_NAMED = 100  # people; with more, the mean says enough
_DIGITS = 6


def select(truth: Sequence[TruthRow], split: str) -> list[TruthRow]:
    """The rows of one split, or all.

    Raises:
        TruthError: an unknown split, or one without a clip.
    """
    if split not in SPLITS:
        raise TruthError(f"split is {split!r}; use one of {', '.join(SPLITS)}")
    rows = [row for row in truth if split in ("all", row.split)]
    if not rows:
        known = sorted({str(row.split) for row in truth if row.split}) or ["none"]
        raise TruthError(
            f"no clip is in split {split!r} (of {len(truth)} clips; splits: {', '.join(known)}); use --split all to take every one"
        )
    return rows


def is_forged(row: TruthRow) -> bool:
    """Whether any frame of it is fake in any way; the others are the real controls, whatever was done to them."""
    return any(row.spans(head) for head in HEADS)


def run(
    truth: Sequence[TruthRow],
    inventory: pl.DataFrame,
    labels: pl.DataFrame,
    segments: pl.DataFrame,
    rule: FrameRule = "exact",
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Figures of one set of labels.

    Args:
        truth: clips to judge by; `file` is the uri of the inventory.
        inventory: rows of INVENTORY.
        labels: rows of LABELS.
        segments: rows of SEGMENTS.
        rule: which frames of a span are fake; see `TruthFrames.fake`.
        resamples: of the bootstrap.

    Returns:
        `clips`, `missing_labels`, `missing_truth`, `interval_groups`, `labels_of_frames`, and for each of `HEADS` under `heads`:
        `without_trace`, `unknown`, `reliability`, `roc` and `kinds`, where `all` and every kind of forgery have one cell of figures.
        Every figure is {value, low, high}, null where it has no value. `docs/evaluation.md` says what each one means.

    Raises:
        TruthError: no clip of the truth has labels, or those that have are all real or all forged.
    """
    frames = truth_frames(truth, inventory, labels)
    if not frames.clips:
        raise TruthError(f"none of the {len(truth)} clips of the truth has labels; `file` must be the path of a video from the data folder")
    forged = np.array([is_forged(row) for row in frames.clips])
    if forged.all() or not forged.any():
        raise TruthError(f"all {len(forged)} clips with labels are {'forged' if forged.all() else 'real'}; figures need both")
    judged = _Judged(frames, segments, inventory, rule, resamples)
    done, known = {row.file for row in frames.clips}, {row.file for row in truth}
    labelled = inventory.filter(pl.col("content_id").is_in(labels["content_id"].unique().to_list()))
    return {
        "frame_rule": rule,
        "clips": {"truth": len(truth), "judged": len(done), "forged": int(forged.sum()), "real": int((~forged).sum())},
        "missing_labels": sorted(known - done),
        "missing_truth": sorted(set(labelled["uri"]) - known),
        "interval_groups": {"by": judged.grouped_by, "count": int(judged.group.max()) + 1, "resamples": resamples},
        "labels_of_frames": _labels_of_frames(frames, frames.fake("total", rule)),
        "heads": {head: judged.head(head) for head in HEADS},
    }


def _labels_of_frames(frames: TruthFrames, fake: NDArray[np.bool_]) -> dict[str, dict[str, int]]:
    return {
        name: {label: int((frames.label[flags] == rank).sum()) for rank, label in enumerate(LABEL_NAMES)}
        for name, flags in (("fake", fake), ("real", ~fake))
    }


@dataclass(frozen=True, slots=True)
class _Spans:
    """One way to propose spans, matched with the truth of one head."""

    precision: dict[tuple[temporal.Mode, float], temporal.Matched]
    recall: dict[tuple[temporal.Mode, int], temporal.Found]

    def figures(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """(14,) AP then AR, for (C,) weights of the clips."""
        return np.array(
            [temporal.average_precision(m, weights) for m in self.precision.values()]
            + [temporal.average_recall(f, weights) for f in self.recall.values()]
        )


class _Judged:
    """The frames of all clips, and who is drawn together with whom."""

    def __init__(self, frames: TruthFrames, segments: pl.DataFrame, inventory: pl.DataFrame, rule: FrameRule, resamples: int) -> None:
        self._frames, self._rule, self._resamples = frames, rule, resamples
        self._forged = np.array([is_forged(row) for row in frames.clips])
        self._kind = np.array([row.forgery for row in frames.clips])
        self._segments = _segment_lists(frames.clips, segments, inventory)
        identities = {row.identity for row in frames.clips}
        by_identity = None not in identities and len(identities) >= _MIN_IDENTITIES
        self.grouped_by = "identity" if by_identity else "video"
        # A forgery and the clip that it was made from show the same scene; they are drawn together.
        names = [str(row.identity) if by_identity else row.original or row.file for row in frames.clips]
        people = [str(row.identity or row.original or row.file) for row in frames.clips]
        self._people, self._person = np.unique(people, return_inverse=True)  # names, and (C,) whose clip it is
        self.group: NDArray[np.int64] = np.unique(names, return_inverse=True)[1].astype(np.int64)  # (C,)

    def head(self, head: Modality) -> dict[str, Any]:
        """Cells of one head. Clips whose stream is forged but carries no trace of it by itself are left out: the head can't know.

        So are clips of whose stream nobody says whether it was altered.
        """
        rows = self._frames.clips
        spans = [row.spans(head) for row in rows]
        asked = np.array([head == "total" or not own or row.leaves_trace(head) for row, own in zip(rows, spans, strict=True)])
        unknown = np.array([head in row.unknown for row in rows])
        traceless, asked = int((~asked & ~unknown).sum()), asked & ~unknown
        has_spans = np.array([bool(own) for own in spans])
        fake = self._frames.fake(head, self._rule)
        matched = self._matched(head, asked)
        kinds = sorted({str(k) for k in self._kind[has_spans & asked]})
        p, used = self._frames.p[head], asked[self._frames.clip] & np.isfinite(self._frames.p[head])
        false_alarms, hits, _ = binary.roc_points(fake[used], p[used])
        curve = calibration.reliability(p[used], fake[used])
        cells = {ALL: self._cell(head, fake, has_spans, asked, matched, True)}
        for kind in kinds:
            cells[kind] = self._cell(head, fake, has_spans, asked & (~self._forged | (self._kind == kind)), matched, False)
        return {
            "without_trace": traceless,
            "unknown": int(unknown.sum()),
            "kinds": cells,
            "roc": {"fpr": _rounded(false_alarms), "tpr": _rounded(hits)},
            "reliability": {
                "edges": _rounded(curve.edges),
                "count": curve.count.tolist(),
                "confidence": _rounded(curve.confidence),
                "observed": _rounded(curve.observed),
                "ece": _number(curve.ece),
            },
        }

    def _cell(
        self,
        head: Modality,
        fake: NDArray[np.bool_],
        has_spans: NDArray[np.bool_],
        chosen: NDArray[np.bool_],
        matched: dict[str, _Spans],
        with_span_intervals: bool,
    ) -> dict[str, Any]:
        clip, p = self._frames.clip, self._frames.p[head]
        own = chosen[clip]
        used = own & np.isfinite(p)
        apart = used & (fake | ~self._forged[clip])
        windows = _windows(clip[own], self._frames.pts_us[own], fake[own], p[own])
        videos, means, highest = _by_video(clip[used], p[used])
        own_auc = self._by_person(fake[apart], p[apart], clip[apart])
        return {
            "clips": int(chosen.sum()),
            "forged_clips": int((chosen & has_spans).sum()),
            "frames": int(own.sum()),
            "frames_scored": int(used.sum()),
            "coverage": _number(used.sum() / own.sum()) if own.any() else None,
            "fake_frames": int(fake[own].sum()),
            "videos_scored": len(videos),
            **self._figures("frame", fake[used], p[used], clip[used]),
            "frame_auc_vs_real": self._figures("", fake[apart], p[apart], clip[apart])["_auc"],
            "frame_auc_within": _figure(float(np.mean(list(own_auc.values()))) if own_auc else None, [], 0),
            "frame_auc_by_person": {name: _number(auc) for name, auc in own_auc.items()} if len(own_auc) <= _MAX_NAMED else {},
            **self._figures("clip", windows.fake, windows.p, windows.clip),
            **self._figures("video_mean", has_spans[videos], means, videos),
            **self._figures("video_max", has_spans[videos], highest, videos),
            "temporal": {source: self._spans_figures(spans, chosen, with_span_intervals) for source, spans in matched.items()},
        }

    def _figures(self, level: str, fake: NDArray[np.bool_], p: NDArray[np.float64], clip: NDArray[np.int64]) -> dict[str, Any]:
        """AUC, AP, EER and accuracy of N rows that belong to `clip` (N,)."""
        values = [binary.roc_auc(fake, p), binary.average_precision(fake, p), binary.eer(fake, p), binary.accuracy(fake, p)]
        ranked = RankedScores(fake, p, self.group[clip])
        around = intervals(ranked.figures, ranked.num_groups, resamples=self._resamples) if values[0] is not None else []
        names = ("auc", "average_precision", "eer", "accuracy")
        return {f"{level}_{name}": _figure(value, around, i) for i, (name, value) in enumerate(zip(names, values, strict=True))}

    def _by_person(self, fake: NDArray[np.bool_], p: NDArray[np.float64], clip: NDArray[np.int64]) -> dict[str, float]:
        """AUC among each person's own frames: who is taken for fake as a whole does not hurt it."""
        person = self._person[clip]
        own = {str(self._people[one]): binary.roc_auc(fake[person == one], p[person == one]) for one in np.unique(person)}
        return {name: float(auc) for name, auc in own.items() if auc is not None}

    def _matched(self, head: Modality, asked: NDArray[np.bool_]) -> dict[str, _Spans]:
        frames = self._frames
        truth = [(str(i), row.spans(head) if asked[i] else []) for i, row in enumerate(frames.clips)]
        edges = np.searchsorted(frames.clip, np.arange(len(frames.clips) + 1))
        published = {str(i): self._segments[i][head] for i in range(len(frames.clips))}
        candidates = {str(i): proposals(frames.pts_us[a:b], frames.p[head][a:b]) for i, (a, b) in enumerate(pairwise(edges))}
        return {
            source: _Spans(
                {(mode, t): temporal.match(truth, lists, t, mode) for mode in MODES for t in AP_THRESHOLDS},
                {(mode, k): temporal.count_found(truth, lists, k, mode) for mode in MODES for k in AR_COUNTS},
            )
            for source, lists in (("segments", published), ("proposals", candidates))
        }

    def _spans_figures(self, spans: _Spans, chosen: NDArray[np.bool_], with_intervals: bool) -> dict[str, Any]:
        mask = chosen.astype(np.float64)
        any_span = any(mask @ found.labels for found in spans.precision.values())
        values = spans.figures(mask).tolist() if any_span else [None] * (len(spans.precision) + len(spans.recall))
        around: list[Interval | None] = []
        if with_intervals and any_span:
            members, group = np.unique(self.group[chosen], return_inverse=True)
            place = np.zeros(len(chosen), np.int64)
            place[chosen] = group
            around = intervals(lambda w: spans.figures(w[place] * mask), len(members), resamples=self._resamples)
        names = [(mode, f"ap@{t:g}") for mode, t in spans.precision] + [(mode, f"ar@{k}") for mode, k in spans.recall]
        table: dict[str, Any] = {mode: {} for mode in MODES}
        for i, (mode, name) in enumerate(names):
            table[mode][name] = _figure(values[i], around, i)
        return table


def _segment_lists(clips: Sequence[TruthRow], segments: pl.DataFrame, inventory: pl.DataFrame) -> list[dict[str, list[list[float]]]]:
    """For each clip and head, [score, start_s, end_s] of all faces, the best first."""
    content_of = dict(inventory.select("uri", "content_id").iter_rows())
    found: dict[tuple[str, str], list[list[float]]] = {}
    ranked = segments.filter(pl.col("score").is_not_null()).sort("score", "start_s", "end_s", descending=[True, False, False])
    for content, head, *row in ranked.select("content_id", "modality", "score", "start_s", "end_s").iter_rows():
        found.setdefault((str(content), str(head)), []).append(row)
    return [{head: found.get((str(content_of[row.file]), head), []) for head in HEADS} for row in clips]


@dataclass(frozen=True, slots=True)
class _Windows:
    clip: NDArray[np.int64]  # (W,)
    fake: NDArray[np.bool_]  # (W,)
    p: NDArray[np.float64]  # (W,)


def _windows(clip: NDArray[np.int64], pts_us: NDArray[np.int64], fake: NDArray[np.bool_], p: NDArray[np.float64]) -> _Windows:
    """Seconds of each clip: fake if any frame is, p = mean over its known frames. The rest at a clip's end counts from half a second on."""
    if not len(clip):
        return _Windows(np.zeros(0, np.int64), np.zeros(0, np.bool_), np.zeros(0))
    second = pts_us // 1_000_000
    names, place = np.unique(np.stack([clip, second], 1), axis=0, return_inverse=True)
    place = place.reshape(-1)
    known = np.isfinite(p)
    count, num_known = np.bincount(place), np.bincount(place, known)
    total = np.bincount(place, np.where(known, p, 0.0))
    fullest = np.zeros(int(clip.max()) + 1)
    np.maximum.at(fullest, names[:, 0], count)
    kept = (num_known > 0) & (2 * count >= fullest[names[:, 0]])
    return _Windows(names[kept, 0], np.bincount(place, fake)[kept] > 0, total[kept] / num_known[kept])


def _by_video(clip: NDArray[np.int64], p: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Clips with a known frame, and the mean and the highest probability of each, (V,)."""
    videos, place = np.unique(clip, return_inverse=True)
    highest = np.full(len(videos), -np.inf)
    np.maximum.at(highest, place, p)
    return videos, np.bincount(place, p, len(videos)) / np.maximum(np.bincount(place, minlength=len(videos)), 1), highest


def _figure(value: float | None, around: list[Interval | None], place: int) -> dict[str, float | None]:
    known = around[place] if around else None
    return {"value": _number(value), "low": _number(known.low) if known else None, "high": _number(known.high) if known else None}


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), _DIGITS)


def _rounded(values: NDArray[np.float64]) -> list[float | None]:
    return [_number(v) for v in values.tolist()]
