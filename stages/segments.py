"""Segments: contiguous fake spans of a track, or of the sound, from per-frame probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas.params import SegmentParams
from schemas.tables import SEGMENTS, STORED_LABELS
from stages import versions
from stages.contract import StageResult, table_from_columns
from stages.hysteresis import FAKE, runs, states

INPUT, OUTPUT, VERSION = STORED_LABELS, SEGMENTS, versions.SEGMENTS
MODALITIES = ("total", "audio", "visual")


def run(labels: pl.DataFrame, params: SegmentParams, fake_above: float, real_below: float) -> StageResult:
    """Joins neighbouring fake frames into spans.

    Args:
        labels: rows of `STORED_LABELS`, any order; `pts_us` in microseconds from the start of the common timeline.
        params: interruptions up to `max_gap_ms` are bridged; spans shorter than `min_length_ms` are dropped.
        fake_above: hysteresis, as for labels.
        real_below: hysteresis, as for labels.

    Returns:
        Rows of `SEGMENTS`, sorted: start_s inclusive, end_s exclusive, score = mean probability over the span's frames.
        Sound belongs to the video, so audio spans have a null track. Never fails on media: no labels, no segments.
    """
    rows: list[dict[str, Any]] = []
    for (content_id,), video in labels.group_by("content_id", maintain_order=True):
        times = np.unique(video["pts_us"].to_numpy())
        frame_us = int(np.median(np.diff(times))) if len(times) > 1 else 40_000
        sound = video.unique("pts_us", keep="first").with_columns(track=pl.lit(None, pl.Int16))
        for modality, source in (("audio", sound), ("total", video), ("visual", video)):
            column = f"p_{modality}"
            known = source.filter(pl.col(column).is_not_null())
            if modality != "audio":
                known = known.filter(pl.col("track").is_not_null())
            for (track,), frames in known.sort("pts_us").group_by("track", maintain_order=True):
                p = frames[column].cast(pl.Float64).to_numpy()
                for start_us, end_us, score in _spans(frames["pts_us"].to_numpy(), p, frame_us, params, fake_above, real_below):
                    rows.append(
                        {
                            "content_id": content_id,
                            "track": track,
                            "modality": modality,
                            "start_s": start_us / 1e6,
                            "end_s": end_us / 1e6,
                            "score": score,
                            "provenance_id": frames["provenance_id"][0],
                        }
                    )
    rows.sort(key=lambda r: (r["content_id"], MODALITIES.index(r["modality"]), -1 if r["track"] is None else r["track"], r["start_s"]))
    return StageResult(table_from_columns({name: [r[name] for r in rows] for name in SEGMENTS.names}, SEGMENTS))


def _spans(
    pts_us: NDArray[np.int64],
    p: NDArray[np.float64],
    frame_us: int,
    params: SegmentParams,
    fake_above: float,
    real_below: float,
) -> list[tuple[int, int, float]]:
    """(start_us, end_us, score) of each span; a hole in time longer than `max_gap_ms` ends one like a real frame does."""
    gap_us = params.max_gap_ms * 1_000
    holes = np.flatnonzero(np.diff(pts_us) > frame_us + gap_us) + 1
    merged: list[list[int]] = []
    for part in np.split(np.arange(len(p)), holes):
        fake = np.array([s == FAKE for s in states(p[part], fake_above, real_below)])
        for start, end in runs(fake):
            first, last = int(part[start]), int(part[end - 1])
            if merged and pts_us[first] - (pts_us[merged[-1][1]] + frame_us) <= gap_us:
                merged[-1][1] = last
            else:
                merged.append([first, last])
    spans = [(int(pts_us[first]), int(pts_us[last]) + frame_us, float(p[first : last + 1].mean())) for first, last in merged]
    return [span for span in spans if span[1] - span[0] >= params.min_length_ms * 1_000]
