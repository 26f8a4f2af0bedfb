"""Parquet: the same rows always become the same bytes, written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import WorkspaceError
from schemas.migrations import identity, migrate
from schemas.tables import TABLES, table_version
from stages.contract import as_frame

_DAMAGE = (OSError, pa.ArrowException, UnicodeDecodeError)
"""What pyarrow raises on a file that is not whole: a flipped byte may also lie in a name."""


def to_bytes(table: pa.Table) -> bytes:
    """zstd; dictionaries for strings only and byte-stream-split for floats: a third of the default's size (design, section 6)."""
    strings = [f.name for f in table.schema if pa.types.is_string(f.type)]
    floats = [_leaf(f) for f in table.schema if _holds_floats(f.type)]
    buffer = io.BytesIO()
    pq.write_table(
        table.combine_chunks(),
        buffer,
        compression="zstd",
        use_dictionary=strings,
        use_byte_stream_split=floats or False,
        row_group_size=1 << 17,
    )
    return buffer.getvalue()


def _holds_floats(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or (pa.types.is_fixed_size_list(kind) and pa.types.is_floating(kind.value_type))


def _leaf(field: pa.Field) -> str:
    return f"{field.name}.list.element" if pa.types.is_fixed_size_list(field.type) else field.name


def write_if_changed(table: pa.Table, path: Path) -> bool:
    """Writes a table to a local file unless it already holds the same bytes. Returns whether it wrote."""
    return write_bytes_if_changed(to_bytes(table), path)


def write_bytes_if_changed(data: bytes, path: Path) -> bool:
    """As `write_if_changed`, for bytes: under a temporary name first, so that a reader never sees half a file."""
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
        return False
    # Always the same name: what a killed process left is written over by the next one, which has the lock to itself.
    # And without the ending: a half-written table beside tables must not be taken for one of them.
    replace_file(path, data, path.with_name(f".tmp-{path.stem}"))
    return True


def replace_file(path: Path, data: bytes, temporary: Path) -> None:
    """Puts bytes under a name at once: a reader, or a process killed on the way, sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_frame(path: Path, made_by: str, schema: pa.Schema | None = None) -> pl.DataFrame:
    """One of the workspace's tables, as today's version of it.

    Args:
        path: its file.
        made_by: the command that writes it again.
        schema: what must be in it. None: whatever it says that it is.

    Raises:
        WorkspaceError: missing or damaged.
        SchemaError: another table, or a version that can't be read.
    """
    try:
        # Not `pq.read_table`: that one makes a column of every folder of the path that is called `a=b`.
        with pq.ParquetFile(path) as file:
            table = file.read()
    except _DAMAGE as error:
        raise _damaged(path, made_by, error) from None
    schema = schema or TABLES.get(identity(table.schema)[0] or "")
    return as_frame(table if schema is None else migrate(table, schema, str(path)))


def scan_frames(paths: Sequence[Path], made_by: str, schema: pa.Schema) -> pl.LazyFrame:
    """The rows of many files of one table, read when they are wanted; those of an older version at once, and they come last.

    Raises:
        WorkspaceError: a file is missing or damaged.
        SchemaError: another table, or a version that can't be read.
    """
    today, frames = [], []
    for path in paths:
        try:
            found = pq.read_schema(path)
        except _DAMAGE as error:
            raise _damaged(path, made_by, error) from None
        # Not with check_metadata: that also compares what Parquet calls the items of lists.
        if found.equals(schema) and found.metadata == schema.metadata:
            today.append(path)
        else:
            frames.append(read_frame(path, made_by, schema).lazy())
    if today or not frames:
        frames.append(pl.scan_parquet(today, glob=False, hive_partitioning=False) if today else as_frame(schema.empty_table()).lazy())
    return pl.concat(frames)


@contextlib.contextmanager
def damage_found_late(where: Path | str) -> Iterator[None]:
    """Around whatever collects the rows of `scan_frames`, whose damage shows only then.

    Raises:
        WorkspaceError: a table is damaged.
    """
    try:
        yield
    except (pl.exceptions.ComputeError, pl.exceptions.PanicException) as error:
        raise WorkspaceError(f"{where}: a table of labels is damaged ({type(error).__name__}); `fauscan verify` says which") from None


def from_bytes(data: bytes, source: str, columns: list[str] | None = None, schema: pa.Schema | None = None) -> pa.Table:
    """A table of the store from the bytes of its file, as today's version of it.

    Args:
        data: the file.
        source: its name, for the message.
        columns: None: all of them.
        schema: what must be in it. None: whatever it says that it is, and what says nothing is handed on as it is.

    Raises:
        SchemaError: another table, or a version that can't be read.
    """
    name, version = identity(pq.read_schema(io.BytesIO(data)))
    wanted = schema or TABLES.get(name or "")
    if wanted is None or (schema is None and version == table_version(wanted)):
        return pq.read_table(io.BytesIO(data), columns=columns)
    whole = migrate(pq.read_table(io.BytesIO(data)), wanted, source)  # of all columns: a step may need those that nobody asked for
    return whole if columns is None else whole.select(columns)


def _damaged(path: Path, made_by: str, error: Exception) -> WorkspaceError:
    return WorkspaceError(f"{path}: missing or damaged ({type(error).__name__}); delete it and run `{made_by}`")


def sha256(data: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(data).hexdigest()
