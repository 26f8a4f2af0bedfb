"""Truth frames: every frame of clips whose truth is known, with what the labels say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas.timebase import TICKS_PER_S
from schemas.truth import Modality, Span, TruthRow

FrameRule = Literal["exact", "upstream"]
LABEL_NAMES = ("none", "real", "uncertain", "fake")
"""From the weakest; with several faces in a frame the strongest holds."""

_EDGE_US = 1
"""A timestamp is rounded to a microsecond; within one of an edge, a frame belongs to what begins there."""


@dataclass(frozen=True, slots=True)
class TruthFrames:
    """Frames of C clips, one after the other: N in all. A frame with several faces is as fake as the most suspicious one."""

    clips: list[TruthRow]
    clip: NDArray[np.int64]  # (N,) place in `clips`
    frame_index: NDArray[np.int64]  # (N,)
    pts_us: NDArray[np.int64]  # (N,)
    p: Mapping[Modality, NDArray[np.float64]]  # (N,) each, NaN where the labels give no probability
    label: NDArray[np.int64]  # (N,) place in LABEL_NAMES

    def fake(self, modality: Modality, rule: FrameRule = "exact") -> NDArray[np.bool_]:
        """(N,) whether the truth calls the frame fake.

        `exact`: its timestamp lies in a span, start inclusive, end exclusive. `upstream`: LAV-DF's and AV-Deepfake1M's frame
        numbers, int(25 * start) to int(25 * end), as they come out in double precision, whatever the video's own rate is.
        """
        flags = np.zeros(len(self.clip), np.bool_)
        edges = np.searchsorted(self.clip, np.arange(len(self.clips) + 1))
        for number, row in enumerate(self.clips):
            own = slice(edges[number], edges[number + 1])
            flags[own] = in_spans(row.spans(modality), self.pts_us[own], self.frame_index[own], rule)
        return flags


def in_spans(
    spans: Sequence[Span], pts_us: NDArray[np.int64], frame_index: NDArray[np.int64], rule: FrameRule = "exact"
) -> NDArray[np.bool_]:
    """(N,) which frames of one clip lie in any of its spans; see `TruthFrames.fake`."""
    flags = np.zeros(len(pts_us), np.bool_)
    for start, end in spans:
        if rule == "upstream":
            flags |= (frame_index >= int(start * TICKS_PER_S)) & (frame_index < int(end * TICKS_PER_S))
        else:
            flags |= (pts_us + _EDGE_US >= round(start * 1e6)) & (pts_us + _EDGE_US < round(end * 1e6))
    return flags


def truth_frames(truth: Sequence[TruthRow], inventory: pl.DataFrame, labels: pl.DataFrame) -> TruthFrames:
    """Joins truth and labels.

    `total` is what a label rests on: p_total, or p_visual where the basis is `visual` because there is no sound to go by.

    Args:
        truth: clips; those without a row of labels are left out.
        inventory: rows of INVENTORY; `file` of the truth is its `uri`.
        labels: rows of LABELS, any order.
    """
    content_of = dict(inventory.filter(pl.col("content_id").is_not_null()).select("uri", "content_id").iter_rows())
    parts = {str(key[0]): part for key, part in _by_frame(labels).partition_by("content_id", as_dict=True).items()}
    clips = [row for row in truth if content_of.get(row.file) in parts]
    own = [parts[content_of[row.file]] for row in clips]
    frames = pl.concat(own) if own else _by_frame(labels).clear()
    return TruthFrames(
        clips,
        np.repeat(np.arange(len(own)), [part.height for part in own]).astype(np.int64),
        frames["frame_index"].to_numpy().astype(np.int64),
        frames["pts_us"].to_numpy().astype(np.int64),
        {m: frames[f"p_{m}"].fill_null(float("nan")).to_numpy() for m in ("total", "audio", "visual")},
        frames["rank"].to_numpy().astype(np.int64),
    )


def _by_frame(labels: pl.DataFrame) -> pl.DataFrame:
    """One row per content and frame, in order."""
    known = [pl.col(f"p_{m}").cast(pl.Float64).fill_nan(None) for m in ("total", "audio", "visual")]
    by_sight = pl.col("basis").cast(pl.String) == "visual"
    rank = pl.col("label").cast(pl.String).replace_strict({n: i for i, n in enumerate(LABEL_NAMES)}, default=0, return_dtype=pl.Int64)
    return (
        labels.with_columns(*known, rank=rank)
        .with_columns(p_total=pl.coalesce("p_total", pl.when(by_sight).then("p_visual")))
        .group_by(pl.col("content_id").cast(pl.String), "frame_index")
        .agg(pl.col("pts_us").first(), pl.col("p_total", "p_audio", "p_visual", "rank").max())
        .sort("content_id", "frame_index")
    )
