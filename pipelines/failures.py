"""Failures: what went wrong with which file, and another try."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl
from rich.markup import escape
from rich.table import Table

from pipelines.chain import STEPS, Fingerprints
from pipelines.parquet import read_frame
from pipelines.progress import console
from pipelines.step import units_of
from pipelines.survey import forget_files
from pipelines.workspace import Workspace
from schemas.errors import WorkspaceError
from schemas.fingerprint import unit_key
from schemas.reasons import HELP, Outcome, Reason
from schemas.tables import FAILURES
from stages.view.names import visible_name

_ROWS = 40


def read_failures(workspace: Workspace, reasons: Collection[Reason] = (), outcome: Outcome | None = None) -> pl.DataFrame:
    """Rows of FAILURES, all of them or those with one of the reasons and the outcome.

    Raises:
        WorkspaceError: there is no such table yet, or it is damaged.
    """
    rows = read_frame(workspace.data / "failures.parquet", "fauscan run", FAILURES)
    if reasons:
        rows = rows.filter(pl.col("reason").is_in([reason.value for reason in reasons]))
    return rows if outcome is None else rows.filter(pl.col("outcome") == outcome.value)


def list_failures(workspace: Workspace, reasons: Collection[Reason], outcome: Outcome | None, *, every_row: bool) -> None:
    """Prints how often each reason occurs, what it means, and the files."""
    rows = read_failures(workspace, reasons, outcome)
    if rows.is_empty():
        console.print("no trouble with any file", highlight=False)
        return
    summary = Table("reason", "outcome", "stage", "files", "what it means", box=None, pad_edge=False)
    counts = (
        rows.group_by("reason", "outcome", "stage").agg(files=pl.col("uri").n_unique()).sort("files", "reason", descending=[True, False])
    )
    for reason, end, stage, files in counts.select("reason", "outcome", "stage", "files").iter_rows():
        summary.add_row(reason, end, stage, f"{files:,}", HELP[Reason(reason)])
    console.print(summary)
    console.print()
    listing = Table("file", "stage", "reason", "frames", "detail", box=None, pad_edge=False)
    shown = rows if every_row else rows.head(_ROWS)
    for row in shown.to_dicts():
        frames = "" if row["frame_from"] is None else f"{row['frame_from']}-{row['frame_to']}"
        listing.add_row(escape(visible_name(row["uri"])), row["stage"], row["reason"], frames, escape(visible_name(row["detail"] or "")))
    console.print(listing)
    if shown.height < rows.height:
        console.print(f"… and {rows.height - shown.height:,} more; --all shows them", highlight=False)


def retry_failures(workspace: Workspace, reasons: Collection[Reason]) -> int:
    """Makes the next run try failed videos again. Returns how many.

    Neighbours in the same unit are left as they are, and what was made from the unit is made again only if it changes.
    """
    rows = read_failures(workspace, reasons, Outcome.FAILED)
    forget_files(workspace, set(rows.filter(pl.col("stage") == "inventory")["uri"]))
    store, fingerprints = workspace.store(), Fingerprints(workspace)
    failed = {stage: set(rows.filter(pl.col("stage") == stage)["content_id"].drop_nulls()) for stage in STEPS}
    for unit in units_of(workspace):
        for stage in STEPS:
            if again := failed[stage] & set(unit.members):
                receipt = store.receipt(stage, unit_key(unit.members, fingerprints.of(stage)))
                if receipt is not None:
                    store.replace_receipt(receipt.without(again))
    return int(rows["uri"].n_unique())


def reasons_named(names: Collection[str]) -> list[Reason]:
    """Raises WorkspaceError for a name that is no reason."""
    known = {reason.value: reason for reason in Reason}
    if wrong := sorted(set(names) - known.keys()):
        raise WorkspaceError(f"{', '.join(wrong)}: no such reason; use one of {', '.join(sorted(known))}")
    return [known[name] for name in names]
