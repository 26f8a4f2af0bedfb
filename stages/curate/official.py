"""Official splits: what the datasets themselves say of each component, and where they divide one."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from schemas.curation import CuratedSplits, RecipeProblem

_NONE = pl.DataFrame(schema={"component": pl.Int32, "split": pl.String})


@dataclass(frozen=True, slots=True)
class Official:
    """Components whose split is given, and those that are left out since they have several."""

    splits: pl.DataFrame
    """component, split"""
    dropped: pl.DataFrame
    """component"""


def official_splits(videos: pl.DataFrame, linked: pl.DataFrame, params: CuratedSplits) -> Official:
    """The official split of every component that has one.

    Args:
        videos: content_id, uri, component, official_splits (of all copies).
        linked: of `links`, to say what connects two videos.
        params: what to do where a component has several.

    Raises:
        RecipeProblem: a component has several, and that is an error.
    """
    if params.official == "ignore":
        return Official(_NONE, _NONE.select("component"))
    known = videos.select("component", "content_id", "uri", split="official_splits").explode("split").drop_nulls("split")
    count = known.group_by("component").agg(n=pl.col("split").n_unique(), split=pl.col("split").min())
    divided = count.filter(pl.col("n") > 1).select("component").sort("component")
    if divided.height and params.conflict == "error":
        own = known.join(divided.head(1), on="component", how="semi")
        raise RecipeProblem(
            ("splits", "conflict"),
            f"is error, and {divided.height} groups of connected videos lie in several official splits: {_example(own, linked)}; "
            "use drop, or official: ignore, or leave the relation out",
        )
    return Official(count.filter(pl.col("n") == 1).select("component", "split").sort("component"), divided)


def _example(videos: pl.DataFrame, linked: pl.DataFrame) -> str:
    """Two videos of one component and different splits, and if they are neighbours what they share."""
    shared = linked.join(videos, on="content_id", how="inner")
    crossing = shared.group_by("relation", "value").agg(n=pl.col("split").n_unique()).filter(pl.col("n") > 1).sort("relation", "value")
    why = ""
    if crossing.height:
        first = crossing.row(0, named=True)
        videos = shared.filter(pl.col("relation") == first["relation"], pl.col("value") == first["value"])
        why = f" by {first['relation']} {first['value']}"
    two = videos.sort("split", "uri").unique("split", keep="first", maintain_order=True).head(2).rows(named=True)
    return " and ".join(f"{row['uri']} ({row['split']})" for row in two) + why
