"""Signals: pose and sharpness of faces, and speech, of each clip; from the tables of the store."""

from __future__ import annotations

import polars as pl

from stages.curate.clips import exact, in_windows, mean

FACE_FACTS = ("content_id", "track", "tick", "yaw_deg", "pitch_deg", "roll_deg", "sharpness", "presence")
AUDIO_FACTS = ("content_id", "tick", "speech", "loudness_dbfs")


def of_faces(faces: pl.LazyFrame, stride_ticks: int, whole_picture: bool = False) -> pl.LazyFrame:
    """One row a clip: content_id, track, start_tick, yaw_deg, pitch_deg, roll_deg (largest, without sign), sharpness, presence.

    Args:
        faces: `FACE_FACTS` of FACES.
        stride_ticks: as for the clips.
        whole_picture: over all faces, with a null track.
    """
    facts = faces.select(*FACE_FACTS) if not whole_picture else faces.select(*FACE_FACTS).with_columns(track=pl.lit(None, pl.Int16))
    placed = in_windows(facts.with_columns(sharpness=exact("sharpness")), stride_ticks)
    return placed.group_by("content_id", "track", "start_tick").agg(
        pl.col("yaw_deg", "pitch_deg", "roll_deg").abs().max().cast(pl.Float64),
        mean("sharpness"),
        pl.col("presence").min().cast(pl.Float64),
    )


def of_audio(audio: pl.LazyFrame, stride_ticks: int) -> pl.LazyFrame:
    """One row for each second of sound: content_id, start_tick, speech (share of ticks), loudness_dbfs (mean). audio: `AUDIO_FACTS`."""
    placed = in_windows(audio.select(*AUDIO_FACTS).with_columns(loudness_dbfs=exact("loudness_dbfs")), stride_ticks)
    return placed.group_by("content_id", "start_tick").agg(speech=pl.col("speech").sum() / pl.len(), loudness_dbfs=mean("loudness_dbfs"))
