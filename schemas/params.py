"""Parameters of every stage, as frozen models that forbid unknown keys."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from schemas.errors import ParamsError


class Params(BaseModel):
    """Base of all parameter models: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


_Probability = Annotated[float, Field(gt=0, lt=1)]


class ArchiveParams(Params):
    """Where the videos are."""

    uri: str | None = Field(None, description="Folder or fsspec URL of the archive; `fauscan init` and `fauscan run` fill it in.")


class DatasetParams(Params):
    """What is known of the videos: metadata in the archive, as published data sets and `fauscan forge` have it."""

    name: str = Field("auto", min_length=1, description="`auto`: known by its layout; `none`; or one by name, which then must be there.")
    metadata: str | None = Field(None, description="Path in the archive of the metadata, where its name is not the usual one.")
    frame_rule: Literal["exact", "upstream"] = Field("exact", description="Frames of a span: by time, or int(25 t) as LAV-DF has it.")


class StoreParams(Params):
    """Where heavy data goes."""

    uri: str = Field("store", min_length=1, description="Folder (relative to the workspace) or fsspec URL.")


class UnitParams(Params):
    """How videos are packed into units of work. Existing units are never regrouped."""

    minutes: float = Field(2.0, gt=0, description="A unit is closed when it holds this much video.")
    max_videos: int = Field(64, ge=1, description="A unit is closed when it holds this many videos.")


class EngineParams(Params):
    """Who does the work. Nothing here changes a byte of the output."""

    name: Literal["ray", "local"] = Field("ray", description="`ray` (joins RAY_ADDRESS or starts locally) or `local` (process pool).")
    workers: int = Field(0, ge=0, description="Processes at once; 0 takes the number of CPUs.")
    gpu_workers: int = Field(0, ge=0, description="Processes of `score` at once when they use GPUs; 0 takes what the GPUs hold.")
    gpus_per_worker: float = Field(0.0, ge=0, description="Share of a GPU that each `score` worker reserves on a Ray cluster.")


class LimitParams(Params):
    """What one video may cost before it is given up. Each is worked on in a process that can be killed."""

    timeout_s: float = Field(300.0, gt=0, description="Seconds for one step of one video, and ...")
    timeout_per_s: float = Field(20.0, ge=0, description="... as many more for each second that it lasts.")
    memory_mb: int = Field(8192, ge=512, description="Resident memory of the process, models included.")
    max_attempts: int = Field(3, ge=1, le=1000, description="Runs that try a video which failed for a passing reason; then it is parked.")


class DecodeParams(Params):
    """How video is decoded."""

    max_pixels: int = Field(8192 * 4320, ge=1, description="Larger pictures are refused (too_large).")
    max_minutes: float = Field(240.0, gt=0, description="Longer videos are refused (too_large): sound is held in memory, 4 MB a minute.")
    max_frames: int = Field(2_000_000, ge=1, description="Frames after this one are refused (too_large).")


class FaceParams(Params):
    """Face detection, tracking and cropping."""

    backend: Literal["mesh", "pyfeat"] = Field("mesh", description="`pyfeat`: RetinaFace on every tick, for a GPU; needs weights.")
    detect_every_ticks: int = Field(5, ge=1, description="Mesh: run the detector on every k-th tick; the mesh tracks in between.")
    min_detection_score: float = Field(0.5, gt=0, lt=1, description="Detections below are ignored.")
    min_presence: float = Field(0.5, gt=0, lt=1, description="The mesh must be this sure that it sees a face.")
    min_face_px: int = Field(24, ge=8, description="Smaller faces are ignored.")
    max_faces: int = Field(8, ge=1, le=64, description="Tracks alive at once.")
    max_gap_ticks: int = Field(25, ge=0, description="A face that returns within this time keeps its track.")
    min_track_ticks: int = Field(5, ge=1, description="Shorter tracks are flicker and are dropped.")
    cut_threshold: float = Field(0.5, gt=0, le=1, description="Histogram distance between neighbouring ticks that means a shot cut.")
    crop_px: int = Field(160, ge=112, le=512)
    crop_format: Literal["jpeg", "png"] = "jpeg"
    jpeg_quality: int = Field(92, ge=50, le=100)
    patch_format: Literal["png", "jpeg"] = Field("png", description="Pyfeat: pixels kept for its action units; `png` is exact.")
    batch_pictures: int = Field(8, ge=1, description="Pyfeat: pictures in one forward pass on a GPU.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Pyfeat only.")


