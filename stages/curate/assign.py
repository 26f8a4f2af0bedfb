"""Assign: gives each component a split, so that the splits get their shares of every stratum."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas.curation import SPLITS, CuratedSplits, RecipeProblem
from stages.curate.groups import group_names
from stages.curate.rank import ranks


def assign(clips: pl.DataFrame, official: pl.DataFrame, params: CuratedSplits, seed: int) -> pl.DataFrame:
    """component, split. Large components are placed first, each where the strata lack most; equal ones in the order of the seed.

    Args:
        clips: component, content_id, and the columns of `params.strata`.
        official: component, split: what the datasets say, at most one row for each component.
        params: wanted shares, of clips.
        seed: of ties.

    Raises:
        RecipeProblem: a wanted split gets nothing.
    """
    counts, names = _counts(clips, params.strata, seed)
    wanted = np.array([params.shares[split] for split in SPLITS])
    fixed = dict(official.iter_rows())
    chosen = np.array([SPLITS.index(fixed[c]) if c in fixed else -1 for c in names], np.int64)
    have = np.stack([counts[chosen == s].sum(axis=0) for s in range(len(SPLITS))])
    free = np.flatnonzero(chosen < 0)
    _place(counts, chosen, have, wanted, free)
    _fill_empty(counts, chosen, wanted, free)
    _check_none_empty(chosen, wanted, len(names))
    return pl.DataFrame({"component": names, "split": [SPLITS[s] for s in chosen]}, schema={"component": pl.Int32, "split": pl.String})


def _counts(clips: pl.DataFrame, strata: tuple[str, ...], seed: int) -> tuple[NDArray[np.float64], list[int]]:
    """(C, K + 1) clips of each component in each stratum and in all, the largest component first; and the components' numbers."""
    named = clips.select("component", "content_id", stratum=group_names(clips, strata))
    total = named.group_by("component").agg(n=pl.len(), name=pl.col("content_id").min()).sort("component")
    ordered = total.with_columns(rank=ranks(total["name"], seed, "component")).sort("n", "rank", descending=[True, False])
    rows = {component: row for row, component in enumerate(ordered["component"])}
    columns = {name: place for place, name in enumerate(named["stratum"].unique().sort(nulls_last=True))}
    counts = np.zeros((len(rows), len(columns) + 1))
    for component, stratum, n in named.group_by("component", "stratum").len().iter_rows():
        counts[rows[component], columns[stratum]] = n
    counts[:, -1] = ordered["n"].to_numpy()
    return counts, ordered["component"].to_list()


def _place(
    counts: NDArray[np.float64], chosen: NDArray[np.int64], have: NDArray[np.float64], wanted: NDArray[np.float64], free: NDArray[np.int64]
) -> None:
    """Fills in `chosen` and `have`: each component goes where the squared distance from the wanted counts shrinks most."""
    total = counts.sum(axis=0)
    goal = wanted[:, None] * total  # (S, K)
    worth = 1 / np.maximum(total, 1) ** 2
    worth[-1] *= counts.shape[1]  # the whole counts as much as all strata together
    open_splits = np.flatnonzero(wanted > 0)
    for row in free:
        v = counts[row]
        lack = have[open_splits] - goal[open_splits]
        change = (((lack + v) ** 2 - lack**2) * worth).sum(axis=1) / wanted[open_splits]
        best = open_splits[int(np.argmin(change))]
        chosen[row] = best
        have[best] += v


def _fill_empty(counts: NDArray[np.float64], chosen: NDArray[np.int64], wanted: NDArray[np.float64], free: NDArray[np.int64]) -> None:
    """A wanted split that got nothing takes the smallest component that another one can spare."""
    for split in np.flatnonzero(wanted > 0):
        if (chosen == split).any():
            continue
        spare = [row for row in free if (chosen == chosen[row]).sum() > 1]
        if spare:
            chosen[min(spare, key=lambda row: (counts[row, -1], -row))] = split


def _check_none_empty(chosen: NDArray[np.int64], wanted: NDArray[np.float64], components: int) -> None:
    for split in np.flatnonzero(wanted > 0):
        if not (chosen == split).any():
            name = SPLITS[split]
            raise RecipeProblem(
                ("splits", name),
                f"wants {wanted[split]:g} of the clips and gets none: there are {components} groups of connected videos, and official "
                f"splits may hold them; set {name} to 0, or leave relations out, or use official: ignore",
            )
