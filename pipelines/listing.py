"""Listing: brings `data/inventory.parquet` up to date with the archive, reading only files that are new or changed."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Set
from pathlib import Path

import polars as pl
import pyarrow as pa

from pipelines import engine
from pipelines.archive import Archive
from pipelines.parquet import read_frame, write_if_changed
from pipelines.process import quiet_process
from pipelines.progress import StepProgress, console
from pipelines.units import LEDGER, Video, assign
from pipelines.workspace import Workspace
from schemas.errors import ArchiveError
from schemas.fingerprint import digest
from schemas.params import DecodeParams
from schemas.reasons import TRANSIENT, Outcome
from schemas.tables import INVENTORY, LISTING
from stages import inventory
from stages.contract import as_frame, concat

_FILES_PER_TASK = 32
_CACHE = "inventory_cache"
_CACHE_SCHEMA = pa.schema([pa.field("stamp", pa.string()), pa.field("made_by", pa.string()), *INVENTORY])
_TRY_AGAIN = {reason.value for reason in TRANSIENT}


class InventoryWorker:
    """Probes files in a process of its own."""

    def __init__(self, archive_uri: str, decode: DecodeParams) -> None:
        quiet_process()
        self._archive = Archive(archive_uri)
        self._stage = inventory.Inventory(decode)

    def __call__(self, listing: pa.Table) -> pa.Table:
        return self._stage(listing, self._archive.open_media).rows

    def close(self) -> None:
        self._stage.close()


def update_inventory(workspace: Workspace, only: Set[str] | None = None) -> pl.DataFrame:
    """Lists the archive, probes what is new, assigns units, and writes the inventory if it changed.

    Args:
        workspace: whose archive.
        only: names of the files to take, where others are not wanted; what is known of the others is kept.

    Raises:
        ArchiveError: the archive does not exist, is empty, or holds no video. The old inventory is left as it was.
    """
    archive, store = workspace.archive(), workspace.store()
    listing = archive.listing(leave_out=workspace.root)
    made_by = digest({"version": inventory.VERSION, "decode": workspace.params.decode.model_dump(mode="json")})
    cache = store.read_ledger(_CACHE, _CACHE_SCHEMA)
    files = as_frame(listing)
    known = as_frame(cache).filter((pl.col("made_by") == made_by) & ~pl.col("reason").is_in(_TRY_AGAIN).fill_null(False))
    known = known.join(files, on=["uri", "size_bytes", "stamp"], how="semi")
    new = files.join(known, on="uri", how="anti").sort("uri")
    if only is not None:
        new = new.filter(pl.col("uri").is_in(list(only)))
    tasks = [new.slice(i, _FILES_PER_TASK).to_arrow().cast(LISTING) for i in range(0, new.height, _FILES_PER_TASK)]
    make_worker = functools.partial(InventoryWorker, archive.uri, workspace.params.decode)
    found = []
    with StepProgress("inventory", new.height, "files") as progress:
        # A handful of files is probed faster than Ray starts.
        small = workspace.params.engine if len(tasks) > 1 else workspace.params.engine.model_copy(update={"name": "local"})
        for part in engine.run(tasks, make_worker, small):
            found.append(part)
            progress.advance(part.num_rows, 0)
    console.print(progress.summary(known.height), highlight=False)
    probed = as_frame(concat(found, INVENTORY)).join(files.select("uri", "stamp"), on="uri")
    probed = probed.with_columns(made_by=pl.lit(made_by))
    rows = pl.concat([known.select(_CACHE_SCHEMA.names), probed.select(_CACHE_SCHEMA.names)]).sort("uri")
    if new.height or rows.height != cache.num_rows:
        store.write_ledger(_CACHE, rows.to_arrow().cast(_CACHE_SCHEMA))
    rows = rows.select(INVENTORY.names)
    return _write(workspace, rows if only is None else rows.filter(pl.col("uri").is_in(list(only))))


def forget_files(workspace: Workspace, uris: Collection[str]) -> None:
    """Makes the next inventory read these files again, although they have not changed."""
    store = workspace.store()
    cache = as_frame(store.read_ledger(_CACHE, _CACHE_SCHEMA))
    kept = cache.filter(~pl.col("uri").is_in(list(uris)))
    if kept.height < cache.height:
        store.write_ledger(_CACHE, kept.to_arrow().cast(_CACHE_SCHEMA))


def _write(workspace: Workspace, rows: pl.DataFrame) -> pl.DataFrame:
    usable = rows.filter(pl.col("outcome") == Outcome.DONE.value)
    if usable.is_empty():
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(Counter(rows["reason"].to_list()).items()))
        raise ArchiveError(f"archive {workspace.params.archive.uri}: none of its {rows.height} files is a video that can be read ({why})")
    store = workspace.store()
    ledger = store.read_ledger("units", LEDGER)
    videos = [Video(r["content_id"], r["duration_us"]) for r in usable.select("content_id", "duration_us").to_dicts()]
    units = assign(ledger, videos, workspace.params.units)
    if units.num_rows != ledger.num_rows:
        store.write_ledger("units", units)
    rows = rows.drop("unit").join(as_frame(units), on="content_id", how="left")
    rows = rows.with_columns(unit=pl.when(pl.col("outcome") == Outcome.DONE.value).then("unit")).select(INVENTORY.names).sort("uri")
    write_if_changed(rows.to_arrow().cast(INVENTORY), workspace.inventory)
    return rows


def read_inventory(path: Path) -> pl.DataFrame:
    """Rows of INVENTORY."""
    return read_frame(path, "fauscan inventory")
