"""Verify: whether everything that the tables promise is there, byte for byte. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
from rich.markup import escape
from rich.table import Table

from pipelines.chain import STEPS, Fingerprints
from pipelines.listing import read_inventory
from pipelines.parquet import read_frame, to_bytes
from pipelines.progress import console
from pipelines.publish import publication, published_labels
from pipelines.step import Unit, units_of
from pipelines.store import Receipt, Store
from pipelines.workspace import Workspace
from schemas.errors import FauScanError, WorkspaceError
from schemas.fingerprint import unit_key
from schemas.reasons import Outcome
from schemas.tables import MANIFEST, STORED_LABELS
from stages.view.names import visible_name

_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as promised, and what mends it."""

    where: str
    what: str
    remedy: str


@dataclass(slots=True)
class Checked:
    """What was looked at."""

    videos: int = 0
    receipts: int = 0
    tables: int = 0
    size_bytes: int = 0


def verify(workspace: Workspace, seen: Checked | None = None) -> Iterator[Fault]:
    """Faults in inventory, receipts, tables of the store, manifests and published labels.

    Args:
        workspace: must have an inventory.
        seen: counts what was looked at.

    Raises:
        WorkspaceError: there is no inventory, or it is damaged.
    """
    seen = seen if seen is not None else Checked()
    inventory = read_inventory(workspace.inventory)
    seen.videos = inventory.height
    yield from _accounts(inventory)
    units, fingerprints, store = units_of(workspace), Fingerprints(workspace), workspace.store()
    digests: dict[tuple[str, str], str] = {}
    for name in STEPS:
        receipts = []
        keys = [unit_key(unit.members, fingerprints.of(name)) for unit in units]
        stored = store.receipts(name, keys)
        for unit, key in zip(units, keys, strict=True):
            receipt = stored.get(key)
            yield from _unit(store, name, unit, receipt, seen)
            if receipt is None:
                continue
            receipts.append(receipt)
            digests[name, unit.name] = receipt.content_digest()
            if old := sorted(stage for stage, digest in receipt.inputs.items() if digests.get((stage, unit.name)) != digest):
                yield Fault(f"{name}, unit {unit.name}", f"was made from another {' and '.join(old)}", "fauscan run, or dvc repro --force")
        yield from _manifest(workspace, name, receipts)
        if name == "label":
            yield from _labels(workspace, store, receipts)


def run_verify(workspace: Workspace) -> None:
    """Prints the faults.

    Raises:
        FauScanError: there are some.
    """
    seen, table, count = Checked(), Table("where", "what", "what mends it", box=None, pad_edge=False), 0
    for fault in verify(workspace, seen):
        count += 1
        if count <= _SHOWN:
            table.add_row(*(escape(visible_name(text)) for text in (fault.where, fault.what, fault.remedy)))
    checked = f"{seen.videos:,} files, {seen.receipts:,} receipts, {seen.tables:,} tables, {seen.size_bytes / 1e6:,.1f} MB"
    if not count:
        console.print(f"{checked}: all as promised", highlight=False)
        return
    console.print(table)
    if count > _SHOWN:
        console.print(f"… and {count - _SHOWN:,} more", highlight=False)
    raise FauScanError(f"{checked}: {count:,} {'fault' if count == 1 else 'faults'}")


def _accounts(inventory: pl.DataFrame) -> Iterator[Fault]:
    """Every file has exactly one end, and a reason where that end is no label."""
    for uri, count in inventory.group_by("uri").len().filter(pl.col("len") > 1).sort("uri").iter_rows():
        yield Fault(uri, f"is {count} times in the inventory", "fauscan inventory")
    done = inventory["outcome"] == Outcome.DONE.value
    for row in inventory.filter(done & inventory["unit"].is_null()).to_dicts():
        yield Fault(row["uri"], "is a video without a unit", "fauscan inventory")
    pending = inventory["outcome"] == Outcome.PENDING.value  # waits for its turn, which needs no reason
    for row in inventory.filter(~done & ~pending & inventory["reason"].is_null()).to_dicts():
        yield Fault(row["uri"], f"is {row['outcome']} without a reason", "fauscan inventory")


