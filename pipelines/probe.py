"""Probe: reads files of the archive for the inventory, in a sandbox."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipelines import quarantine, sandbox
from pipelines.archive import Archive
from pipelines.process import quiet_process
from schemas.params import DecodeParams, LimitParams
from schemas.reasons import Outcome
from schemas.tables import LISTING, MEDIA
from stages.contract import concat, table_from_columns

_SLOWEST_READ = 5e6
"""Bytes a second: no storage that works is slower, so a file may take that long on top of `limits.timeout_s`."""


@dataclass(frozen=True, slots=True)
class Probed:
    """Rows of MEDIA, one for each file, and tracebacks of errors of ours."""

    rows: pa.Table
    errors: list[str]


class ProbeRunner:
    """Runs inside the sandbox."""

    def __init__(self, archive_uri: str, decode: DecodeParams) -> None:
        quiet_process()
        from stages.inventory import Inventory

        self._archive = Archive(archive_uri)
        self._stage = Inventory(decode)

    def __call__(self, files: list[dict[str, Any]]) -> pa.Table:
        return self._stage(pa.Table.from_pylist(files, LISTING), self._archive.open_media).rows


class ProbeWorker:
    """Takes a few files at a time. One that kills the process costs itself only."""

    def __init__(self, archive_uri: str, decode: DecodeParams, limits: LimitParams) -> None:
        self._runner = pickle.dumps(functools.partial(ProbeRunner, archive_uri, decode))
        self._limits = limits
        self._sandbox = sandbox.borrow()
        self._busy = False

    def __call__(self, files: list[dict[str, Any]]) -> Probed:
        self._busy = True
        rows, errors = [], []
        for answer in quarantine.each(files, self._attempt):
            if isinstance(answer, quarantine.GivenUp):
                facts = {"uri": answer.item["uri"], "size_bytes": answer.item["size_bytes"], "outcome": Outcome.FAILED.value}
                facts |= {"reason": answer.reason.value, "detail": answer.detail}
                rows.append(table_from_columns({name: [facts.get(name)] for name in MEDIA.names}, MEDIA))
                errors += [answer.traceback] if answer.traceback else []
            else:
                rows.append(answer)
        self._busy = False
        return Probed(concat(rows, MEDIA), errors)

    def close(self) -> None:
        """Ends the sandbox when something is running in it; else the next step has it."""
        if self._busy:
            self._sandbox.close()
        else:
            sandbox.give_back(self._sandbox)

    def _attempt(self, files: Sequence[dict[str, Any]]) -> pa.Table:
        size = sum(file["size_bytes"] for file in files)
        return self._sandbox.call(self._runner, list(files), self._limits.timeout_s + size / _SLOWEST_READ, self._limits.memory_mb)
