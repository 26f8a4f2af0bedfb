"""Listing: brings `data/inventory.parquet` up to date with the archive, reading only files that are new or changed."""

from __future__ import annotations

import contextlib
import functools
import time
from collections import Counter
from collections.abc import Set
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from pipelines import engine
from pipelines.due import finished_units
from pipelines.parquet import read_frame, write_if_changed
from pipelines.probe import ProbeWorker
from pipelines.progress import StepProgress, console
from pipelines.runlog import log_inventory
from pipelines.survey import UNBOUNDED, Bounds, Survey, pending_rows, survey, write_probes
from pipelines.truth import TruthFound, find_truth, print_truth, problems, with_truth
from pipelines.units import LEDGER, Video, assign, pack_up_to
from pipelines.workspace import Workspace
from schemas.errors import ArchiveError
from schemas.reasons import Outcome, Reason
from schemas.tables import INVENTORY, MEDIA, TRUTH_PROBLEMS
from stages.contract import as_frame, concat

_FILES_PER_TASK = 32
_SAVE_EVERY_S = 30.0


def update_inventory(workspace: Workspace, only: Set[str] | None = None, bounds: Bounds = UNBOUNDED) -> pl.DataFrame:
    """Lists the archive, probes what is new, assigns units, and writes the inventory and the problems of its truth if they changed.

    Args:
        workspace: whose archive.
        only: names of the files to take, where others are not wanted; what is known of the others is kept.
        bounds: how much may be taken on; the rest is `pending`, in the inventory like everything else.

    Raises:
        ArchiveError: the archive does not exist, is empty, or holds no video. The old inventory is left as it was.
        TruthError: a dataset that the parameters name is not there, or its metadata can't be read. Nothing was done.
    """
    seen = survey(workspace, bounds.settle_s)
    truth = find_truth(workspace, seen.files)
    wanted = seen.to_read if only is None else seen.to_read.filter(pl.col("uri").is_in(list(only)))
    probed = _read(workspace, seen, wanted, bounds)
    unread = wanted.join(probed, on="uri", how="anti")
    rows = pl.concat(
        [
            seen.known.select(MEDIA.names),
            probed.select(MEDIA.names),
            pending_rows(seen.settling, Reason.STILL_WRITING.value, "changed a moment ago"),
            pending_rows(unread, None, "not read yet"),
        ]
    )
    return _write(workspace, rows if only is None else rows.filter(pl.col("uri").is_in(list(only))), bounds, truth)


def _read(workspace: Workspace, seen: Survey, wanted: pl.DataFrame, bounds: Bounds) -> pl.DataFrame:
    """Rows of PROBES for the files that were read. They are written down as they come: a kill costs half a minute."""
    started = saved = time.monotonic()
    files = wanted.select("uri", "size_bytes", "stamp")
    tasks = [files.slice(i, _FILES_PER_TASK).to_dicts() for i in range(0, files.height, _FILES_PER_TASK)]
    # A handful of files is probed faster than Ray starts.
    params = workspace.params.engine if len(tasks) > 1 else workspace.params.engine.model_copy(update={"name": "local"})
    make_worker = functools.partial(ProbeWorker, workspace.archive().uri, workspace.params.decode, workspace.params.limits)
    stamps = wanted.select("uri", "stamp", "attempt")
    found = pl.DataFrame(schema=seen.cached.schema)
    parts: list[pa.Table] = []
    errors: list[str] = []

    def gather() -> pl.DataFrame:
        rows = as_frame(concat(parts, MEDIA)).join(stamps, on="uri").with_columns(made_by=pl.lit(seen.made_by))
        return rows.select(found.columns)

    with StepProgress("inventory", wanted.height, "files") as progress:
        try:
            with contextlib.closing(engine.run(tasks, make_worker, params)) as answers:
                for part in answers:
                    parts.append(part.rows)
                    errors += part.errors
                    progress.advance(part.rows.num_rows, 0)
                    if time.monotonic() - saved > _SAVE_EVERY_S:
                        write_probes(workspace, _merged(seen, gather()))
                        saved = time.monotonic()
                    if bounds.probe_s is not None and time.monotonic() - started > bounds.probe_s:
                        break
        finally:
            found = gather()
            merged = _merged(seen, found)
            if found.height or merged.height != seen.cached.height:
                write_probes(workspace, merged)
            if found.height:
                log_inventory(workspace, found.height, int(found["size_bytes"].sum()), time.monotonic() - started, errors)
    console.print(progress.summary(seen.known.height), highlight=False)
    return found


def _merged(seen: Survey, found: pl.DataFrame) -> pl.DataFrame:
    """What is known after this run. A file that is to be tried again keeps its count of tries until it has been."""
    names = seen.cached.columns
    waiting = seen.cached.join(seen.files, on="uri", how="semi").join(seen.known, on="uri", how="anti").join(found, on="uri", how="anti")
    return pl.concat([seen.known.select(names), found.select(names), waiting.select(names)])


def _write(workspace: Workspace, rows: pl.DataFrame, bounds: Bounds, truth: TruthFound) -> pl.DataFrame:
    usable = rows.filter(pl.col("outcome") == Outcome.DONE.value)
    if usable.is_empty() and rows.filter(pl.col("outcome") == Outcome.PENDING.value).is_empty():
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(Counter(rows["reason"].to_list()).items()))
        raise ArchiveError(f"archive {workspace.params.archive.uri}: none of its {rows.height} files is a video that can be read ({why})")
    store = workspace.store()
    ledger = store.read_ledger("units", LEDGER)
    videos = [Video(r["content_id"], r["duration_us"]) for r in usable.select("content_id", "duration_us").iter_rows(named=True)]
    units = assign(ledger, videos, workspace.params.units)
    if units.num_rows != ledger.num_rows:
        store.write_ledger("units", units)
    rows = rows.drop("unit").join(as_frame(units), on="content_id", how="left")
    rows = rows.with_columns(unit=pl.when(pl.col("outcome") == Outcome.DONE.value).then("unit"))
    if bounds.admit_minutes is not None:
        rows = _admit(workspace, rows, bounds.admit_minutes)
    rows = with_truth(rows, truth).sort("uri")
    write_if_changed(rows.to_arrow().cast(INVENTORY), workspace.inventory)
    trouble = problems(truth, rows)
    write_if_changed(trouble.to_arrow().cast(TRUTH_PROBLEMS), workspace.truth_problems)
    print_truth(truth, trouble)
    return rows


def _admit(workspace: Workspace, rows: pl.DataFrame, minutes: float) -> pl.DataFrame:
    """Takes the units off again that are not finished, but for the first few."""
    videos = rows.filter(pl.col("unit").is_not_null()).unique("content_id")
    admitted = finished_units(workspace, videos)
    waiting = videos.filter(~pl.col("unit").is_in(list(admitted)))
    lengths = waiting.group_by("unit").agg(pl.col("duration_us").sum()).sort("unit")
    admitted |= pack_up_to(lengths.iter_rows(), minutes * 60e6)
    waits = pl.col("unit").is_not_null() & ~pl.col("unit").is_in(list(admitted))
    changed: dict[str, Any] = {"outcome": Outcome.PENDING.value, "detail": "waits for its turn", "unit": None}
    return rows.with_columns(*(pl.when(waits).then(pl.lit(value)).otherwise(pl.col(name)).alias(name) for name, value in changed.items()))


def read_inventory(path: Path) -> pl.DataFrame:
    """Rows of INVENTORY."""
    return read_frame(path, "fauscan inventory", INVENTORY)
