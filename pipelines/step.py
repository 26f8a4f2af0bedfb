"""Step: runs one stage over all units that have no receipt yet, and writes its manifest."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from pipelines import engine
from pipelines.chain import STEPS, Fingerprints, downstream_of, step_named
from pipelines.listing import read_inventory
from pipelines.parquet import write_if_changed
from pipelines.progress import StepProgress, console
from pipelines.runlog import log_step
from pipelines.store import Receipt
from pipelines.units import LEDGER
from pipelines.worker import StepWorker, UnitTask
from pipelines.workspace import Workspace
from schemas.errors import WorkspaceError
from schemas.fingerprint import unit_key
from schemas.tables import MANIFEST
from stages.contract import as_frame, table_from_columns


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit with everything that was ever assigned to it, and its videos that are in the archive today."""

    name: str
    members: list[str]
    videos: list[dict[str, object]]


def run_step(workspace: Workspace, name: str) -> list[Receipt]:
    """Computes what is missing, and writes `data/manifests/<name>.parquet`.

    Raises:
        WorkspaceError: an earlier step has not run.
        CheckpointError: the step needs weights that can't be used; nothing was started.
    """
    step = step_named(name)
    fingerprints = Fingerprints(workspace)
    store = workspace.store()
    units = units_of(workspace)
    receipts, tasks, before = [], [], {}
    members = {unit.name: unit.members for unit in units}
    for unit in units:
        key = unit_key(unit.members, fingerprints.of(name))
        receipt = store.receipt(name, key)
        covered = receipt is not None and {video["content_id"] for video in unit.videos} <= receipt.outcomes.keys()
        if receipt is not None and covered and not receipt.may_pass:
            receipts.append(receipt)
            continue
        if receipt is not None:
            before[key] = receipt
        needed = {read.stage for read in step.reads} | set(step.upstream)
        upstream = {stage: unit_key(unit.members, fingerprints.of(stage)) for stage in sorted(needed)}
        for stage, upstream_key in upstream.items():
            if store.receipt(stage, upstream_key) is None:
                raise WorkspaceError(f"step {name} needs {stage}, which has not run with these parameters; run `fauscan {stage}` first")
        tasks.append(UnitTask(unit.name, key, list(unit.videos), upstream))
    make_worker = functools.partial(
        StepWorker, name, workspace.params, workspace.archive().uri, workspace.store_uri, workspace.weights(), fingerprints.of(name)
    )
    already = sum(len(r.outcomes) for r in receipts)
    with StepProgress(name, sum(len(t.videos) for t in tasks)) as progress, log_step(workspace, name) as log:
        gpus = workspace.params.engine.gpus_per_worker if name == "score" else 0.0
        for done in engine.run(tasks, make_worker, workspace.params.engine, gpus_per_worker=gpus):
            receipts.append(done.receipt)
            if done.receipt != before.get(done.receipt.unit_key, done.receipt):
                # A video that could not be read is there now: what was made without it is made again.
                for later in downstream_of(name):
                    store.forget(later, unit_key(members[done.receipt.unit], fingerprints.of(later)))
            progress.advance(len(done.receipt.outcomes), done.frames)
            log.unit(done)
    console.print(progress.summary(already), highlight=False)
    receipts.sort(key=lambda r: r.unit)
    write_if_changed(_manifest(receipts, next(iter(step.outputs))), workspace.manifest(name))
    return receipts


def receipts_of(workspace: Workspace, name: str) -> list[Receipt]:
    """Receipts of all units of a finished step.

    Raises:
        WorkspaceError: the step has not run, or not with these parameters.
    """
    fingerprint = Fingerprints(workspace).of(name)
    store = workspace.store()
    receipts = []
    for unit in units_of(workspace):
        receipt = store.receipt(name, unit_key(unit.members, fingerprint))
        if receipt is None:
            raise WorkspaceError(f"step {name} has not run with these parameters; run `fauscan {name}` first")
        receipts.append(receipt)
    return receipts


def units_of(workspace: Workspace) -> list[Unit]:
    """Units that hold at least one video of the inventory, in order of their names.

    Raises:
        WorkspaceError: there is no inventory yet.
    """
    if not workspace.inventory.is_file():
        raise WorkspaceError(f"{workspace.inventory}: no inventory yet; run `fauscan inventory` first")
    inventory = read_inventory(workspace.inventory)
    videos = inventory.filter(pl.col("unit").is_not_null()).sort("uri").unique("content_id", keep="first", maintain_order=True)
    ledger = as_frame(workspace.store().read_ledger("units", LEDGER))
    members = {unit: part["content_id"].to_list() for (unit,), part in ledger.group_by("unit")}
    units = []
    for (name,), part in videos.sort("unit", "content_id").group_by("unit", maintain_order=True):
        # A store that was deleted has no ledger; the inventory still knows the unit.
        units.append(Unit(str(name), members.get(name) or part["content_id"].to_list(), part.to_dicts()))
    return units


def _manifest(receipts: list[Receipt], main_table: str) -> pa.Table:
    rows = [
        {
            "unit": r.unit,
            "unit_key": r.unit_key,
            "content_id": content_id,
            "outcome": outcome,
            "num_rows": r.tables[main_table].rows,
            "sha256": r.tables[main_table].sha256,
        }
        for r in receipts
        for content_id, outcome in sorted(r.outcomes.items())
    ]
    return table_from_columns({name: [row[name] for row in rows] for name in MANIFEST.names}, MANIFEST)


UNIT_STEPS = tuple(STEPS)
"""Names of the steps, in the order in which they run."""
