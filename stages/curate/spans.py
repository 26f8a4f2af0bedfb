"""Spans of clips: which part of each clip lies in fake spans of its video."""

from __future__ import annotations

import polars as pl

LIST = pl.List(pl.Array(pl.Float64, 2))
_EXACT_S = 1e-6
"""Spans are of microseconds; what is shorter is rounding."""


def long_spans(rows: pl.DataFrame, keys: list[str], column: str) -> pl.DataFrame:
    """One row a span from a column of lists: the keys, start_s, end_s. Spans that touch or overlap are joined."""
    spans = rows.select(*keys, span=pl.col(column)).filter(pl.col("span").list.len() > 0).explode("span")
    return joined(spans.select(*keys, start_s=pl.col("span").arr.get(0), end_s=pl.col("span").arr.get(1)), keys)


def joined(spans: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """The same time, in spans that do not touch."""
    ordered = spans.filter(pl.col("end_s") > pl.col("start_s")).sort(*keys, "start_s", "end_s", nulls_last=True)
    before = pl.col("end_s").cum_max().shift().over(keys)
    group = (pl.col("start_s") > before).fill_null(True).cum_sum().over(keys)
    merged = ordered.with_columns(group=group).group_by(*keys, "group").agg(pl.col("start_s").min(), pl.col("end_s").max())
    return merged.drop("group").sort(*keys, "start_s", nulls_last=True)


def in_clips(clips: pl.DataFrame, spans: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """What of each clip is in spans.

    Args:
        clips: clip (unique), the keys, start_us, end_us.
        spans: of `long_spans`.
        keys: by which a span belongs to a clip; null equals null.

    Returns:
        Only clips that a span touches: clip, spans (list, seconds of the video's timeline, clipped to the clip), fake_s (their
        length), edges (how many of their ends lie inside).
    """
    start, end = pl.col("clip_start_s"), pl.col("clip_end_s")
    timed = clips.select("clip", *keys, clip_start_s=pl.col("start_us") / 1e6, clip_end_s=pl.col("end_us") / 1e6)
    met = timed.join(spans, on=keys, how="inner", nulls_equal=True).with_columns(
        inside=(pl.col("start_s") > start + _EXACT_S).cast(pl.Int32) + (pl.col("end_s") < end - _EXACT_S).cast(pl.Int32),
        start_s=pl.max_horizontal("start_s", "clip_start_s"),
        end_s=pl.min_horizontal("end_s", "clip_end_s"),
    )
    met = met.filter(pl.col("end_s") - pl.col("start_s") > _EXACT_S).sort("clip", "start_s")
    return met.group_by("clip", maintain_order=True).agg(
        spans=pl.concat_list("start_s", "end_s").list.to_array(2),
        fake_s=(pl.col("end_s") - pl.col("start_s")).sum(),
        edges=pl.col("inside").sum(),
    )
