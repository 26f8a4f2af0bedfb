"""Videos: one row for each content of the inventory, with what the truth says of all its copies."""

from __future__ import annotations

import polars as pl

from schemas.reasons import Outcome


def videos_of(inventory: pl.DataFrame) -> pl.DataFrame:
    """One row for each content_id, sorted by it: the same bytes under several names are one video.

    The row is that of the first copy which has a truth, by uri; the identities, sources and official splits of all copies are
    joined, since each of them may connect the video with others.

    Args:
        inventory: rows of INVENTORY; those without a content_id, and files that are no video, are left out.

    Returns:
        The inventory's columns, and dataset, method, identity (lists, never null), source (the own uri where truth_source is
        null), official_split, duration_s, video, and of all copies: uris, sources, official_splits (sorted lists),
        contradicts (the copies are called real and fake).
    """
    is_video = pl.col("outcome").ne_missing(Outcome.FILTERED.value)
    known = inventory.filter(pl.col("content_id").is_not_null() & is_video).sort(pl.col("truth_dataset").is_null(), "uri")
    copies = known.group_by("content_id").agg(
        uris=pl.col("uri").unique().sort(),
        sources=pl.col("truth_source").drop_nulls().unique().sort(),
        official_splits=pl.col("truth_split").drop_nulls().unique().sort(),
        all_identities=pl.col("truth_identities").list.explode().drop_nulls().unique().sort(),
        contradicts=pl.col("truth_fake").drop_nulls().n_unique() > 1,
    )
    first = known.unique("content_id", keep="first", maintain_order=True)
    return (
        first.join(copies, on="content_id", how="left")
        .with_columns(truth_identities=pl.when(pl.col("all_identities").list.len() > 0).then("all_identities"))
        .drop("all_identities", "reason", "outcome", "detail")
        .with_columns(
            dataset=pl.coalesce("truth_dataset", _first_folder()),
            method=_never_null("truth_methods"),
            identity=_never_null("truth_identities"),
            source=pl.coalesce("truth_source", "uri"),
            official_split=pl.col("truth_split"),
            duration_s=pl.col("duration_us") / 1e6,
            video=pl.col("content_id"),
        )
        .sort("content_id")
    )


def _first_folder() -> pl.Expr:
    return pl.when(pl.col("uri").str.contains("/", literal=True)).then(pl.col("uri").str.split("/").list.first())


def _never_null(name: str) -> pl.Expr:
    return pl.col(name).fill_null(pl.lit([], pl.List(pl.String)))
