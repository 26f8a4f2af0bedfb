"""Looks: hashes of face tracks, kept in the workspace so that each crop is looked at once."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from pipelines.curate.store_tables import StoreTables
from pipelines.parquet import read_frame, to_bytes, write_bytes_if_changed
from pipelines.store import Receipt
from pipelines.workspace import Workspace
from schemas.curation import NearParams
from schemas.errors import WorkspaceError
from schemas.tables import LOOKS
from stages import versions
from stages.contract import as_frame
from stages.curate import near


def near_pairs(workspace: Workspace, tables: StoreTables, content_ids: pl.Series, params: NearParams) -> pl.DataFrame:
    """Near-duplicates among some videos, of `near.pairs_of`. Raises WorkspaceError when the step `faces` has not run."""
    parts = [as_frame(LOOKS.empty_table())]
    for receipt, own in tables.units("faces", content_ids):
        rows = _looks(workspace, receipt).filter(pl.col("content_id").is_in(own.to_pylist()))
        parts.append(rows)
    return near.pairs_of(pl.concat(parts), params.max_distance, params.min_motion)


def _looks(workspace: Workspace, receipt: Receipt) -> pl.DataFrame:
    """A unit's rows of LOOKS, from the cache if its faces are still those that were looked at."""
    path = _cache(workspace) / f"{receipt.content_digest()}-{versions.LOOKS}.parquet"
    if path.is_file():
        try:
            return read_frame(path, "fauscan curate", LOOKS)
        except WorkspaceError:
            path.unlink()  # a cache that is damaged is made again
    faces = workspace.store().read("faces", receipt.unit_key, "faces", list(near.COLUMNS))
    table = near.looks_of(as_frame(faces))
    write_bytes_if_changed(to_bytes(table), path)
    return as_frame(table)


def _cache(workspace: Workspace) -> Path:
    """A folder that git passes over by itself, whatever the workspace's own rules are."""
    folder = workspace.root / "cache" / "looks"
    folder.mkdir(parents=True, exist_ok=True)
    rule = folder.parent / ".gitignore"
    if not rule.is_file():
        rule.write_text("*\n", encoding="utf-8")
    return folder
