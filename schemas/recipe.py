"""Recipe: which forgeries are made of which videos, and how, as one frozen model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from schemas.errors import ParamsError
from schemas.params import Params, explain

AUDIO_KINDS = ("audio_swap", "audio_replay", "audio_resynthesis", "desync")
VISUAL_KINDS = ("self_blend", "face_swap", "mouth_replay")
BOTH = "both"
REAL = "real"
KINDS = (*AUDIO_KINDS, *VISUAL_KINDS, BOTH)
"""Ways to forge; `real`, the control, is made of every take and is not drawn."""


class KindWeights(Params):
    """How often each kind is drawn, relative to the others; 0 leaves it out."""

    audio_swap: float = Field(1.0, ge=0, description="Sound of another talker, over spans or from end to end.")
    audio_replay: float = Field(1.0, ge=0, description="Sound of the same talker from elsewhere.")
    audio_resynthesis: float = Field(1.0, ge=0, description="Sound rebuilt from its mel spectrogram.")
    desync: float = Field(1.0, ge=0, description="All of the sound, too early or too late.")
    self_blend: float = Field(1.0, ge=0, description="The face over itself: warped, recoloured, resampled.")
    face_swap: float = Field(1.0, ge=0, description="The face of another person of the same split.")
    mouth_replay: float = Field(1.0, ge=0, description="The mouth of another time of the same video.")
    both: float = Field(1.0, ge=0, description="A visual and an audio kind on the same spans.")


class SpanParams(Params):
    """Where in a clip it is forged."""

    whole_share: float = Field(0.5, ge=0, le=1, description="Share of forgeries from end to end; desync always is.")
    min_s: float = Field(0.2, ge=0.08, le=10)
    max_s: float = Field(1.6, ge=0.08, le=60)
    max_count: int = Field(3, ge=1, le=20, description="Spans in one clip, as far as they fit.")


class ExcerptParams(Params):
    """What a take keeps of its source. The control and the forgeries of a take share it."""

    min_s: float = Field(1.6, ge=0.5, description="Sources with less of a face are not used.")
    max_s: float = Field(6.0, ge=0.5, description="Longer sources give a random excerpt of 3 s or more, up to this.")
    max_side_px: int = Field(960, ge=64, le=4096, description="Larger pictures are made smaller.")
    min_scale: float = Field(0.75, gt=0, le=1, description="Smallest further reduction, drawn for each take.")
    min_face_px: int = Field(64, ge=16, description="The reduction stops where the face would be smaller.")
    look_minutes: float = Field(2.0, gt=0, description="Only the first minutes of a source are looked at.")


class EncodingParams(Params):
    """H.264 and AAC, drawn for each take."""

    crf: tuple[int, int] = Field((18, 28), description="x264's quality, from best to worst.")
    presets: tuple[Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium"], ...] = ("superfast", "veryfast")
    gop_frames: tuple[int, ...] = Field((12, 25, 50, 250), description="Most frames between key frames.")
    audio_kbps: tuple[int, ...] = Field((40, 64, 96), description="At most 2.5 bits a sample are used of it.")
    audio_rates_hz: tuple[int, ...] = Field((16000, 22050, 32000, 44100, 48000), description="No take is above its sources' own rate.")


class SplitParams(Params):
    """Shares of identities. The largest identity is always in train."""

    train: float = Field(0.6, gt=0)
    dev: float = Field(0.15, ge=0)
    test: float = Field(0.25, ge=0)


class ForgeRecipe(Params):
    """All of `forge.yaml`."""

    kinds: KindWeights = KindWeights()
    takes: int = Field(1, ge=1, description="Excerpts of each source; each gives a control and its forgeries.")
    forgeries_per_take: int = Field(3, ge=1, le=16)
    forgeries_per_identity: int = Field(24, ge=0, description="Identities with fewer get more takes; 0: never.")
    max_takes: int = Field(12, ge=1, description="Of one source, however few its identity has.")
    include: tuple[str, ...] = Field(("**",), description="Globs below SRC; ** crosses folders.")
    exclude: tuple[str, ...] = Field(
        ("**/fake*/**", "**/forged/**", "**/generated/**", "**/sadtalker/**"),
        description="A video that is no recording must not become a control.",
    )
    identity: Literal["face", "folder", "file"] = Field(
        "face", description="Where SRC has no identities.csv: by look, by folder, or each file its own."
    )
    identities: dict[str, str] = Field({}, description="Path or glob below SRC: identity. Goes before all else.")
    same_look: float = Field(0.78, gt=0, lt=1, description="Likeness above which two faces count as one person (identity: face).")
    desync_ms: tuple[int, int] = (160, 640)
    spans: SpanParams = SpanParams()
    excerpt: ExcerptParams = ExcerptParams()
    encoding: EncodingParams = EncodingParams()
    splits: SplitParams = SplitParams()

    @model_validator(mode="after")
    def _fits(self) -> ForgeRecipe:
        _ordered("spans.min_s", self.spans.min_s, "spans.max_s", self.spans.max_s)
        _ordered("excerpt.min_s", self.excerpt.min_s, "excerpt.max_s", self.excerpt.max_s)
        for name, pair, low, high in (("desync_ms", self.desync_ms, 40, 5000), ("encoding.crf", self.encoding.crf, 1, 51)):
            if not low <= pair[0] <= pair[1] <= high:
                raise ValueError(f"{name} is {list(pair)}; use [least, most] with {low} <= least <= most <= {high}")
        for name, allowed in (
            ("gop_frames", range(1, 1001)),
            ("audio_kbps", range(16, 513)),
            ("audio_rates_hz", (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)),
        ):
            wrong = [v for v in getattr(self.encoding, name) if v not in allowed]
            known = f"{allowed[0]} to {allowed[-1]}" if isinstance(allowed, range) else ", ".join(map(str, allowed))
            if wrong or not getattr(self.encoding, name):
                what = f"has {wrong[0]}" if wrong else "is empty"
                raise ValueError(f"encoding.{name} {what}; use values of {known}")
        if not self.encoding.presets:
            raise ValueError("encoding.presets is empty; name at least one")
        if not any(self.weights.values()):
            raise ValueError(f"kinds are all 0; give one of {', '.join(KINDS)} a weight")
        if self.weights[BOTH] and not (any(self.weights[k] for k in VISUAL_KINDS)):
            raise ValueError(f"kinds.both needs a visual kind; give one of {', '.join(VISUAL_KINDS)} a weight, or set both to 0")
        if not math.isclose(sum(self.shares), 1.0, abs_tol=0.01):
            raise ValueError(f"splits add up to {sum(self.shares):g}; train, dev and test must add up to 1")
        return self

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each of `KINDS`."""
        return {kind: float(getattr(self.kinds, kind)) for kind in KINDS}

    @property
    def shares(self) -> tuple[float, float, float]:
        """Of train, dev and test."""
        return self.splits.train, self.splits.dev, self.splits.test


def _ordered(low_name: str, low: float, high_name: str, high: float) -> None:
    if low > high:
        raise ValueError(f"{low_name} ({low:g}) must not be above {high_name} ({high:g})")


def read_recipe(path: Path | None) -> ForgeRecipe:
    """The recipe of a YAML file, or the default one.

    Raises:
        ParamsError: no such file, not YAML, or a key is unknown or out of range; the message names the key.
    """
    if path is None:
        return ForgeRecipe()
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; `fauscan forge --show-recipe` prints one to start from") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: can't be read: {error}") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        raise ParamsError(f"{path}: must be a mapping ({', '.join(ForgeRecipe.model_fields)})")
    try:
        return ForgeRecipe.model_validate(raw)
    except ValidationError as error:
        raise ParamsError(f"{path}: {explain(error, ForgeRecipe)}") from None
