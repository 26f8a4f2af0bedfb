"""Status: where an archive stands, from the workspace's tables. Lists no archive and reads no store but for its ledger."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
from rich.markup import escape
from rich.table import Table

from pipelines.chain import Fingerprints
from pipelines.failures import read_failures
from pipelines.listing import read_inventory
from pipelines.parquet import read_frame
from pipelines.progress import console
from pipelines.runlog import read_log
from pipelines.step import UNIT_STEPS, units_of
from pipelines.truth import problem_text, read_problems
from pipelines.workspace import Workspace
from schemas.errors import WorkspaceError
from schemas.fingerprint import unit_key
from schemas.reasons import TRANSIENT, Outcome
from schemas.tables import MANIFEST
from stages.view.names import visible_name


def print_status(workspace: Workspace) -> None:
    """Files by outcome, units done by step, failures that wait for another try, and the last runs.

    Raises:
        WorkspaceError: there is no inventory yet.
    """
    inventory = read_inventory(workspace.inventory)
    console.print(f"archive    {escape(str(workspace.params.archive.uri))}", highlight=False)
    console.print(f"store      {escape(workspace.params.store.uri)}", highlight=False)
    counts = dict(inventory.group_by("outcome").len().iter_rows())
    videos = inventory.filter(pl.col("outcome") == Outcome.DONE.value)
    copies = videos.height - videos["content_id"].n_unique()
    hours = int(videos.unique("content_id")["duration_us"].sum()) / 3.6e9
    also = f", {copies:,} of them copies" if copies else ""
    console.print(f"files      {inventory.height:,}: {videos.height:,} videos ({hours:,.1f} h{also})", highlight=False)
    for outcome in (Outcome.FILTERED, Outcome.FAILED, Outcome.PENDING):
        if counts.get(outcome.value):
            console.print(f"           {counts[outcome.value]:,} {outcome.value}: {_reasons(inventory, outcome)}", highlight=False)
    _truth(workspace, inventory)
    console.print(_steps(workspace))
    _tries(workspace)
    for line in read_log(workspace)[-3:]:
        done = line.get("files") or sum(unit["videos"] for unit in line["units"])
        noun = "files" if "files" in line else "videos"
        console.print(f"last       {line['started']}  {line['step']}: {done:,} {noun} in {line['seconds']:,.0f} s", highlight=False)


def _truth(workspace: Workspace, inventory: pl.DataFrame) -> None:
    """Files that metadata in the archive tells of, and what does not match."""
    known = inventory.filter(pl.col("truth_dataset").is_not_null())
    table = read_problems(workspace)
    if known.is_empty() and table.is_empty():
        return
    counts = known.group_by("truth_dataset").len().sort("truth_dataset")
    said = ", ".join(f"{name}: {count:,} files" for name, count in counts.iter_rows()) or "of no file"
    text = problem_text(Counter(table["kind"].to_list()))
    console.print(f"truth      {escape(visible_name(said))}{text}", highlight=False, soft_wrap=True)


def _reasons(inventory: pl.DataFrame, outcome: Outcome) -> str:
    rows = inventory.filter(pl.col("outcome") == outcome.value)
    why = rows.with_columns(why=pl.coalesce("reason", "detail")).group_by("why").len().sort("len", "why", descending=[True, False])
    return ", ".join(f"{count:,} {reason}" for reason, count in why.iter_rows())


def _steps(workspace: Workspace) -> Table:
    """Done: in the manifest, under today's parameters."""
    fingerprints, units = Fingerprints(workspace), units_of(workspace)
    table = Table("step", "units done", "videos done", "filtered", "failed", "due", box=None, pad_edge=False)
    for name in UNIT_STEPS:
        keys = {unit_key(unit.members, fingerprints.of(name)): len(unit.videos) for unit in units}
        rows = _manifest(workspace.manifest(name), name)
        current = rows.filter(pl.col("unit_key").is_in(list(keys)))
        counts = dict(current.group_by("outcome").len().iter_rows())
        done = set(current["unit_key"])
        due = sum(videos for key, videos in keys.items() if key not in done)
        numbers = (counts.get(outcome.value, 0) for outcome in (Outcome.DONE, Outcome.FILTERED, Outcome.FAILED))
        table.add_row(name, f"{len(done):,} of {len(keys):,}", *(f"{number:,}" for number in numbers), f"{due:,}")
    return table


def _manifest(path: Path, step: str) -> pl.DataFrame:
    if not path.is_file():
        return pl.DataFrame(schema={"unit_key": pl.String, "outcome": pl.String})
    return read_frame(path, f"fauscan {step}", MANIFEST).select("unit_key", "outcome")


def _tries(workspace: Workspace) -> None:
    try:
        failed = read_failures(workspace, [], Outcome.FAILED)
    except WorkspaceError:
        return  # no label yet
    passing = failed.filter(pl.col("reason").is_in([reason.value for reason in TRANSIENT]))
    parked = passing.filter(pl.col("attempt") >= workspace.params.limits.max_attempts)["uri"].n_unique()
    waiting = passing.filter(pl.col("attempt") < workspace.params.limits.max_attempts)["uri"].n_unique()
    if waiting:
        console.print(f"retry      {waiting:,} files are tried again by the next run", highlight=False)
    if parked:
        console.print(
            f"parked     {parked:,} files failed {workspace.params.limits.max_attempts} times; `fauscan failures list`, then `retry`",
            highlight=False,
        )
