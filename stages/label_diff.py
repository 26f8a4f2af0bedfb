"""Label diff: which frames and which spans are not the same in two versions of the labels."""

from __future__ import annotations

import polars as pl

from schemas.tables import DIFF, LABELS, SEGMENT_DIFF, SEGMENTS
from stages.contract import as_frame

INPUT, OUTPUT = (LABELS, SEGMENTS), (DIFF, SEGMENT_DIFF)

ADDED, REMOVED, LABEL, REASON, MOVED = "added", "removed", "label", "reason", "moved"
"""What became of a row: only in B; only in A; another label; the same label for another reason; a span with other ends."""

_KEY = ["content_id", "track", "frame_index"]
_VALUES = ["pts_us", "label", "reason", "p_total", "p_visual"]
_SPAN_KEY = ["content_id", "track", "modality"]
_GROUP = ["content_id", "change", "label_a", "label_b", "reason_a", "reason_b"]


def join(a: pl.LazyFrame, b: pl.LazyFrame) -> pl.LazyFrame:
    """Every row of either version, next to its counterpart.

    Args:
        a: rows of LABELS, each (content_id, track, frame_index) once; so is `b`.

    Returns:
        Columns of DIFF but for uri, in no order. `change` is null where neither label nor reason changed. A frame in which one
        version saw a face and the other none has two rows: its row without a track was removed or added, like that of the face.
    """
    sides = [
        side.select(*_KEY, *(pl.col(v).alias(f"{v}_{name}") for v in _VALUES), pl.lit(True).alias(f"in_{name}"))
        for side, name in ((a, "a"), (b, "b"))
    ]
    both = sides[0].join(sides[1], on=_KEY, how="full", coalesce=True, nulls_equal=True)  # a row without a face has no track
    change = (
        pl.when(pl.col("in_a").is_null())
        .then(pl.lit(ADDED))
        .when(pl.col("in_b").is_null())
        .then(pl.lit(REMOVED))
        .when(pl.col("label_a").ne_missing(pl.col("label_b")))
        .then(pl.lit(LABEL))
        .when(pl.col("reason_a").ne_missing(pl.col("reason_b")))
        .then(pl.lit(REASON))
    )
    return both.with_columns(pts_us=pl.coalesce("pts_us_b", "pts_us_a"), change=change)


def count(joined: pl.LazyFrame) -> pl.LazyFrame:
    """How many frames of each video went which way.

    Returns:
        content_id, change, label_a, label_b, reason_a, reason_b; `frames`; `rescored`: how many of them have another probability
        in B, and `largest`, by how much at most.
    """
    steps = [(pl.col(f"{p}_a").cast(pl.Float32) - pl.col(f"{p}_b").cast(pl.Float32)).abs() for p in ("p_total", "p_visual")]
    return (
        joined.with_columns(step=pl.max_horizontal(*steps))
        .group_by(_GROUP)
        .agg(frames=pl.len(), rescored=(pl.col("step") > 0).sum(), largest=pl.col("step").max())
    )


def changed(joined: pl.LazyFrame, uris: pl.DataFrame) -> pl.LazyFrame:
    """Rows of DIFF: those of `joined` that changed, by uri, track and frame.

    Args:
        joined: of `join`.
        uris: content_id (each once) and uri.
    """
    rows = joined.filter(pl.col("change").is_not_null()).join(uris.lazy(), on="content_id", how="left")
    types = as_frame(DIFF.empty_table()).schema
    return rows.select(pl.col(n).cast(t) for n, t in types.items()).sort("uri", "content_id", "frame_index", "track", nulls_last=True)


def spans(a: pl.DataFrame, b: pl.DataFrame) -> pl.DataFrame:
    """Pairs the fake spans of two versions: of the same track and modality, the two that share most time first.

    Args:
        a: rows of SEGMENTS; so is `b`.

    Returns:
        Columns of SEGMENT_DIFF but for uri; `change` is added, removed, moved (other ends), or null for the same span.
    """
    sides = [
        side.select(*_SPAN_KEY, *(pl.col(v).alias(f"{v}_{name}") for v in ("start_s", "end_s", "score"))).with_row_index(f"row_{name}")
        for side, name in ((a, "a"), (b, "b"))
    ]
    shared = pl.min_horizontal("end_s_a", "end_s_b") - pl.max_horizontal("start_s_a", "start_s_b")
    pairs = sides[0].join(sides[1], on=_SPAN_KEY, how="inner", nulls_equal=True).with_columns(shared=shared).filter(pl.col("shared") > 0)
    pairs = pairs.sort("shared", "row_a", "row_b", descending=[True, False, False])
    taken_a, taken_b, kept = set[int](), set[int](), []
    for place, (row_a, row_b) in enumerate(pairs[["row_a", "row_b"]].rows()):
        if row_a not in taken_a and row_b not in taken_b:
            taken_a.add(row_a)
            taken_b.add(row_b)
            kept.append(place)
    same = (pl.col("start_s_a") == pl.col("start_s_b")) & (pl.col("end_s_a") == pl.col("end_s_b"))
    parts = [
        pairs[kept].with_columns(change=pl.when(~same).then(pl.lit(MOVED))),
        sides[0].filter(~pl.col("row_a").is_in(list(taken_a))).with_columns(change=pl.lit(REMOVED)),
        sides[1].filter(~pl.col("row_b").is_in(list(taken_b))).with_columns(change=pl.lit(ADDED)),
    ]
    return pl.concat(parts, how="diagonal_relaxed").drop("row_a", "row_b", "shared")
