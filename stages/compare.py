"""Compare: how far two backends agree on the faces and the action units of the same frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from schemas.au import AU_NAMES

MIN_IOU = 0.5
"""Two boxes that overlap this much show the same face: the usual bound of detection benchmarks."""
_MIN_PAIRS = 3  # two points always lie on a line


def run(faces_a: pl.DataFrame, fau_a: pl.DataFrame, faces_b: pl.DataFrame, fau_b: pl.DataFrame) -> dict[str, Any]:
    """Agreement of backend A and backend B.

    Args:
        faces_a: rows of FACES; content_id, track, tick, frame_index and box are read.
        fau_a: rows of FAU for them. faces_b, fau_b: the same by the other backend, of the same videos.

    Returns:
        `faces`: counts, `matched` pairs, `recall_of_a` (share of A's faces that B has too) and `recall_of_b`, `mean_iou` of the pairs;
        `aus`: for each action unit that either backend gives, `pairs`, `pearson`, `mean_abs_diff`, `mean_a`, `mean_b` over the pairs that
        have it from both. What can't be computed is null: no pairs, or a side that never moves.

        Faces of one frame are paired when they overlap by `MIN_IOU` or more and each is the other's best.
    """
    pairs = match(faces_a, faces_b)
    joined = _with_units(_with_units(pairs, fau_a, "a"), fau_b, "b")
    given = [au for au in AU_NAMES if fau_a[au].is_not_null().any() or fau_b[au].is_not_null().any()]
    return {
        "min_iou": MIN_IOU,
        "faces": {
            "a": faces_a.height,
            "b": faces_b.height,
            "matched": pairs.height,
            "recall_of_a": _share(pairs.height, faces_a.height),
            "recall_of_b": _share(pairs.height, faces_b.height),
            "mean_iou": None if pairs.is_empty() else _rounded(float(pairs["iou"].to_numpy().mean())),
        },
        "aus": {au: _agreement(joined[f"{au}_a"].to_numpy(), joined[f"{au}_b"].to_numpy()) for au in given},
    }


def match(faces_a: pl.DataFrame, faces_b: pl.DataFrame, min_iou: float = MIN_IOU) -> pl.DataFrame:
    """Pairs of faces: content_id, tick, track_a, track_b, iou. At most one for each face."""
    wanted = ["content_id", "tick", "frame_index", "track", "box"]
    both = faces_a.select(wanted).join(faces_b.select(wanted), on=["content_id", "tick", "frame_index"], suffix="_b")
    scored = both.select(
        "content_id", "tick", pl.col("track").alias("track_a"), "track_b", pl.Series("iou", _iou(both["box"], both["box_b"]), pl.Float64)
    ).filter(pl.col("iou") >= min_iou)
    for track in ("track_a", "track_b"):
        best = pl.col("iou") == pl.col("iou").max().over("content_id", "tick", track)
        scored = scored.with_columns(best.alias(f"best_{track}"))
    mutual = scored.filter(pl.col("best_track_a") & pl.col("best_track_b")).drop("best_track_a", "best_track_b")
    # Two boxes that are the same to the bit tie; the first one counts.
    ordered = mutual.sort("content_id", "tick", "track_a", "track_b")
    return ordered.unique(["content_id", "tick", "track_a"], keep="first", maintain_order=True).unique(
        ["content_id", "tick", "track_b"], keep="first", maintain_order=True
    )


def _iou(a: pl.Series, b: pl.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
    if a.is_empty():
        return np.zeros(0)
    left, right = (np.array(boxes.to_list(), np.float64) for boxes in (a, b))  # (N, 4): left, top, right, bottom
    size = np.clip(np.minimum(left[:, 2:], right[:, 2:]) - np.maximum(left[:, :2], right[:, :2]), 0, None)
    overlap = size.prod(1)
    whole = (left[:, 2:] - left[:, :2]).prod(1) + (right[:, 2:] - right[:, :2]).prod(1) - overlap
    return np.divide(overlap, whole, out=np.zeros_like(whole), where=whole > 0)


def _with_units(pairs: pl.DataFrame, fau: pl.DataFrame, side: str) -> pl.DataFrame:
    units = fau.select("content_id", "tick", pl.col("track").alias(f"track_{side}"), *(pl.col(au).alias(f"{au}_{side}") for au in AU_NAMES))
    return pairs.join(units, on=["content_id", "tick", f"track_{side}"], how="left", maintain_order="left")


def _agreement(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> dict[str, Any]:
    known = np.isfinite(a.astype(np.float64)) & np.isfinite(b.astype(np.float64))
    a, b = a[known].astype(np.float64), b[known].astype(np.float64)
    moves = len(a) >= _MIN_PAIRS and a.std() > 0 and b.std() > 0
    return {
        "pairs": len(a),
        "pearson": _rounded(float(np.corrcoef(a, b)[0, 1])) if moves else None,
        "mean_abs_diff": _rounded(float(np.abs(a - b).mean())) if len(a) else None,
        "mean_a": _rounded(float(a.mean())) if len(a) else None,
        "mean_b": _rounded(float(b.mean())) if len(b) else None,
    }


def _share(part: int, whole: int) -> float | None:
    return _rounded(part / whole) if whole else None


def _rounded(value: float) -> float:
    return round(value, 6)
