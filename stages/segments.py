"""Segments: contiguous fake spans of a track, or of the sound, from per-frame probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from schemas.params import SegmentParams
from schemas.tables import LABELS, SEGMENTS
from stages.contract import StageResult, table_from_columns
from stages.hysteresis import FAKE, runs, states

INPUT, OUTPUT, VERSION = LABELS, SEGMENTS, 1
MODALITIES = ("total", "audio", "visual")


def run(labels: pl.DataFrame, params: SegmentParams, fake_above: float, real_below: float) -> StageResult:
    """Joins neighbouring fake frames into spans.

    Args:
        labels: rows of `LABELS`, any order; `pts_us` in microseconds from the start of the common timeline.
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
                fake = np.array([s == FAKE for s in states(p, fake_above, real_below)])
                for start_us, end_us, score in _spans(frames["pts_us"].to_numpy(), p, fake, frame_us, params):
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
    pts_us: np.ndarray[Any, Any], p: np.ndarray[Any, Any], fake: np.ndarray[Any, Any], frame_us: int, params: SegmentParams
) -> list[tuple[int, int, float]]:
    merged: list[list[int]] = []
    for start, end in runs(fake):
        if merged and pts_us[start] - (pts_us[merged[-1][1] - 1] + frame_us) <= params.max_gap_ms * 1_000:
            merged[-1][1] = end
        else:
            merged.append([start, end])
    spans = []
    for start, end in merged:
        start_us, end_us = int(pts_us[start]), int(pts_us[end - 1]) + frame_us
        if end_us - start_us >= params.min_length_ms * 1_000:
            spans.append((start_us, end_us, float(p[start:end].mean())))
    return spans
