"""Chain: the stages that run over units, what each reads, and what its output depends on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from fauforensics.checkpoint_info import read_info
from pipelines.weights.records import digest_of
from pipelines.workspace import Workspace
from schemas.errors import WorkspaceError
from schemas.fingerprint import digest, stage_fingerprint
from schemas.params import PipelineParams
from schemas.tables import AUDIO, FACES, FAU, FAU_FEATURES, FRAMES, PATCHES, SCORES, SEGMENTS, STORED_LABELS
from stages import versions


@dataclass(frozen=True, slots=True)
class Read:
    """One table that a stage reads from an earlier one; no columns means all of them."""

    stage: str
    table: str
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A stage as the pipeline sees it: its contract, not its code."""

    name: str
    version: int
    outputs: Mapping[str, pa.Schema]
    """Tables that it writes; the first is the main one."""
    params: Callable[[PipelineParams], dict[str, Any]]
    reads: tuple[Read, ...] = ()
    reads_media: bool = False
    uses_weights: bool = False
    upstream: tuple[str, ...] = field(default=())
    models: tuple[str, ...] = field(default=())
    """Names in the registry of weights."""


def _section(*names: str, without: frozenset[str] = frozenset()) -> Callable[[PipelineParams], dict[str, Any]]:
    def read(params: PipelineParams) -> dict[str, Any]:
        return {n: {k: v for k, v in getattr(params, n).model_dump(mode="json").items() if k not in without} for n in names}

    return read


_PYFEAT_ONLY = frozenset({"patch_format", "batch_pictures", "variant", "embedding", "batch_faces", "device"})
"""Parameters that say nothing of what the mesh backends make. Where py-feat's networks run, and in which batches, is no one's matter."""
_HOW = frozenset({"batch_pictures", "batch_faces", "device"})

_FACE_FACTS = ("content_id", "track", "tick", "box", "sharpness", "yaw_deg", "pitch_deg")

STEPS: dict[str, Step] = {
    step.name: step
    for step in (
        Step(
            "faces", versions.FACES, {"faces": FACES, "frames": FRAMES}, _section("decode", "faces", without=_PYFEAT_ONLY),
            reads_media=True,
        ),
        Step(
            "fau", versions.FAU, {"fau": FAU}, _section("fau", without=_PYFEAT_ONLY),
            reads=(Read("faces", "faces", ("content_id", "track", "tick", "yaw_deg", "landmarks")),), upstream=("faces",),
        ),
        Step("audio", versions.AUDIO, {"audio": AUDIO}, _section("audio"), reads_media=True),
        Step(
            "score", versions.SCORE, {"scores": SCORES},
            # Where it runs is in the provenance; the name of the weights does not matter, their digest does.
            _section("score", without=frozenset({"device", "weights"})),
            reads=(
                Read("faces", "faces", ("content_id", "track", "tick", "crop")),
                Read("fau", "fau"),
                Read("audio", "audio"),
            ),
            uses_weights=True, upstream=("faces", "fau", "audio"),
        ),
        Step(
            "label", versions.LABEL + 1000 * versions.SEGMENTS, {"labels": STORED_LABELS, "segments": SEGMENTS},
            _section("label", "segments"),
            reads=(
                Read("faces", "frames"),
                Read("faces", "faces", _FACE_FACTS),
                Read("audio", "audio", ("content_id", "tick", "reason")),
                Read("score", "scores"),
            ),
            uses_weights=True, upstream=("score",),
        ),
    )
}  # fmt: skip


def step_of(name: str, params: PipelineParams) -> Step:
    """The step as the parameters want it: backends differ in what they read, write and need.

    Raises:
        WorkspaceError: no step has this name.
    """
    step = step_named(name)
    if name == "faces" and params.faces.backend == "pyfeat":
        return replace(
            step,
            version=step.version + 1000 * versions.PATCHES,
            outputs={**step.outputs, "patches": PATCHES},
            params=_section("decode", "faces", without=_HOW),
            models=("pyfeat-mobilefacenet", "pyfeat-retinaface"),
        )
    if name == "fau" and params.fau.backend == "pyfeat":
        patches = params.faces.backend == "pyfeat"
        columns = ("content_id", "track", "tick", "frame_index", "box")
        faces = Read("faces", "faces", columns if patches else (*columns, "landmarks", "crop"))
        needs_points = params.fau.variant != "multitask" and not patches
        return replace(
            step,
            outputs={**step.outputs, **({"fau_features": FAU_FEATURES} if params.fau.embedding else {})},
            params=_section("fau", without=_HOW | {"neutral_max_yaw_deg"}),
            reads=(faces, Read("faces", "patches")) if patches else (faces,),
            models=(*(("pyfeat-mobilefacenet",) if needs_points else ()), f"pyfeat-{params.fau.variant}"),
        )
    return step


class Fingerprints:
    """The fingerprint of every step in one workspace, worked out once."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._known: dict[str, str] = {}
        self._weights: str | None = None

    def of(self, name: str) -> str:
        """Raises CheckpointError or WeightsError when the step needs weights that can't be read."""
        if name not in self._known:
            step = step_of(name, self._workspace.params)
            self._known[name] = stage_fingerprint(
                name,
                step.version,
                step.params(self._workspace.params),
                step.outputs.values(),
                {u: self.of(u) for u in step.upstream} or {"inventory": digest(versions.INVENTORY)},
                self.weights_sha256() if step.uses_weights else digest_of(self._workspace.root, step.models),
            )
        return self._known[name]

    def weights_sha256(self) -> str:
        if self._weights is None:
            self._weights = read_info(self._workspace.weights()).sha256
        return self._weights


def step_named(name: str) -> Step:
    """Raises WorkspaceError for a name that is no step."""
    try:
        return STEPS[name]
    except KeyError:
        raise WorkspaceError(f"{name!r} is not a step; use one of {', '.join(STEPS)}") from None
