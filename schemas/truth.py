"""Truth: what is known of a clip, in the layout of LAV-DF's metadata with our additions."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from schemas.errors import TruthError

METADATA_NAME = "metadata.json"
Span = tuple[float, float]
"""Start and end in seconds of the common timeline, end exclusive."""
Split = Literal["train", "dev", "test"]
Modality = Literal["total", "audio", "visual"]


class TruthRow(BaseModel):
    """One clip. The keys of LAV-DF come first; those below `kind` are ours and have defaults, so that a LAV-DF file can be read.

    `traces` names the streams that carry a trace of the forgery by themselves. A voice that was exchanged from end to
    end carries none, only its disagreement with the lips does; the audio head can't know and must not be asked.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    file: str = Field(min_length=1, description="Path of the clip from the folder of the metadata, '/' between parts.")
    n_fakes: int = 0
    fake_periods: list[Span] = []
    duration: float | None = None
    original: str | None = Field(None, description="`file` of the real clip that this one was made from.")
    modify_video: bool = False
    modify_audio: bool = False
    split: Split | None = None
    video_frames: int | None = None
    audio_channels: int | None = None
    audio_frames: int | None = None

    kind: str = Field("", description="How it was forged; 'real' for a real clip.")
    identity: str | None = Field(None, description="Group of clips that must not be spread over several splits.")
    audio_fake_periods: list[Span] | None = None
    visual_fake_periods: list[Span] | None = None
    traces: list[Literal["audio", "visual"]] | None = None
    unknown: list[Literal["audio", "visual"]] = Field([], description="Streams of which nobody says whether they were altered.")

    @field_validator("file")
    @classmethod
    def _inside(cls, file: str) -> str:
        if leads_out(file):
            raise ValueError(f"{file!r} leads out of the folder; give a path below it, without '..'")
        return file

    @model_validator(mode="after")
    def _ordered(self) -> TruthRow:
        for start, end in [*self.fake_periods, *(self.audio_fake_periods or []), *(self.visual_fake_periods or [])]:
            if not 0 <= start <= end:
                raise ValueError(f"span [{start}, {end}] must have 0 <= start <= end")
        return self

    def spans(self, modality: Modality) -> list[Span]:
        """Fake spans of one stream, or of the clip as a whole."""
        if modality == "audio":
            return self.audio_fake_periods if self.audio_fake_periods is not None else self.fake_periods if self.modify_audio else []
        if modality == "visual":
            return self.visual_fake_periods if self.visual_fake_periods is not None else self.fake_periods if self.modify_video else []
        return self.fake_periods

    def leaves_trace(self, stream: Literal["audio", "visual"]) -> bool:
        """Whether a look at this stream alone could tell. Unknown counts as yes where the stream was modified."""
        if self.traces is not None:
            return stream in self.traces
        return bool(self.spans(stream))

    @property
    def forgery(self) -> str:
        """`kind`, or what the flags say where it is not given."""
        if self.kind:
            return self.kind
        return {(False, False): "real", (True, False): "visual", (False, True): "audio", (True, True): "both"}[
            (self.modify_video, self.modify_audio)
        ]


def leads_out(path: str) -> bool:
    """Whether a path from somebody else's table is anything but a place below a folder."""
    return "\0" in path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts


def read_truth(folder: Path) -> list[TruthRow]:
    """The rows of `folder/metadata.json`, in its order.

    Raises:
        TruthError: no such file, not a list of objects, or a row that is wrong; the message names file, row and field.
    """
    path = folder / METADATA_NAME
    try:
        raw = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise TruthError(f"{path}: no such file; `fauscan forge SRC {folder}` writes one, and LAV-DF's own is read too") from None
    except (OSError, ValueError, RecursionError) as error:
        raise TruthError(f"{path}: can't be read as JSON: {error}") from None
    if not isinstance(raw, list):
        raise TruthError(f"{path}: must be a list of clips, as in LAV-DF")
    rows = []
    for number, entry in enumerate(raw):
        try:
            rows.append(TruthRow.model_validate(entry))
        except ValidationError as error:
            problem = error.errors()[0]
            field = ".".join(str(part) for part in problem["loc"])
            what = problem["msg"].removeprefix("Value error, ")
            raise TruthError(f"{path}: row {number}: {field or 'row'}: {what[0].lower()}{what[1:]}") from None
    return rows
