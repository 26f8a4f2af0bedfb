"""Groups: names for the combinations of columns by which clips are counted."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl


def group_names(rows: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """One name a row, `a=1 b=2`; all rows are one group, `all`, where there are no columns."""
    if not columns:
        return pl.repeat("all", rows.height, eager=True, dtype=pl.String)
    parts = [pl.concat_str(pl.lit(f"{name}="), value_text(rows, name)) for name in columns]
    return rows.select(group=pl.concat_str(parts, separator=" "))["group"]


def value_text(rows: pl.DataFrame, name: str) -> pl.Expr:
    """A column as text: values of a list joined with +, null as a dash."""
    column = pl.col(name)
    if isinstance(rows.schema[name], pl.List):
        joined = column.list.join("+")
        column = pl.when(joined.str.len_bytes() > 0).then(joined)
    return column.cast(pl.String).fill_null("-")
