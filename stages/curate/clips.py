"""Clips: seconds of 25 ticks on the clock's grid, with what the labels of their frames say, as one lazy query."""

from __future__ import annotations

from typing import Literal

import polars as pl

from schemas.timebase import TICK_US, WINDOW_TICKS

Head = Literal["total", "audio", "visual"]

_FIXED = 1 << 24
"""Means are taken of integers, in units of 2^-24, so that they do not depend on the order in which rows are added up; a
half-precision number between 0 and 1 is a whole number of these."""

_CLIP = ["content_id", "track", "start_tick"]


def clips_of(labels: pl.LazyFrame, stride_ticks: int, head: Head, whole_picture: bool = False) -> pl.LazyFrame:
    """Every clip that lies inside its video.

    Args:
        labels: rows of LABELS, any order; `pts_us` in microseconds from the start of the common timeline.
        stride_ticks: clips start at its multiples.
        head: whose probability is `p`.
        whole_picture: clips of the video, with a null track, over all of its faces: the most suspicious one counts. Else a clip
            for each face.

    Returns:
        One row a clip, any order: content_id, track, start_tick, end_tick, start_us, end_us, start_s, frame_from, frame_to (of all
        frames of the video in that second), ticks (that show the face), frames (its rows), left, top, right, bottom (union, pixels),
        quality, face_px, p, p_total, p_audio, p_visual, confidence, labelled_share, fake_frames, real_frames, reason, provenance_id.
    """
    frames = labels.select(
        "content_id",
        "track",
        "frame_index",
        tick=((pl.col("pts_us") + TICK_US // 2) // TICK_US).clip(0).cast(pl.Int32),
        quality=exact("quality"),
        p=exact(_p(head)),
        **{name: exact(name) for name in ("p_total", "p_audio", "p_visual")},
        **{side: pl.col("box").arr.get(place) for place, side in enumerate(("left", "top", "right", "bottom"))},
        fake=pl.col("label") == "fake",
        real=pl.col("label") == "real",
        labelled=pl.col("label").is_not_null(),
        reason="reason",
        provenance_id="provenance_id",
    ).with_columns(
        face_px=(pl.min_horizontal(pl.col("right") - pl.col("left"), pl.col("bottom") - pl.col("top")) * 64).round().cast(pl.Int64)
    )
    windows = in_windows(frames, stride_ticks)
    # Bounds of the clip, in frames and ticks, are those of the video: a face may come late or leave early.
    bounds = windows.group_by("content_id", "start_tick").agg(
        frame_from=pl.col("frame_index").min(), frame_to=pl.col("frame_index").max() + 1, last_tick=pl.col("tick").max()
    )
    lengths = bounds.group_by("content_id").agg(video_tick=pl.col("last_tick").max())
    rows = _whole_picture(windows) if whole_picture else windows.filter(pl.col("track").is_not_null())
    inside = pl.col("start_tick") + (WINDOW_TICKS - 1) <= pl.col("video_tick")
    return (
        rows.group_by(_CLIP)
        .agg(_aggregates())
        .join(bounds.drop("last_tick"), on=["content_id", "start_tick"])
        .join(lengths, on="content_id")
        .filter(inside)
        .drop("video_tick")
        .with_columns(
            end_tick=pl.col("start_tick") + WINDOW_TICKS,
            start_us=pl.col("start_tick").cast(pl.Int64) * TICK_US,
            end_us=(pl.col("start_tick") + WINDOW_TICKS).cast(pl.Int64) * TICK_US,
            start_s=pl.col("start_tick") * (TICK_US / 1e6),
            confidence=(2 * pl.col("p") - 1).abs(),
        )
    )


def _p(head: Head) -> pl.Expr:
    if head != "total":
        return pl.col(f"p_{head}")
    return pl.coalesce("p_total", pl.when(pl.col("basis") == "visual").then("p_visual"))


def exact(what: str | pl.Expr) -> pl.Expr:
    """A column as whole numbers, whose sum is the same in any order."""
    column = pl.col(what) if isinstance(what, str) else what
    return (column.cast(pl.Float64).fill_nan(None) * _FIXED).round().cast(pl.Int64)


def mean(name: str) -> pl.Expr:
    """The mean of a column of `exact`, null where it has no values."""
    return (pl.col(name).sum() / pl.col(name).count() / _FIXED).fill_nan(None).alias(name)


def in_windows(frames: pl.LazyFrame, stride: int) -> pl.LazyFrame:
    """Each row once for every clip that covers its tick, as start_tick."""
    newest = pl.col("tick") // stride
    if stride >= WINDOW_TICKS:
        placed = frames.with_columns(start_tick=newest * stride)
    else:
        starts = pl.concat_list([(newest - back) * stride for back in range(-(-WINDOW_TICKS // stride))])
        placed = frames.with_columns(start_tick=starts).explode("start_tick")
    covered = (pl.col("start_tick") >= 0) & (pl.col("tick") - pl.col("start_tick") < WINDOW_TICKS)
    return placed.filter(covered).with_columns(pl.col("start_tick").cast(pl.Int32))


def _whole_picture(windows: pl.LazyFrame) -> pl.LazyFrame:
    """One row for each frame of a clip."""
    most = ["tick", "quality", "p", "p_total", "p_audio", "p_visual", "right", "bottom", "fake", "labelled", "face_px"]
    return windows.group_by("content_id", "start_tick", "frame_index").agg(
        pl.lit(None, pl.Int16).first().alias("track"),
        *(pl.col(name).max() for name in most),
        pl.col("left", "top", "reason", "provenance_id").min(),
        real=pl.col("real").any() & ~pl.col("fake").fill_null(False).any(),
    )


def _aggregates() -> list[pl.Expr]:
    shares = [
        (pl.col(name).sum() / pl.col(name).count() / _FIXED).fill_nan(None) for name in ("quality", "p", "p_total", "p_audio", "p_visual")
    ]
    return [
        *shares,
        (pl.col("face_px").sum() / pl.col("face_px").count() / 64).fill_nan(None),
        pl.col("left", "top").min(),
        pl.col("right", "bottom").max(),
        pl.col("tick").n_unique().alias("ticks"),
        pl.len().alias("frames"),
        (pl.col("labelled").sum() / pl.len()).alias("labelled_share"),
        pl.col("fake").sum().alias("fake_frames"),
        pl.col("real").sum().alias("real_frames"),
        pl.col("reason").drop_nulls().unique().sort(),
        pl.col("provenance_id").min(),
    ]