class FauParams(Params):
    """Facial action units."""

    backend: Literal["mesh", "pyfeat"] = Field("mesh", description="`pyfeat` needs weights, and a checkpoint trained on its variant.")
    variant: Literal["xgb", "svm", "multitask"] = Field("xgb", description="Pyfeat: trees, linear classifiers, or one network.")
    embedding: Literal["none", "multitask", "me-graphau"] = Field(
        "none", description="Keep a frozen network's features of every tick: pyfeat's, or those of the reference preset's FAU encoder."
    )
    embedding_weights: str = Field(
        "models/reference.safetensors",
        min_length=1,
        description="Me-graphau: a reference checkpoint or ME-GraphAU's own file, or its name in `fauscan models`.",
    )
    embedding_input_px: int = Field(
        112, ge=112, le=448, description="Me-graphau, from its own file: 224 enlarges crops; a checkpoint knows better."
    )
    neutral_max_yaw_deg: float = Field(30.0, gt=0, le=90, description="Mesh: ticks turned further do not count for the neutral face.")
    batch_faces: int = Field(64, ge=1, description="Of networks: faces, of any videos of the unit, in one forward pass.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Of networks; the mesh has none.")

    @property
    def name(self) -> str:
        """What made the action units, as checkpoints record it: `mesh`, or `pyfeat-` and the variant."""
        return self.backend if self.backend == "mesh" else f"{self.backend}-{self.variant}"

    @field_validator("embedding", mode="before")
    @classmethod
    def _was_a_switch(cls, value: object) -> object:
        """Workspaces made before there were two networks to choose from."""
        return {True: "multitask", False: "none"}.get(value, value) if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _features_need_a_network(self) -> FauParams:
        if self.embedding == "multitask" and self.name != "pyfeat-multitask":
            raise ValueError(f"fau.embedding is multitask, but the action units are {self.name!r}; use backend: pyfeat, variant: multitask")
        return self


class AudioParams(Params):
    """Sound: log-mel, loudness, speech activity."""

    speech_floor_db: float = Field(12.0, gt=0, description="Speech is this much louder than the track's noise floor.")


class ScoreParams(Params):
    """The network."""

    preset: Literal["lite", "reference"] = "lite"
    weights: str = Field("models/lite.safetensors", min_length=1, description="Checkpoint, relative to the workspace.")
    stride_ticks: int = Field(5, ge=1, le=25, description="Distance between windows of 25 ticks.")
    min_face_ticks: int = Field(20, ge=1, le=25, description="A window with fewer ticks that show the face is not scored.")
    min_audio_ticks: int = Field(20, ge=1, le=25, description="A window with fewer ticks of sound is judged by sight alone.")
    silence_dbfs: float = Field(-55.0, lt=0, description="A window whose loudest tick is below this has silent_audio.")
    batch_windows: int = Field(256, ge=1, description="Windows, of any videos of the unit, in one forward pass.")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = Field("auto", description="`auto`: bfloat16 on CUDA, float32 on CPU.")


