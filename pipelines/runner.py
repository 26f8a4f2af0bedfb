"""Runner: what a step does with videos, inside a sandbox. Holds the models; reads the store and the archive, writes nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute

from pipelines.archive import Archive
from pipelines.chain import step_of
from pipelines.process import quiet_process
from pipelines.provenance import Provenance
from pipelines.store import Store
from schemas.params import PipelineParams
from schemas.reasons import Reason
from schemas.tables import MEDIA
from stages.contract import MediaError, OpenMedia, StageResult, as_frame
from stages.inventory import content_id_of

if TYPE_CHECKING:
    from pipelines.worker import UnitTask


class StepRunner:
    """Computes one step for some videos of a unit."""

    def __init__(self, step: str, params: PipelineParams, archive_uri: str, store_uri: str, weights: Path, fingerprint: str) -> None:
        quiet_process()
        self._step = step_of(step, params)
        self._params = params
        self._archive = Archive(archive_uri)
        self._store = Store(store_uri)
        self._weights, self._fingerprint = weights, fingerprint
        self._stage = self._build()
        self._frozen = self._build_frozen() if step == "fau" and params.fau.embedding == "me-graphau" else None

    def __call__(self, job: tuple[UnitTask, bool]) -> tuple[StageResult, dict[str, str]]:
        """job: a unit with the videos that are wanted, and whether that is all of them.

        Returns:
            The stage's result, and notes for the receipt.
        """
        task, whole = job
        if self._step.reads_media:
            videos = pa.Table.from_pylist(task.videos, MEDIA)
            return self._stage(videos, self._opener(task)), {}
        wanted = pa.array(sorted(video["content_id"] for video in task.videos))
        inputs = []
        for read in self._step.reads:
            table = self._store.read(read.stage, task.upstream_keys[read.stage], read.table, list(read.columns) if read.columns else None)
            inputs.append(table if whole else table.filter(pa.compute.is_in(table["content_id"], value_set=wanted)))
        match self._step.name:
            case "fau":
                return self._fau(*inputs), {}
            case "score":
                return self._stage(*inputs), {"device_class": self._stage.device}
            case _:
                return self._label(task, inputs)

    def close(self) -> None:
        """Gives back what the stage holds."""
        for stage in (self._stage, self._frozen):
            close = getattr(stage, "close", None)
            if close is not None:
                close()

    def _fau(self, faces: pa.Table, patches: pa.Table | None = None) -> StageResult:
        if self._stage is None:
            from stages import fau

            result = fau.run(faces, self._params.fau)
        else:
            result = self._stage(faces, patches)
        if self._frozen is not None:
            result.side["fau_features"] = self._frozen(faces)
        return result

    def _build(self) -> Any:
        p = self._params
        match self._step.name:
            case "faces":
                from stages.faces import Faces

                return Faces(p.decode, p.faces, self._observer())
            case "fau" if p.fau.backend == "pyfeat":
                from pipelines.weights.folder import locate_all
                from stages.pyfeat.fau import PyfeatFau

                return PyfeatFau(p.fau, locate_all(self._step.models))
            case "audio":
                from stages.audio import Audio

                return Audio(p.audio)
            case "score":
                from stages.score import Score

                return Score(p.score, self._weights, p.fau.name)
            case _:
                return None

    def _build_frozen(self) -> Any:
        from stages.frozen_features import FrozenFeatures

        return FrozenFeatures(self._params.fau, self._weights)

    def _observer(self) -> Any:
        """Of the backend that looks for faces; None is the mesh."""
        if self._params.faces.backend == "mesh":
            return None
        from pipelines.weights.folder import locate_all
        from stages.pyfeat.observer import PyfeatObserver

        found = locate_all(self._step.models)
        return PyfeatObserver(self._params.faces, found["pyfeat-retinaface"], found["pyfeat-mobilefacenet"])

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
        device_class = scored.notes.get("device_class", "cpu") if scored else "cpu"
        provenance = Provenance.of(self._params, info, device_class, self._fingerprint)
        label = Label(self._params.label, info.calibration, provenance.provenance_id)
        result = label(*inputs)
        result.side["segments"] = segments.run(as_frame(result.rows), self._params.segments, label.fake_above, label.real_below).rows
        return result, provenance.as_notes()
