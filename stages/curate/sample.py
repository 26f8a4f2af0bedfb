"""Sample: takes clips in the order of their ranks as long as strata, caps and total have room, then balances."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas.curation import Balance, HardParams, RecipeProblem, SampleParams
from stages.curate.groups import group_names, value_text

_NAMED = 3


def sample(clips: pl.DataFrame, params: SampleParams) -> pl.DataFrame:
    """The clips that are taken, with their weights; any order.

    Args:
        clips: rank (of `ranks`), clip_id, loss, edges, split, and every column that `params` names.
        params: what to take.

    Raises:
        RecipeProblem: fewer clips than `per_stratum.min` or `total.min` ask for, or nothing to balance a group with.
    """
    ordered = _in_order(clips.with_columns(stratum=group_names(clips, params.strata)), params.hard)
    taken = ordered.filter(pl.Series(_greedy(ordered, params), dtype=pl.Boolean))
    if params.balance is not None:
        taken = _balanced(taken, params.balance)
    _check_strata(clips, taken, params)
    if taken.height < params.total.min:
        had = f"{taken.height} of {clips.height} clips can be had"
        raise RecipeProblem(("sample", "total", "min"), f"is {params.total.min}, but {had}; use at most {taken.height}")
    return taken.with_columns(weight=_weights(taken, params.weights)).drop("stratum")


def _in_order(clips: pl.DataFrame, hard: HardParams | None) -> pl.DataFrame:
    """By rank; or, with hard examples, so that every beginning of a stratum's list holds `share` of its hardest."""
    if hard is None:
        return clips.sort("rank", "clip_id")
    by = ["loss"] if hard.by == "loss" else ["edges", "loss"]
    place = pl.int_range(1, pl.len() + 1)
    drawn = clips.sort("rank", "clip_id").with_columns(drawn=place.over("stratum"))
    hardest = drawn.sort(*by, "rank", descending=[True] * len(by) + [False], nulls_last=True).with_columns(hard=place.over("stratum"))
    turn = pl.col("hard") / hard.share
    if hard.share < 1:
        turn = pl.min_horizontal(turn, pl.col("drawn") / (1 - hard.share))
    return hardest.with_columns(turn=turn).sort("turn", "rank", "clip_id").drop("turn", "drawn", "hard")


def _greedy(ordered: pl.DataFrame, params: SampleParams) -> NDArray[np.bool_]:
    """(N,) which rows are taken: each in its turn, if all groups that it is in have room."""
    rules: list[tuple[list[list[int]], list[int]]] = []
    if params.per_stratum.max is not None:
        rules.append(_rooms(ordered, pl.col("stratum"), params.per_stratum.max))
    for name, most in params.caps.items():
        rules.append(_rooms(ordered, pl.col(name), most))
    if params.total.max is not None:
        rules.append(([[0]] * ordered.height, [params.total.max]))
    taken = np.ones(ordered.height, np.bool_)
    if not rules:
        return taken
    for row in range(ordered.height):
        wanted = [(left, group) for groups, left in rules for group in groups[row]]
        if all(left[group] > 0 for left, group in wanted):
            for left, group in wanted:
                left[group] -= 1
        else:
            taken[row] = False
    return taken


def _rooms(ordered: pl.DataFrame, column: pl.Expr, most: int) -> tuple[list[list[int]], list[int]]:
    """For each row the groups that it counts in, none for a null; and how much each group has room for."""
    values = ordered.select(row=pl.int_range(pl.len()), value=column)
    if isinstance(values.schema["value"], pl.List):
        values = values.with_columns(pl.col("value").list.unique()).explode("value")
    known = values.drop_nulls("value").with_columns(group=pl.col("value").rank("dense") - 1)
    groups: list[list[int]] = [[] for _ in range(ordered.height)]
    for row, group in known.select("row", "group").iter_rows():
        groups[row].append(group)
    return groups, [most] * (known["value"].n_unique() if known.height else 0)


def _balanced(taken: pl.DataFrame, balance: Balance) -> pl.DataFrame:
    """The first of each value, as many as the rarest one has, within each group. The caps still hold: clips only leave."""
    named = taken.with_columns(cell=group_names(taken, balance.within), value=taken.select(value_text(taken, balance.column)).to_series())
    counts = named.group_by("cell", "value").len()
    values = named["value"].unique().sort()
    for cell in counts["cell"].unique().sort():
        lacking = [v for v in values if v not in set(counts.filter(pl.col("cell") == cell)["value"])]
        if lacking:
            missing = f"{balance.column}={lacking[0]}" + ("" if cell == "all" else f" where {cell}")
            what = f"is {balance.column}, but no clip has {missing}; filter that group out, or balance within less"
            raise RecipeProblem(("sample", "balance", "column"), what)
    least = counts.group_by("cell").agg(least=pl.col("len").min())
    placed = named.with_columns(place=pl.int_range(pl.len()).over("cell", "value")).join(least, on="cell")
    return placed.filter(pl.col("place") < pl.col("least")).drop("cell", "value", "place", "least")


def _check_strata(clips: pl.DataFrame, taken: pl.DataFrame, params: SampleParams) -> None:
    least = params.per_stratum.min
    if not least:
        return
    before = pl.DataFrame({"stratum": group_names(clips, params.strata)}).group_by("stratum").len("there")
    counts = before.join(taken.group_by("stratum").len("taken"), on="stratum", how="left").with_columns(pl.col("taken").fill_null(0))
    short = counts.filter(pl.col("taken") < least).sort("taken", "stratum")
    if short.is_empty():
        return
    named = "; ".join(f"{r['stratum']} has {r['taken']} of {r['there']}" for r in short.head(_NAMED).iter_rows(named=True))
    more = f"; and {short.height - _NAMED} more strata" if short.height > _NAMED else ""
    raise RecipeProblem(
        ("sample", "per_stratum", "min"), f"is {least}, but after caps and balance {named}{more}; use at most {short['taken'][0]}"
    )


def _weights(taken: pl.DataFrame, columns: tuple[str, ...]) -> pl.Series:
    """Each group of the columns weighs the same in all; the mean is 1."""
    named = pl.DataFrame({"group": group_names(taken, columns)})
    groups = named["group"].n_unique()
    return named.select(weight=(pl.len() / groups / pl.len().over("group")).cast(pl.Float32))["weight"]
