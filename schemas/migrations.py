"""Migrations: brings a table that an older FauScan wrote to today's version of its schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa

from schemas.errors import SchemaError
from schemas.tables import table_name, table_version

Step = Callable[[pa.Table], pa.Table]
"""From one version of a table to the next. Names its columns and types itself: today's schema may be ahead of it."""


def _with_nulls(table: pa.Table, **columns: pa.DataType) -> pa.Table:
    """The table with further columns, all null."""
    for name, kind in columns.items():
        table = table.append_column(name, pa.nulls(table.num_rows, kind))
    return table


def _units_1(table: pa.Table) -> pa.Table:
    """FauScan 0.1.0 wrote the ledger of units without a name; its columns are the same."""
    return table


def _provenance_2(table: pa.Table) -> pa.Table:
    """The thresholds joined; with which ones older labels were cut is only known through the parameters and the weights."""
    return _with_nulls(table, fake_above=pa.float64(), real_below=pa.float64())


def _inventory_2(table: pa.Table) -> pa.Table:
    """Truth joined; the next inventory fills it in."""
    flags = {f"truth_{name}": pa.bool_() for name in ("fake", "audio_fake", "visual_fake")}
    spans = {f"truth_{name}": pa.list_(pa.list_(pa.float64(), 2)) for name in ("spans", "audio_spans", "visual_spans")}
    texts = {f"truth_{name}": pa.string() for name in ("dataset", "source", "split", "note")}
    lists = {f"truth_{name}": pa.list_(pa.string()) for name in ("methods", "identities")}
    return _with_nulls(table, **flags, **spans, **texts, **lists)


def _labels_2(table: pa.Table) -> pa.Table:
    """Truth of each frame joined, in `data/labels` only: the store's tables stay at version 1."""
    return _with_nulls(table, truth_fake=pa.bool_(), truth_audio_fake=pa.bool_(), truth_visual_fake=pa.bool_())


STEPS: Mapping[tuple[str, int], Step] = {
    ("units", 0): _units_1,
    ("provenance", 1): _provenance_2,
    ("inventory", 1): _inventory_2,
    ("labels", 1): _labels_2,
}
"""By table and the version that the step starts from. Steps stay for ever, as the files do."""


def migrate(table: pa.Table, schema: pa.Schema, source: str, steps: Mapping[tuple[str, int], Step] = STEPS) -> pa.Table:
    """The same rows as a table of exactly today's schema.

    A table without a name, as other tools leave it when they write the file anew, is taken for what is asked for where it has the
    columns of it.

    Args:
        table: all columns of a file, with the metadata of its schema.
        schema: what is wanted. One that has no name itself is met by its columns alone.
        source: the file, for the message.
        steps: all that are known.

    Raises:
        SchemaError: another table's file, a newer version, a version that no step leads on from, or columns that are not those
            of the version that the file says it has.
    """
    name, wanted = identity(schema)
    found_name, version = identity(table.schema)
    if found_name not in {None, name}:
        raise SchemaError(
            f"{source}: holds the table {found_name!r}, where {name!r} is wanted; put the right file there, "
            "or delete it and run FauScan again"
        )
    if version > wanted:
        raise SchemaError(
            f"{source}: is version {version} of the table {name!r}, this FauScan reads up to {wanted}; use the FauScan that wrote it, "
            "or a newer one (the workspace's requirements.txt pins it)"
        )
    said = f"version {version} of the table {name!r}" if found_name else f"the table {name!r}" if name else "what belongs there"
    if found_name is None and (name, 0) not in steps:
        version = wanted
    while version < wanted:
        step = steps.get((str(name), version))
        if step is None:
            raise SchemaError(f"{source}: is {said}, which this FauScan can't read any more; delete it and run FauScan again")
        table, version = step(table), version + 1
    if different := sorted(set(table.column_names) ^ set(schema.names)):
        raise SchemaError(f"{source}: is not {said}, by its columns ({', '.join(different[:5])}); delete it and run FauScan again")
    try:
        return table.select(schema.names).cast(schema)
    except pa.ArrowException as error:
        raise SchemaError(f"{source}: is not {said}, by its values ({error}); delete it and run FauScan again") from None


def identity(schema: pa.Schema) -> tuple[str | None, int]:
    """Name and version that a file's schema carries; (None, 0) where it carries none."""
    metadata = schema.metadata or {}
    if b"fauscan.table" not in metadata:
        return None, 0
    return table_name(schema), table_version(schema)