def _unit(store: Store, step: str, unit: Unit, receipt: Receipt | None, seen: Checked) -> Iterator[Fault]:
    """A unit has a receipt that knows its videos, and every table of it has the promised bytes."""
    where = f"{step}, unit {unit.name}"
    if receipt is None:
        yield Fault(where, f"no receipt ({len(unit.videos)} videos)", "fauscan run, or dvc repro")
        return
    seen.receipts += 1
    if unknown := {str(video["content_id"]) for video in unit.videos} - receipt.outcomes.keys():
        yield Fault(where, f"the receipt does not know {len(unknown)} of its videos", "fauscan run, or dvc repro")
    for name, blob in receipt.tables.items():
        seen.tables += 1
        remedy = f"fauscan verify --forget, then fauscan run; or put back {store.table_path(step, receipt.unit_key, name)}"
        found = store.fingerprint_of(step, receipt.unit_key, name)
        if found is None:
            yield Fault(where, f"table {name} is missing", remedy)
        elif found != (blob.size_bytes, blob.sha256):
            yield Fault(where, f"table {name} has other bytes ({found[0]:,}, the receipt says {blob.size_bytes:,})", remedy)
        else:
            seen.size_bytes += blob.size_bytes


def _manifest(workspace: Workspace, step: str, receipts: list[Receipt]) -> Iterator[Fault]:
    """The manifest says what the receipts say."""
    path = workspace.manifest(step)
    try:
        rows = read_frame(path, f"fauscan {step}", MANIFEST)
    except WorkspaceError:
        yield Fault(str(path), "missing or damaged", f"fauscan {step}")
        return
    main = next(iter(STEPS[step].outputs))
    said = {(row["unit_key"], row["content_id"]): (row["outcome"], row["sha256"]) for row in rows.to_dicts()}
    promised = {(r.unit_key, video): (outcome, r.tables[main].sha256) for r in receipts for video, outcome in r.outcomes.items()}
    if wrong := sum(said.get(key) != promised.get(key) for key in said.keys() | promised.keys()):
        yield Fault(str(path), f"{wrong} rows differ from the receipts", f"fauscan {step}")


def _labels(workspace: Workspace, store: Store, receipts: list[Receipt]) -> Iterator[Fault]:
    """`data/labels` is what the store holds, less videos that left the archive, and the truth of the inventory."""
    shown = publication(workspace)
    wanted = {f"{receipt.unit}.parquet" for receipt in receipts}
    for path in sorted(workspace.labels.glob("*.parquet")):
        if path.name not in wanted:
            yield Fault(str(path), "belongs to no unit of the archive", "fauscan label")
    for receipt in receipts:
        path = workspace.labels / f"{receipt.unit}.parquet"
        try:
            found = path.read_bytes()
            public = published_labels(store, receipt, shown)
            # Files of FauScan 0.1 promise nothing of the truth; the next run writes them anew.
            same = found in (to_bytes(public), to_bytes(public.select(STORED_LABELS.names).cast(STORED_LABELS)))
        except FileNotFoundError:
            yield Fault(str(path), "missing", "fauscan label")
        except WorkspaceError:
            continue  # the store's own table is damaged, and told above
        else:
            if not same:
                yield Fault(str(path), "differs from the store and the inventory's truth", "fauscan label")


def forget_faulty(workspace: Workspace) -> int:
    """Takes away the receipts of units whose tables are missing or have other bytes, so that the next run makes them again."""
    store, fingerprints, forgotten = workspace.store(), Fingerprints(workspace), 0
    for name in STEPS:
        for unit in units_of(workspace):
            receipt = store.receipt(name, unit_key(unit.members, fingerprints.of(name)))
            if receipt is not None and any(_unit(store, name, unit, receipt, Checked())):
                store.forget(name, receipt.unit_key)
                forgotten += 1
    return forgotten
