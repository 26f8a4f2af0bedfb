"""Due: which videos of which units each step has still to compute, by manifests and receipts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

import polars as pl

from pipelines.chain import STEPS, Fingerprints
from pipelines.parquet import read_frame
from pipelines.units import LEDGER
from pipelines.workspace import Workspace
from schemas.errors import WorkspaceError
from schemas.fingerprint import unit_key
from schemas.reasons import Outcome
from schemas.tables import MANIFEST
from stages.contract import as_frame


@dataclass(frozen=True, slots=True)
class Due:
    """What the steps have to do for known videos."""

    videos: dict[str, dict[str, set[str]]]
    """step -> unit -> content_ids."""
    stale: bool
    """A manifest does not say what its receipts say, as after a kill: the step must run, though it computes nothing."""


def find_due(workspace: Workspace, videos: pl.DataFrame) -> Due:
    """Units that each step would compute.

    The manifests say what is done; a receipt is read only where they do not, as after a kill, or where a video failed.

    Args:
        workspace: with its manifests.
        videos: content_id and unit.
    """
    store, fingerprints = workspace.store(), Fingerprints(workspace)
    ledger = as_frame(store.read_ledger("units", LEDGER)).filter(pl.col("unit").is_in(videos["unit"].unique().to_list()))
    members = dict(ledger.group_by("unit").agg("content_id").iter_rows())
    present = {unit: set(part) for unit, part in videos.group_by("unit").agg("content_id").iter_rows()}
    due = Due({name: {} for name in STEPS}, stale=False)
    attempts = workspace.params.limits.max_attempts
    for name, step in STEPS.items():
        fingerprint = fingerprints.of(name)
        said = _said(workspace, name)
        keys = {unit: unit_key(members[unit], fingerprint) for unit in present}
        doubtful = [unit for unit, wanted in present.items() if not _all_well(wanted, said.get(keys[unit], {}))]
        receipts = store.receipts(name, [keys[unit] for unit in doubtful])
        for unit in doubtful:
            wanted, outcomes, receipt = present[unit], said.get(keys[unit], {}), receipts.get(keys[unit])
            left = wanted if receipt is None else (wanted - receipt.outcomes.keys()) | (receipt.due(attempts) & wanted)
            if left:
                due.videos[name][unit] = left if step.reads_media else wanted
            elif receipt is not None and any(receipt.outcomes[video] != outcomes.get(video) for video in wanted):
                due = replace(due, stale=True)
    return due


def _all_well(wanted: set[str], outcomes: dict[str, str]) -> bool:
    return wanted <= outcomes.keys() and not any(outcomes[video] == Outcome.FAILED for video in wanted)


def _said(workspace: Workspace, step: str) -> dict[str, dict[str, str]]:
    """unit_key -> content_id -> outcome."""
    path = workspace.manifest(step)
    if not path.is_file():
        return {}
    try:
        rows = read_frame(path, f"fauscan {step}", MANIFEST)
    except WorkspaceError:
        return {}  # the step writes it again
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for key, content_id, outcome in rows.select("unit_key", "content_id", "outcome").iter_rows():
        found[key][content_id] = outcome
    return found


def finished_units(workspace: Workspace, videos: pl.DataFrame) -> set[str]:
    """Units that have labels of every video, made with today's parameters, whatever another try might still bring.

    Args:
        workspace: with its manifests.
        videos: content_id and unit.
    """
    store, fingerprint = workspace.store(), Fingerprints(workspace).of("label")
    ledger = as_frame(store.read_ledger("units", LEDGER))
    members = dict(ledger.group_by("unit").agg("content_id").iter_rows())
    said = _said(workspace, "label")
    present = {unit: set(part) for unit, part in videos.group_by("unit").agg("content_id").iter_rows()}
    keys = {unit: unit_key(members[unit], fingerprint) for unit in present}
    receipts = store.receipts("label", [key for key in keys.values() if key not in said])
    known = {key: outcomes.keys() for key, outcomes in said.items()} | {key: r.outcomes.keys() for key, r in receipts.items()}
    return {unit for unit, part in present.items() if part <= known.get(keys[unit], set())}
