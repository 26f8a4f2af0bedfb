"""Publish: turns finished units into the workspace's public tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute

from pipelines.listing import read_inventory
from pipelines.parquet import scan_frames, write_if_changed
from pipelines.provenance import Provenance
from pipelines.step import UNIT_STEPS, receipts_of
from pipelines.store import Receipt, Store
from pipelines.workspace import Workspace
from schemas.reasons import Outcome
from schemas.tables import FAILURES, LABELS, PROVENANCE, SEGMENTS
from stages import truth_labels
from stages.contract import concat, table_from_columns
from stages.truth_frames import FrameRule
from stages.truth_labels import ContentTruth


def publish_labels(workspace: Workspace, receipts: list[Receipt]) -> None:
    """Writes `data/labels/`, `segments.parquet`, `provenance.parquet` and `failures.parquet`; touches only what changed.

    Videos that are no longer in the inventory leave the tables; their units stay in the store.
    """
    store = workspace.store()
    shown = publication(workspace)
    segments, provenance, wanted = [], {}, set()
    for receipt in receipts:
        path = workspace.labels / f"{receipt.unit}.parquet"
        wanted.add(path.name)
        write_if_changed(published_labels(store, receipt, shown), path)
        segments.append(_only(store.read("label", receipt.unit_key, "segments"), receipt, shown.present))
        if not receipt.notes:  # a unit whose every video failed was made by nothing
            continue
        facts = Provenance.from_notes(receipt.notes)
        if facts.fake_above is not None or facts.provenance_id not in provenance:  # the one that knows more
            provenance[facts.provenance_id] = facts
    for pattern in ("*.parquet", ".tmp-*"):  # units that are gone, and what a kill left of one
        for stale in workspace.labels.glob(pattern):
            if stale.name not in wanted:
                stale.unlink()
    in_order = concat(segments, SEGMENTS).sort_by([(name, "ascending") for name in ("content_id", "modality", "track", "start_s")])
    write_if_changed(in_order, workspace.data / "segments.parquet")
    rows = [provenance[key] for key in sorted(provenance)]
    columns: dict[str, Any] = {name: [getattr(row, name) for row in rows] for name in PROVENANCE.names}
    write_if_changed(table_from_columns(columns, PROVENANCE), workspace.data / "provenance.parquet")
    write_if_changed(failures(workspace), workspace.data / "failures.parquet")


@dataclass(frozen=True, slots=True)
class Publication:
    """What the inventory adds to the units' own tables."""

    present: frozenset[str]
    """content_ids of the inventory."""
    truth: ContentTruth
    rule: FrameRule


def publication(workspace: Workspace) -> Publication:
    """Raises WorkspaceError where there is no inventory."""
    inventory = read_inventory(workspace.inventory)
    present = frozenset(inventory["content_id"].drop_nulls())
    return Publication(present, truth_labels.by_content(inventory)[0], workspace.params.dataset.frame_rule)


def published_labels(store: Store, receipt: Receipt, shown: Publication) -> pa.Table:
    """A unit's rows of LABELS, less videos that are no longer in the inventory, with the truth of those that are."""
    return truth_labels.run(_only(store.read("label", receipt.unit_key, "labels"), receipt, shown.present), shown.truth, shown.rule)


def failures(workspace: Workspace) -> pa.Table:
    """Rows of FAILURES from the inventory and from the receipts of every step, sorted."""
    inventory = read_inventory(workspace.inventory)
    rows: list[dict[str, Any]] = [
        {n: r.get(n) for n in FAILURES.names} | {"stage": "inventory", "attempt": 1}
        for r in inventory.filter((pl.col("outcome") != Outcome.DONE.value) | pl.col("reason").is_not_null()).to_dicts()
    ]
    present = set(inventory["content_id"].drop_nulls())
    for step in UNIT_STEPS:
        for receipt in receipts_of(workspace, step):
            rows += [f for f in receipt.failures if f["content_id"] in present]
    rows.sort(key=lambda r: (r["uri"], r["stage"], r["reason"], -1 if r["frame_from"] is None else r["frame_from"]))
    return table_from_columns({name: [row[name] for row in rows] for name in FAILURES.names}, FAILURES)


def scan_labels(workspace: Workspace) -> pl.LazyFrame:
    """All label rows, in the order of `parquet.scan_frames`; none when nothing was labelled."""
    return scan_frames(sorted(workspace.labels.glob("*.parquet")), "fauscan label", LABELS)


def _only(table: pa.Table, receipt: Receipt, present: frozenset[str]) -> pa.Table:
    if present.issuperset(receipt.outcomes):
        return table
    own = sorted(present.intersection(receipt.outcomes))  # not all that are present: Arrow hashes the list anew for each table
    return table.filter(pa.compute.is_in(table["content_id"], value_set=pa.array(own, pa.string())))
