"""Parquet: the same rows always become the same bytes, written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import WorkspaceError


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


def read_frame(path: Path, made_by: str) -> pl.DataFrame:
    """One of the workspace's tables.

    Raises:
        WorkspaceError: missing or damaged; `made_by` is the command that writes it again.
    """
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise WorkspaceError(f"{path}: missing or damaged ({type(error).__name__}); delete it and run `{made_by}`") from None


def sha256(data: bytes) -> str:
    """Hex SHA-256."""
    return hashlib.sha256(data).hexdigest()
