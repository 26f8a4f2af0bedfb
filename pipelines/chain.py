"""Chain: the stages that run over units, what each reads, and what its output depends on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from fauforensics.checkpoint_info import read_info
from pipelines.features import features_name, reads_features
from pipelines.weights.records import digest_of
from pipelines.weights.registry import read_registry
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


_EMBEDDING = frozenset({"embedding", "embedding_weights", "embedding_input_px"})
"""In their place stands the name of what makes the features (`pipelines.features`)."""
_PYFEAT_ONLY = frozenset({"patch_format", "batch_pictures", "variant", "batch_faces", "device"}) | _EMBEDDING
"""Parameters that say nothing of what the mesh backends make. Where py-feat's networks run, and in which batches, is no one's matter."""
_HOW = frozenset({"batch_pictures", "batch_faces", "device"}) | _EMBEDDING

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
    if name == "fau":
        return _with_embedding(_pyfeat_fau(step, params) if params.fau.backend == "pyfeat" else step, params)
    if name == "score" and reads_features(params.score.preset, params.fau.embedding):
        return replace(step, reads=(*step.reads, Read("fau", "fau_features")))
    return step


def _pyfeat_fau(step: Step, params: PipelineParams) -> Step:
    patches = params.faces.backend == "pyfeat"
    columns = ("content_id", "track", "tick", "frame_index", "box")
    faces = Read("faces", "faces", columns if patches else (*columns, "landmarks", "crop"))
    needs_points = params.fau.variant != "multitask" and not patches
    return replace(
        step,
        params=_section("fau", without=_HOW | {"neutral_max_yaw_deg"}),
        reads=(faces, Read("faces", "patches")) if patches else (faces,),
        models=(*(("pyfeat-mobilefacenet",) if needs_points else ()), f"pyfeat-{params.fau.variant}"),
    )


def _with_embedding(step: Step, params: PipelineParams) -> Step:
    if params.fau.embedding == "none":
        return step
    step = replace(step, outputs={**step.outputs, "fau_features": FAU_FEATURES})
    if params.fau.embedding == "multitask":
        return step
    named = (params.fau.embedding_weights,) if params.fau.embedding_weights in read_registry() else ()
    faces, *others = step.reads
    columns = (*(faces.columns or ()), *(c for c in ("frame_index", "crop") if c not in (faces.columns or ())))
    return replace(step, reads=(replace(faces, columns=columns), *others), models=(*step.models, *named))


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
                self.weights_sha256() if step.uses_weights else self._models_digest(step),
            )
        return self._known[name]

    def _models_digest(self, step: Step) -> str | None:
        features = features_name(self._workspace) if step.name == "fau" else None
        # What the frozen trunk holds is in the name of its features, whichever file it came in.
        fetched = digest_of(self._workspace.root, [n for n in step.models if n != self._workspace.params.fau.embedding_weights])
        return fetched if features is None else digest([fetched, features])

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
