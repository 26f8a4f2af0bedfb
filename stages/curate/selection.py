"""Selection: the chosen clips as rows of CURATED."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from schemas.tables import CURATED
from stages.contract import as_frame

_TYPES = as_frame(CURATED.empty_table()).schema


def selection_of(clips: pl.DataFrame) -> pl.DataFrame:
    """Rows of CURATED, sorted by clip_id. clips: with every column that `select` adds on the way."""
    sides = ["left", "top", "right", "bottom"]
    box = pl.when(pl.all_horizontal(pl.col(sides).is_not_null())).then(pl.concat_list(pl.col(sides).cast(pl.Float32)).list.to_array(4))
    rows = clips.with_columns(box=box, methods=pl.col("method"), source=pl.col("truth_source"), identities=pl.col("identity"))
    return rows.select(pl.col(name).cast(kind) for name, kind in _TYPES.items()).sort("clip_id")


def as_table(selection: pl.DataFrame) -> pa.Table:
    """The same rows as a table of exactly CURATED."""
    return selection.to_arrow().cast(CURATED)
