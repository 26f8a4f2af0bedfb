"""Step: runs one stage over all units that have no receipt yet, and writes its manifest."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from pipelines import engine
from pipelines.chain import STEPS, Fingerprints, step_of
from pipelines.features import check_checkpoint
from pipelines.listing import read_inventory
from pipelines.parquet import write_if_changed
from pipelines.progress import StepProgress, console
from pipelines.runlog import log_step
from pipelines.store import Receipt
from pipelines.units import LEDGER
from pipelines.weights.needed import require
from pipelines.worker import StepWorker, UnitTask
from pipelines.workspace import Workspace
from schemas.errors import WorkspaceError
from schemas.fingerprint import unit_key
from schemas.reasons import Outcome
from schemas.tables import MANIFEST, MEDIA
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
        CheckpointError, WeightsError: the step needs weights that can't be used; nothing was started.
    """
    step = step_of(name, workspace.params)
    require(workspace.root, step.models)
    if name == "score":
        check_checkpoint(workspace)
    receipts, tasks = due_units(workspace, name)
    already = sum(len(r.outcomes) for r in receipts)
    fingerprint = Fingerprints(workspace).of(name)
    frozen = name == "fau" and workspace.params.fau.embedding == "me-graphau"
    weights = workspace.embedding_weights() if frozen else workspace.weights()
    make_worker = functools.partial(StepWorker, name, workspace.params, workspace.archive().uri, workspace.store_uri, weights, fingerprint)
    with StepProgress(name, sum(len(t.videos) for t in tasks)) as progress, log_step(workspace, name) as log:
        for done in engine.run(tasks, make_worker, workspace.params.engine, gpus=_gpus(workspace, name)):
            receipts.append(done.receipt)
            progress.advance(done.computed, done.frames)
            log.unit(done)
    console.print(progress.summary(already), highlight=False)
    receipts.sort(key=lambda r: r.unit)
    write_if_changed(_manifest(receipts, next(iter(step.outputs))), workspace.manifest(name))
    return receipts


def due_units(workspace: Workspace, name: str) -> tuple[list[Receipt], list[UnitTask]]:
    """Receipts of the units that are done, and tasks for the others.

    A unit is due when it has no receipt, when the receipt does not know one of its videos, when a video failed for a passing
    reason and has tries left, and when an upstream stage holds something else than what the unit was made from.

    Raises:
        WorkspaceError: an earlier step has not run.
        CheckpointError: the step needs weights that can't be used.
    """
    step, store, fingerprints = step_of(name, workspace.params), workspace.store(), Fingerprints(workspace)
    units = units_of(workspace)
    needed = sorted({read.stage for read in step.reads} | set(step.upstream))
    keys = {stage: {unit.name: unit_key(unit.members, fingerprints.of(stage)) for unit in units} for stage in (name, *needed)}
    found = {stage: store.receipts(stage, keys[stage].values()) for stage in keys}
    receipts, tasks = [], []
    for unit in units:
        inputs, lost = {}, set()
        for stage in needed:
            upstream = found[stage].get(keys[stage][unit.name])
            if upstream is None:
                raise WorkspaceError(f"step {name} needs {stage}, which has not run with these parameters; run `fauscan {stage}` first")
            inputs[stage] = upstream.content_digest()
            lost |= {content_id for content_id, outcome in upstream.outcomes.items() if outcome == Outcome.FAILED}
        receipt = found[name].get(keys[name][unit.name])
        present = {str(video["content_id"]) for video in unit.videos}
        holds = receipt is not None and receipt.inputs == inputs and present <= receipt.outcomes.keys()
        if receipt is not None and holds and not receipt.due(workspace.params.limits.max_attempts) & present:
            receipts.append(receipt)
            continue
        upstream_keys = {stage: keys[stage][unit.name] for stage in needed}
        tasks.append(UnitTask(unit.name, keys[name][unit.name], unit.videos, upstream_keys, inputs, frozenset(lost & present), receipt))
    return receipts, tasks


def _gpus(workspace: Workspace, name: str) -> engine.Gpus:
    params = workspace.params.engine
    return (
        engine.Gpus(params.gpus_per_worker, params.gpu_workers)
        if name == "score" or step_of(name, workspace.params).models or (name == "fau" and workspace.params.fau.embedding != "none")
        else engine.NO_GPUS
    )


def receipts_of(workspace: Workspace, name: str) -> list[Receipt]:
    """Receipts of all units of a finished step.

    Raises:
        WorkspaceError: the step has not run, or not with these parameters.
    """
    fingerprint = Fingerprints(workspace).of(name)
    store = workspace.store()
    keys = [unit_key(unit.members, fingerprint) for unit in units_of(workspace)]
    found = store.receipts(name, keys)
    if len(found) < len(keys):
        raise WorkspaceError(f"step {name} has not run with these parameters; run `fauscan {name}` first")
    return [found[key] for key in keys]


def units_of(workspace: Workspace) -> list[Unit]:
    """Units that hold at least one video of the inventory, in order of their names.

    Raises:
        WorkspaceError: there is no inventory yet.
    """
    if not workspace.inventory.is_file():
        raise WorkspaceError(f"{workspace.inventory}: no inventory yet; run `fauscan inventory` first")
    inventory = read_inventory(workspace.inventory).select(MEDIA.names)  # a step is told nothing of the truth
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