class LabelParams(Params):
    """From window scores to frame labels."""

    smooth_ticks: int = Field(5, ge=1, le=1000, description="Width of the moving average over ticks.")
    fake_above: _Probability | None = Field(None, description="Enter `fake`; null: the checkpoint's own threshold.")
    real_below: _Probability | None = Field(None, description="Below is `real`; null: the checkpoint's own threshold.")

    @model_validator(mode="after")
    def _ordered(self) -> LabelParams:
        if self.fake_above is not None and self.real_below is not None and self.real_below > self.fake_above:
            raise ValueError(f"real_below ({self.real_below}) must not be above fake_above ({self.fake_above})")
        return self


class SegmentParams(Params):
    """From frame labels to spans."""

    max_gap_ms: int = Field(200, ge=0, description="Interruptions up to this long are bridged.")
    min_length_ms: int = Field(200, ge=0, description="Shorter spans are dropped.")


class ReportParams(Params):
    """The report page."""

    max_timelines: int = Field(500, ge=1, description="Videos that get a timeline; the most suspicious first.")
    thumbnails: int = Field(4, ge=0, le=12, description="Strongest frames shown for each video.")


class CurateParams(Params):
    """Training sets that `dvc repro` makes."""

    recipes: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")], ...] = Field(
        (), description="NAME for each recipes/NAME.yaml, which gives data/curated/NAME (docs/curation.md)."
    )


class PipelineParams(Params):
    """All of `params.yaml`."""

    archive: ArchiveParams = ArchiveParams()
    dataset: DatasetParams = DatasetParams()
    store: StoreParams = StoreParams()
    units: UnitParams = UnitParams()
    engine: EngineParams = EngineParams()
    limits: LimitParams = LimitParams()
    decode: DecodeParams = DecodeParams()
    faces: FaceParams = FaceParams()
    fau: FauParams = FauParams()
    audio: AudioParams = AudioParams()
    score: ScoreParams = ScoreParams()
    label: LabelParams = LabelParams()
    segments: SegmentParams = SegmentParams()
    report: ReportParams = ReportParams()
    curate: CurateParams = CurateParams()

    @model_validator(mode="after")
    def _backends_fit(self) -> PipelineParams:
        if self.fau.backend == "mesh" and self.faces.backend != "mesh":
            raise ValueError(
                f"fau.backend is 'mesh', which reads the 468 points of faces.backend: mesh, but faces.backend is {self.faces.backend!r}; "
                "use fau.backend: pyfeat, or faces.backend: mesh"
            )
        return self


def load(path: Path) -> PipelineParams:
    """Reads `params.yaml`.

    Raises:
        ParamsError: the file is missing, not YAML, or a key is unknown or out of range; the message names the key.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; `fauscan init DIR --archive URI` writes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: can't be read: {error}") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        raise ParamsError(f"{path}: must be a mapping of sections ({', '.join(PipelineParams.model_fields)})")
    return validate(raw, str(path))


def validate(raw: dict[str, Any], source: str) -> PipelineParams:
    """Checks a mapping against the models; `source` names where it came from in the message."""
    try:
        return PipelineParams.model_validate(raw)
    except ValidationError as error:
        raise ParamsError(f"{source}: {explain(error, PipelineParams)}") from None


def explain(error: ValidationError, root: type[BaseModel]) -> str:
    """One line for a person: which parameter, what it is, what would be right."""
    lines = []
    for problem in error.errors():
        *parents, key = [str(part) for part in problem["loc"]] or [""]
        name = ".".join([*parents, key]).strip(".")
        if problem["type"] == "extra_forbidden":
            known = list(_fields_at(root, parents))
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {'.'.join([*parents, close[0]])}?" if close else f"known: {', '.join(known)}"
            lines.append(f"{name} is not a parameter; {hint}")
        elif not name:  # a rule over several fields; its message names them
            lines.append(problem["msg"].removeprefix("Value error, "))
        else:
            lines.append(f"{name} is {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}")
    return " | ".join(lines)


def _fields_at(model: type[BaseModel], parents: list[str]) -> dict[str, Any]:
    for parent in parents:
        annotation = model.model_fields[parent].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return {}
        model = annotation
    return dict(model.model_fields)
