"""Survey: the archive's files held against what is known of them. Lists and compares; reads no file."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from pipelines.workspace import Workspace
from schemas.fingerprint import digest
from schemas.reasons import TRANSIENT, Outcome
from schemas.tables import MEDIA
from stages import versions
from stages.contract import as_frame

_CACHE = "probes"
PROBES = pa.schema(
    [pa.field("stamp", pa.string()), pa.field("made_by", pa.string()), pa.field("attempt", pa.int16()), *MEDIA],
    {"fauscan.table": "probes", "fauscan.version": "1"},
)
"""What reading each file gave, with the stamp that it had then. Lives in the store."""

_TRY_AGAIN = [reason.value for reason in TRANSIENT]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one run of the inventory may take on. None of it changes what the archive's labels are in the end."""

    settle_s: float = 0.0
    """Files that changed this recently are left for later."""
    probe_s: float | None = None
    """No more files are opened after so many seconds, but a few always are."""
    admit_minutes: float | None = None
    """New units are given to the steps up to so much video, but at least one."""


UNBOUNDED = Bounds()


@dataclass(frozen=True, slots=True)
class Survey:
    """Every listed file is in exactly one of `known`, `to_read` and `settling`."""

    files: pl.DataFrame
    """LISTING: uri, size_bytes, stamp."""
    known: pl.DataFrame
    """Rows of PROBES that still hold."""
    to_read: pl.DataFrame
    """uri, size_bytes, stamp, attempt (which this will be) and why: new, changed, retry, again (other version or limits)."""
    settling: pl.DataFrame
    """uri, size_bytes, stamp."""
    cached: pl.DataFrame
    """All rows of PROBES, also of files that are gone."""
    made_by: str


def survey(workspace: Workspace, settle_s: float = 0.0) -> Survey:
    """Lists the archive and says what must be read.

    Raises:
        ArchiveError: the archive does not exist or is empty.
        WorkspaceError: the store's notes are damaged.
    """
    archive = workspace.archive()
    files = as_frame(archive.listing(leave_out=workspace.root))
    # The stage's own parameters: those of other sections do not change what a file is.
    made_by = digest({"version": versions.INVENTORY, "decode": workspace.params.decode.model_dump(mode="json")})
    cached = read_probes(workspace)
    due = pl.col("reason").is_in(_TRY_AGAIN).fill_null(False) & (pl.col("attempt") < workspace.params.limits.max_attempts)
    valid = cached.filter((pl.col("made_by") == made_by) & ~due)
    known = valid.join(files, on=["uri", "size_bytes", "stamp"], how="semi")
    before = cached.select("uri", old_size="size_bytes", old_stamp="stamp", tries="attempt", old_maker="made_by")
    to_read = (
        files.join(known, on="uri", how="anti")
        .join(before, on="uri", how="left")
        .with_columns(
            why=pl.when(pl.col("old_maker").is_null()).then(pl.lit("new"))
            .when((pl.col("old_size") != pl.col("size_bytes")) | (pl.col("old_stamp") != pl.col("stamp"))).then(pl.lit("changed"))
            .when(pl.col("old_maker") != made_by).then(pl.lit("again"))
            .otherwise(pl.lit("retry")),
        )
        .with_columns(attempt=pl.when(pl.col("why") == "retry").then(pl.col("tries") + 1).otherwise(1).cast(pl.Int16))
        .select("uri", "size_bytes", "stamp", "attempt", "why")
        .sort("uri")
    )  # fmt: skip
    restless = archive.restless(to_read["uri"].to_list(), settle_s) if settle_s > 0 else set()
    settling = to_read.filter(pl.col("uri").is_in(restless)).select("uri", "size_bytes", "stamp")
    return Survey(files, known, to_read.filter(~pl.col("uri").is_in(restless)), settling, cached, made_by)


def read_probes(workspace: Workspace) -> pl.DataFrame:
    """Rows of PROBES."""
    return as_frame(workspace.store().read_ledger(_CACHE, PROBES))


def write_probes(workspace: Workspace, rows: pl.DataFrame) -> None:
    """Replaces them."""
    workspace.store().write_ledger(_CACHE, rows.select(PROBES.names).sort("uri").to_arrow().cast(PROBES))


def forget_files(workspace: Workspace, uris: Set[str]) -> None:
    """Makes the next inventory read these files again, although they have not changed."""
    rows = read_probes(workspace)
    kept = rows.filter(~pl.col("uri").is_in(list(uris)))
    if kept.height < rows.height:
        write_probes(workspace, kept)


def pending_rows(files: pl.DataFrame, reason: str | None, detail: str) -> pl.DataFrame:
    """Rows of MEDIA for files that have not been read: uri and size, and why not."""
    blank = as_frame(MEDIA.empty_table())
    return files.select(
        *(
            pl.col(name)
            if name in {"uri", "size_bytes"}
            else pl.lit({"outcome": Outcome.PENDING.value, "reason": reason, "detail": detail}.get(name), kind).alias(name)
            for name, kind in blank.schema.items()
        )
    )
