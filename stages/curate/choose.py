"""Choose: at most N clips of each video."""

from __future__ import annotations

import polars as pl

from schemas.curation import ClipParams


def per_video(clips: pl.DataFrame, params: ClipParams) -> pl.DataFrame:
    """The clips that `per_video` and `choose` leave; any order.

    Args:
        clips: content_id, track, start_tick, loss, edges, clip_id, rank (of `ranks`).
        params: `spread` takes clips at even distances of the video's list in time, `random` by rank, `hard` by loss, `boundary` by
            the edges of spans in them; clips without a loss come last, equal ones by rank.
    """
    if params.per_video is None:
        return clips
    if params.choose == "spread":
        place, count = pl.int_range(pl.len()), pl.len()
        taken = (place + 1) * params.per_video // count > place * params.per_video // count
        in_time = clips.sort("content_id", "start_tick", "track", nulls_last=True)
        return in_time.filter((taken | (count <= params.per_video)).over("content_id"))
    first = {"random": [], "hard": ["loss"], "boundary": ["edges", "loss"]}[params.choose]
    ordered = clips.sort(*first, "rank", descending=[True] * len(first) + [False], nulls_last=True)
    return ordered.filter(pl.int_range(pl.len()).over("content_id") < params.per_video)
