"""Proof: counts, from the finished selection, what the splits share."""

from __future__ import annotations

from typing import Any

import polars as pl

from schemas.curation import RELATIONS, SPLITS, CuratedSplits
from stages.curate.groups import group_names

_NAMED = 20


def proof_of(selection: pl.DataFrame, linked: pl.DataFrame, params: CuratedSplits) -> dict[str, Any]:
    """How many groups each relation has among the selected clips, and how many of them lie in more than one split.

    Nothing is taken from the assignment: splits are those of the rows themselves.

    Args:
        selection: content_id, split, component, identities, target and the columns of `params.strata`, a row for each clip.
        linked: of `links`, for all relations, also those that the recipe leaves out.
        params: wanted shares.
    """
    videos = selection.select("content_id", "split").unique()
    placed = linked.join(videos, on="content_id", how="inner")
    relations = {name: _overlaps(placed.filter(pl.col("relation") == name), name in params.relations) for name in RELATIONS}
    components = selection.select("content_id", "split", value=pl.col("component").cast(pl.String)).unique()
    counts = selection.group_by("split").agg(
        clips=pl.len(), videos=pl.col("content_id").n_unique(), components=pl.col("component").n_unique(),
        identities=pl.col("identities").list.explode().drop_nulls().n_unique(),
        real=(pl.col("target") == "real").sum(), fake=(pl.col("target") == "fake").sum(),
    )  # fmt: skip
    found = {row.pop("split"): row for row in counts.to_dicts()}
    nothing = dict.fromkeys(("clips", "videos", "components", "identities", "real", "fake"), 0)
    splits = {split: found.get(split, nothing) for split in SPLITS}
    return {
        "relations": {**relations, "component": _overlaps(components, True)},
        "splits": {
            split: row | {"wanted": params.shares[split], "reached": round(row["clips"] / max(1, selection.height), 6)}
            for split, row in splits.items()
        },
        "strata": _strata(selection, params.strata),
        "videos_without_identity": selection.filter(pl.col("identities").list.len().fill_null(0) == 0)["content_id"].n_unique(),
    }


def _overlaps(rows: pl.DataFrame, enforced: bool) -> dict[str, Any]:
    groups = rows.group_by("value").agg(splits=pl.col("split").n_unique(), videos=pl.col("content_id").n_unique())
    shared = groups.filter(pl.col("splits") > 1)["value"].sort()
    return {
        "enforced": enforced,
        "groups": groups.height,
        "groups_of_several_videos": groups.filter(pl.col("videos") > 1).height,
        "overlaps": len(shared),
        "overlapping": shared.head(_NAMED).to_list(),
    }


def _strata(selection: pl.DataFrame, columns: tuple[str, ...]) -> dict[str, dict[str, int]]:
    named = pl.DataFrame({"stratum": group_names(selection, columns), "split": selection["split"]})
    counts = named.group_by("stratum", "split").len().sort("stratum")
    result: dict[str, dict[str, int]] = {}
    for stratum, split, n in counts.iter_rows():
        result.setdefault(stratum, dict.fromkeys(SPLITS, 0))[split] = n
    return result
