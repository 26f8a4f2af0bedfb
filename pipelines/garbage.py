"""Garbage: what lies in the store and counts for nothing. Deletes only when told to."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from rich.table import Table

from pipelines.chain import STEPS, Fingerprints
from pipelines.progress import console
from pipelines.step import units_of
from pipelines.store import Receipt, StoredFile
from pipelines.workspace import Workspace
from schemas.errors import WorkspaceError
from schemas.fingerprint import unit_key

_RECEIPT = "receipt.json"
_TEMPORARY = ".tmp-"
_AGE_ELSEWHERE_S = 24 * 3600.0


class Kind(StrEnum):
    """Why a file counts for nothing."""

    TEMPORARY = "unfinished write"
    UPLOAD = "unfinished upload"
    ORPHAN = "no receipt"
    UNNAMED = "not in its receipt"
    SUPERSEDED = "other parameters, weights or version"


@dataclass(frozen=True, slots=True)
class Waste:
    """One file."""

    file: StoredFile
    kind: Kind


def find_waste(workspace: Workspace, superseded: bool, older_than_s: float | None = None) -> Iterator[Waste]:
    """Files of the store, and half-written ones of `data/`, that no run with any parameters would read, or none with today's.

    Args:
        workspace: must have an inventory.
        superseded: take units of other parameters too. They are what makes going back to old parameters quick, and a store that
            several workspaces share holds theirs.
        older_than_s: younger files are left, as another workspace may be writing them. Default: none when the store is in the
            workspace, whose lock the caller holds; a day elsewhere.
    """
    store, now = workspace.store(), time.time()
    older_than_s = _least_age_s(workspace) if older_than_s is None else older_than_s
    fingerprints = Fingerprints(workspace)
    current = {(name, unit_key(unit.members, fingerprints.of(name))) for unit in units_of(workspace) for name in STEPS}
    folders: defaultdict[tuple[str, str], list[StoredFile]] = defaultdict(list)
    for file in store.files():
        parts = PurePosixPath(file.name).parts
        if parts[-1].startswith(_TEMPORARY):
            if now - file.written_s >= older_than_s:
                yield Waste(file, Kind.TEMPORARY)
        elif _is_of_a_unit(parts):
            folders[parts[0], parts[2]].append(file)
    receipts = {step: store.receipts(step, [key for other, key in folders if other == step]) for step in STEPS}
    for (step, key), files in sorted(folders.items()):
        if now - max(file.written_s for file in files) < older_than_s:
            continue
        receipt = receipts[step].get(key)
        for file in files:
            kind = _kind(file, receipt, (step, key) in current)
            if kind is not None and (kind is not Kind.SUPERSEDED or superseded):
                yield Waste(file, kind)


def find_uploads(workspace: Workspace, older_than_s: float | None = None) -> list[Waste]:
    """What killed runs left half uploaded on an object store; its listings do not show it.

    Raises:
        WorkspaceError: the storage does not tell.
    """
    least_s, now = _least_age_s(workspace) if older_than_s is None else older_than_s, time.time()
    begun = (file for file in workspace.store().unfinished() if _is_of_a_unit(PurePosixPath(file.name).parts))
    return [Waste(file, Kind.UPLOAD) for file in begun if now - file.written_s >= least_s]


def _least_age_s(workspace: Workspace) -> float:
    return 0.0 if Path(workspace.store_uri).is_relative_to(workspace.root) else _AGE_ELSEWHERE_S


def _is_of_a_unit(parts: Sequence[str]) -> bool:
    """Whether a name below the root is one that `Store` gives; anything else there is not ours."""
    return len(parts) == 4 and parts[0] in STEPS and parts[2].startswith(parts[1])


def _kind(file: StoredFile, receipt: Receipt | None, is_current: bool) -> Kind | None:
    name = PurePosixPath(file.name).name
    if receipt is None:
        return Kind.ORPHAN
    if name != _RECEIPT and name.removesuffix(".parquet") not in receipt.tables:
        return Kind.UNNAMED
    return None if is_current else Kind.SUPERSEDED


def collect_garbage(workspace: Workspace, *, delete: bool, superseded: bool, older_than_s: float | None = None) -> None:
    """Prints what counts for nothing, and deletes it if told to."""
    waste = list(find_waste(workspace, superseded, older_than_s))
    try:
        waste += find_uploads(workspace, older_than_s)
    except WorkspaceError as error:
        console.print(f"unfinished uploads can't be listed, a lifecycle rule of the bucket may clear them: {error}", highlight=False)
    folders = (workspace.root.glob, workspace.data.rglob, workspace.report.parent.rglob)
    half_written = [path for found in folders for path in found(f"{_TEMPORARY}*") if path.is_file()]
    if not waste and not half_written:
        console.print("nothing to delete", highlight=False)
        return
    table = Table("what", "files", "MB", box=None, pad_edge=False)
    for kind in Kind:
        sizes = [w.file.size_bytes for w in waste if w.kind is kind]
        if kind is Kind.TEMPORARY:
            sizes += [path.stat().st_size for path in half_written]
        if sizes:
            table.add_row(kind.value, f"{len(sizes):,}", f"{sum(sizes) / 1e6:,.1f}")
    console.print(table)
    if not delete:
        console.print("nothing was deleted; --delete does it", highlight=False)
        return
    # A receipt goes first: a folder without one is garbage, a receipt without its tables is a lie.
    store = workspace.store()
    for item in sorted(waste, key=lambda w: (not w.file.name.endswith(_RECEIPT), w.file.name)):
        store.delete(item.file)
    for path in half_written:
        path.unlink(missing_ok=True)
    console.print(f"deleted {len(waste) + len(half_written):,} files", highlight=False)
