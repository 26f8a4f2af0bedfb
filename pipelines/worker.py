"""Worker: one process's share of a step. Holds the models, takes units, commits their output, answers with receipts."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.archive import Archive
from pipelines.chain import STEPS
from pipelines.process import quiet_process
from pipelines.provenance import Provenance
from pipelines.store import Receipt, Store
from schemas.params import PipelineParams
from schemas.reasons import Outcome, Reason
from schemas.tables import INVENTORY
from stages.contract import MediaError, OpenMedia, StageResult, as_frame
from stages.inventory import content_id_of


@dataclass(frozen=True, slots=True)
class UnitTask:
    """One unit of one step."""

    unit: str
    unit_key: str
    videos: list[dict[str, Any]]
    """Rows of INVENTORY, one for each distinct content_id."""
    upstream_keys: dict[str, str]


@dataclass(frozen=True, slots=True)
class Done:
    """What travels back to the driver: about 200 bytes a video, never pixels."""

    receipt: Receipt
    frames: int
    seconds: float


class StepWorker:
    """Runs one step over units."""

    def __init__(self, step: str, params: PipelineParams, archive_uri: str, store_uri: str, weights: Path, fingerprint: str) -> None:
        quiet_process()
        self._step = STEPS[step]
        self._params = params
        self._archive = Archive(archive_uri)
        self._store = Store(store_uri)
        self._fingerprint = fingerprint
        self._weights = weights
        self._stage = self._build()

    def __call__(self, task: UnitTask) -> Done:
        started = time.monotonic()
        inputs = [
            self._store.read(read.stage, task.upstream_keys[read.stage], read.table, list(read.columns) if read.columns else None)
            for read in self._step.reads
        ]
        result, notes = self._run(task, inputs)
        outcomes = {v["content_id"]: result.outcomes.get(v["content_id"], Outcome.FILTERED) for v in task.videos}
        main = next(iter(self._step.outputs))
        tables = {main: result.rows, **result.side}
        receipt = self._store.commit(self._step.name, task.unit, task.unit_key, self._fingerprint, outcomes, result.failures, tables, notes)
        return Done(receipt, result.frames_seen, time.monotonic() - started)

    def close(self) -> None:
        close = getattr(self._stage, "close", None)
        if close is not None:
            close()

    def _build(self) -> Any:
        p = self._params
        match self._step.name:
            case "faces":
                from stages.faces import Faces

                return Faces(p.decode, p.faces)
            case "audio":
                from stages.audio import Audio

                return Audio(p.audio)
            case "score":
                from stages.score import Score

                return Score(p.score, self._weights, p.fau.backend)
            case _:
                return None

    def _run(self, task: UnitTask, inputs: list[pa.Table]) -> tuple[StageResult, dict[str, str]]:
        if self._step.reads_media:
            videos = pa.Table.from_pylist(task.videos, INVENTORY)
            return self._stage(videos, self._opener(task)), {}
        match self._step.name:
            case "fau":
                from stages import fau

                return fau.run(inputs[0], self._params.fau), {}
            case "score":
                return self._stage(*inputs), {"device_class": self._stage.device}
            case _:
                return self._label(task, inputs)

    def _opener(self, task: UnitTask) -> OpenMedia:
        id_of = {video["uri"]: video["content_id"] for video in task.videos}

        @contextlib.contextmanager
        def open_media(uri: str) -> Iterator[Path]:
            with self._archive.open_media(uri) as path:
                # Labels are filed under the digest of the bytes; reading twice costs far less than decoding.
                if content_id_of(path) != id_of[uri]:
                    raise MediaError(Reason.CHANGED_DURING_READ, "the bytes are not those of the inventory")
                yield path

        return open_media

    def _label(self, task: UnitTask, inputs: list[pa.Table]) -> tuple[StageResult, dict[str, str]]:
        from fauforensics.checkpoint_info import read_info
        from stages import segments
        from stages.label import Label

        scored = self._store.receipt("score", task.upstream_keys["score"])
        info = read_info(self._weights)
        provenance = Provenance.of(self._params, info, scored.notes["device_class"] if scored else "cpu", self._fingerprint)
        label = Label(self._params.label, info.calibration, provenance.provenance_id)
        result = label(*inputs)
        result.side["segments"] = segments.run(as_frame(result.rows), self._params.segments, label.fake_above, label.real_below).rows
        return result, provenance.as_notes()
