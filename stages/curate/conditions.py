"""Conditions: a recipe's filters as polars expressions."""

from __future__ import annotations

import polars as pl

from schemas.curation import Condition, Value
from schemas.curation_columns import COLUMNS


def expression(name: str, condition: Condition) -> pl.Expr:
    """True for rows that pass. A null passes only where the condition says so."""
    column = pl.col(name)
    kind = COLUMNS[name].kind
    rules = []
    if condition.at_least is not None:
        rules.append(column >= condition.at_least)
    if condition.at_most is not None:
        rules.append(column <= condition.at_most)
    if condition.one_of is not None:
        rules.append(_any_of(column, condition.one_of, kind == "texts"))
    if condition.none_of is not None:
        rules.append(~_any_of(column, condition.none_of, kind == "texts"))
    if condition.equals is not None:
        rules.append(column == condition.equals)
    passes = pl.all_horizontal(rules).fill_null(False) if rules else pl.lit(True)
    if condition.is_null is not None:
        passes &= column.is_null() == condition.is_null
    return passes | column.is_null() if condition.or_null else passes


def _any_of(column: pl.Expr, values: tuple[Value, ...], is_list: bool) -> pl.Expr:
    """Whether the value, or any of a list, is one of `values`."""
    if not is_list:
        return column.is_in(list(values))
    return pl.any_horizontal([column.list.contains(value) for value in values])
