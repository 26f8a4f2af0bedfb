"""Store: heavy data by unit key, and the receipts that say which of it counts."""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from fsspec.implementations.local import LocalFileSystem

from pipelines import uploads
from pipelines.parquet import from_bytes, replace_file, sha256, to_bytes
from pipelines.storage import PART_BYTES, explain, is_missing, is_s3, open_storage, storage_errors
from schemas.errors import WorkspaceError
from schemas.fingerprint import digest
from schemas.reasons import TRANSIENT, Failure, Outcome, Reason


@dataclass(frozen=True, slots=True)
class Blob:
    """One table of a unit."""

    rows: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """Says that a unit's output is complete. Written last; nothing without a receipt is ever read.

    Holds no clock and no host name: the same work gives the same receipt.
    """

    stage: str
    unit: str
    unit_key: str
    fingerprint: str
    outcomes: dict[str, str]
    failures: list[dict[str, Any]]
    tables: dict[str, Blob]
    notes: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    """`content_digest` of every upstream receipt: a unit made from something else does not count."""

    def due(self, max_attempts: int) -> set[str]:
        """content_ids that failed for a reason that may be gone by now, and have tries left."""
        failed = {f["content_id"] for f in self.failures if f["reason"] in TRANSIENT and f["attempt"] < max_attempts}
        return {content_id for content_id, outcome in self.outcomes.items() if outcome == Outcome.FAILED and content_id in failed}

    def attempts(self) -> dict[str, int]:
        """How often each video that failed was tried."""
        return {f["content_id"]: f["attempt"] for f in self.failures if f["outcome"] == Outcome.FAILED}

    def known_failures(self) -> list[Failure]:
        """The failures as such."""
        return [failure_of(raw) for raw in self.failures]

    def content_digest(self) -> str:
        """Changes whenever a stage that reads this unit would find something else."""
        return digest({"outcomes": self.outcomes, "tables": {name: blob.sha256 for name, blob in self.tables.items()}})

    def without(self, content_ids: Set[str]) -> Receipt:
        """As if these videos had never been tried."""
        outcomes = {content_id: outcome for content_id, outcome in self.outcomes.items() if content_id not in content_ids}
        return replace(self, outcomes=outcomes, failures=[f for f in self.failures if f["content_id"] not in content_ids])

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Receipt:
        raw = json.loads(data)
        raw["tables"] = {name: Blob(**blob) for name, blob in raw["tables"].items()}
        return cls(**raw)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the store: its name below the root, its size, and when it was last written (seconds of the epoch)."""

    name: str
    size_bytes: int
    written_s: float
    upload_id: str | None = None
    """Of an upload that has not ended: there is no such file yet, only parts of it."""


class Store:
    """`<uri>/<stage>/<2 hex>/<unit key>/<table>.parquet` and `receipt.json` beside them, on any fsspec file system."""

    def __init__(self, uri: str) -> None:
        """uri: a folder or an fsspec URL; every method raises WorkspaceError when that storage refuses or does not answer.

        Raises:
            WorkspaceError: the protocol is unknown, or the package for it is not installed.
        """
        self.uri = uri
        try:
            self._fs, self._root = open_storage(uri)
        except (ValueError, ImportError) as error:
            raise WorkspaceError(f"store.uri {uri}: {explain(error)}") from None
        self._is_local = isinstance(self._fs, LocalFileSystem)
        # s3fs asks for the size first unless it is told to read in one go: twice the requests.
        self._in_one_go = {"max_concurrency": 1} if is_s3(self._fs) else {}
        self._in_parts = {"chunksize": PART_BYTES} if is_s3(self._fs) else {}

    def receipt(self, stage: str, unit_key: str) -> Receipt | None:
        """The receipt of a finished unit, or None. A damaged receipt is none."""
        try:
            return _receipt_from(self._get(self._path(stage, unit_key, "receipt.json")))
        except FileNotFoundError:
            return None

    def receipts(self, stage: str, unit_keys: Iterable[str]) -> dict[str, Receipt]:
        """The receipts of those units that are finished, by unit key; from an object store many at a time."""
        keys = list(dict.fromkeys(unit_keys))
        if self._is_local or not keys:
            found = {key: self.receipt(stage, key) for key in keys}
        else:
            paths = [self._path(stage, key, "receipt.json") for key in keys]
            with self._trouble_named():
                answers = self._fs.cat_ranges(paths, None, None, on_error="return", **self._in_one_go)
                # What is missing is told apart from what could not be asked: a unit is not computed again for a lost connection.
                if trouble := next((a for a in answers if isinstance(a, Exception) and not is_missing(a)), None):
                    raise trouble
            found = {key: None if isinstance(data, Exception) else _receipt_from(data) for key, data in zip(keys, answers, strict=True)}
        return {key: receipt for key, receipt in found.items() if receipt is not None}

    def forget(self, stage: str, unit_key: str) -> None:
        """Takes a unit's receipt away, so that it is computed again."""
        with contextlib.suppress(FileNotFoundError), self._trouble_named():
            self._fs.rm_file(self._path(stage, unit_key, "receipt.json"))

    def replace_receipt(self, receipt: Receipt) -> None:
        """Writes a receipt anew; its tables stay."""
        self._put(self._path(receipt.stage, receipt.unit_key, "receipt.json"), receipt.to_json())

    def read(self, stage: str, unit_key: str, table: str, columns: list[str] | None = None) -> pa.Table:
        """A table of a finished unit.

        Raises:
            WorkspaceError: the unit has no such table, or its file is damaged.
        """
        path = self.table_path(stage, unit_key, table)
        try:
            return from_bytes(self._get(path), path, columns)
        except (pa.ArrowException, OSError, NotImplementedError) as error:
            raise WorkspaceError(f"{path}: damaged, although it has a receipt ({error}); delete its folder and run again") from None

    def fingerprint_of(self, stage: str, unit_key: str, table: str) -> tuple[int, str] | None:
        """Size in bytes and hex SHA-256 of a table's file, or None where there is none."""
        try:
            data = self._get(self.table_path(stage, unit_key, table))
        except FileNotFoundError:
            return None
        return len(data), sha256(data)

    def table_path(self, stage: str, unit_key: str, table: str) -> str:
        """Where a table of a unit lies, as the store's file system calls it."""
        return self._path(stage, unit_key, f"{table}.parquet")

    def commit(
        self,
        stage: str,
        unit: str,
        unit_key: str,
        fingerprint: str,
        outcomes: Mapping[str, Outcome],
        failures: list[Failure],
        tables: Mapping[str, pa.Table],
        notes: Mapping[str, str],
        inputs: Mapping[str, str] | None = None,
    ) -> Receipt:
        """Writes the tables, then the receipt. A process killed in between leaves nothing that counts."""
        blobs = {}
        for name, table in sorted(tables.items()):
            data = to_bytes(table)
            self._put(self._path(stage, unit_key, f"{name}.parquet"), data)
            blobs[name] = Blob(table.num_rows, len(data), sha256(data))
        receipt = Receipt(
            stage=stage,
            unit=unit,
            unit_key=unit_key,
            fingerprint=fingerprint,
            outcomes={content_id: outcome.value for content_id, outcome in sorted(outcomes.items())},
            failures=[asdict(f) for f in failures],
            tables=blobs,
            notes=dict(notes),
            inputs=dict(inputs or {}),
        )
        self.replace_receipt(receipt)
        return receipt

    def files(self) -> list[StoredFile]:
        """Every file, sorted by name."""
        try:
            with self._trouble_named():
                self._fs.invalidate_cache()
                found = self._fs.find(self._root, detail=True)
        except FileNotFoundError:
            return []
        root = self._fs._strip_protocol(self._root).rstrip("/") + "/"
        return sorted(
            (StoredFile(str(name).removeprefix(root), int(facts["size"]), _written_s(facts)) for name, facts in found.items()),
            key=lambda file: file.name,
        )

    def unfinished(self) -> list[StoredFile]:
        """Uploads that were begun and not ended, sorted by name: nobody can read them, and an object store keeps their parts."""
        if not is_s3(self._fs):
            return []
        with self._trouble_named():
            begun = uploads.unfinished(self._fs, self._root)
        return [StoredFile(u.name, u.size_bytes, u.begun_s, u.upload_id) for u in begun]

    def delete(self, file: StoredFile) -> None:
        """Removes a file, and on a local store the folders that it leaves empty; or gives up an upload."""
        path = f"{self._root}/{file.name}"
        with contextlib.suppress(FileNotFoundError), self._trouble_named():
            if file.upload_id is not None:
                uploads.abort(self._fs, path, file.upload_id)
                return
            self._fs.rm_file(path)
        if self._is_local:
            for folder in list(Path(path).parents)[: file.name.count("/")]:
                with contextlib.suppress(OSError):
                    folder.rmdir()  # refuses while anything is in it

    def read_ledger(self, name: str, schema: pa.Schema) -> pa.Table:
        """One of the store's own small tables; empty when it was never written."""
        try:
            path = f"{self._root}/{name}.parquet"
            return from_bytes(self._get(path), path, schema=schema)
        except FileNotFoundError:
            return schema.empty_table()
        except (pa.ArrowException, OSError) as error:
            path = f"{self._root}/{name}.parquet"
            raise WorkspaceError(f"{path}: damaged ({type(error).__name__}); delete it, the next inventory makes it again") from None

    def write_ledger(self, name: str, table: pa.Table) -> None:
        """Replaces one of the store's own small tables."""
        self._put(f"{self._root}/{name}.parquet", to_bytes(table))

    def _path(self, stage: str, unit_key: str, file: str) -> str:
        return f"{self._root}/{stage}/{unit_key[:2]}/{unit_key}/{file}"

    def _get(self, path: str) -> bytes:
        with self._trouble_named():
            data: bytes = self._fs.cat_file(path, **self._in_one_go)
        return data

    def _put(self, path: str, data: bytes) -> None:
        if not self._is_local:
            with self._trouble_named(may_be_missing=False):
                self._fs.pipe_file(path, data, **self._in_parts)  # object stores show an object only when it is whole
            return
        target = Path(path)
        # A name of its own: on a cluster two workers may write the same unit at once.
        replace_file(target, data, target.with_name(f".tmp-{uuid.uuid4().hex}"))
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the rename itself must survive a power cut before the receipt is written
        finally:
            os.close(folder)

    @contextlib.contextmanager
    def _trouble_named(self, may_be_missing: bool = True) -> Iterator[None]:
        """Makes a line of what goes wrong with remote storage. A file that is not there is an answer to a question, not trouble."""
        try:
            yield
        except storage_errors() as error:
            if self._is_local or (may_be_missing and is_missing(error)):
                raise
            raise WorkspaceError(f"store.uri {self.uri}: {explain(error)}") from None


def _receipt_from(data: bytes) -> Receipt | None:
    """None for what is damaged: the unit is computed again."""
    try:
        return Receipt.from_json(data)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def failure_of(raw: Mapping[str, Any]) -> Failure:
    """A `Failure` from a receipt."""
    return Failure(**{**raw, "reason": Reason(raw["reason"]), "outcome": Outcome(raw["outcome"])})


def _written_s(facts: dict[str, Any]) -> float:
    """From fsspec's facts; now where the file system does not say, so that nobody takes the file for old."""
    for key in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = facts.get(key)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, (int, float)):
            return float(value)
    return time.time()
