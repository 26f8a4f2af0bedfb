"""What every stage gives back, and how a stage that needs pixels or sound is handed the bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow as pa

from schemas.reasons import Failure, Outcome, Reason

OpenMedia = Callable[[str], AbstractContextManager[Path]]
"""Given a uri of the archive, a context that yields a local file with its bytes. Raises `MediaError`."""


class MediaError(Exception):
    """A file can't be had or decoded at all: the video is failed or filtered, the rest of the batch goes on."""

    def __init__(self, reason: Reason, detail: str, outcome: Outcome = Outcome.FAILED) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason, self.detail, self.outcome = reason, detail, outcome


@dataclass(slots=True)
class StageResult:
    """Rows of the stage's OUTPUT schema, trouble met on the way, and the outcome of every video.

    `side` holds further tables by name, for a stage that writes more than one.
    """

    rows: pa.Table
    failures: list[Failure] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    side: dict[str, pa.Table] = field(default_factory=dict)
    frames_seen: int = 0
    """Decoded frames (or ticks), for the progress bar; never stored."""


def table_from_columns(columns: Mapping[str, object], schema: pa.Schema) -> pa.Table:
    """A table of exactly `schema`, from one array or list a column."""
    return pa.table([_as_array(columns[f.name], f.type) for f in schema], schema=schema)


def _as_array(values: object, kind: pa.DataType) -> pa.Array:
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values.cast(kind)
    return pa.array(values, kind)


def as_frame(table: pa.Table) -> pl.DataFrame:
    """The same rows for polars, without a copy where the types allow."""
    return pl.DataFrame(table)


def concat(tables: Iterable[pa.Table], schema: pa.Schema) -> pa.Table:
    """The tables one after the other, as one chunk; an empty table of `schema` when there are none."""
    parts = [t.cast(schema) for t in tables]
    return pa.concat_tables(parts).combine_chunks() if parts else schema.empty_table()
