"""Curation: which clips of the labelled archive make a training set, as one frozen model."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from schemas.params import Params
from schemas.timebase import WINDOW_TICKS

Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = ("train", "dev", "test")
Value = bool | int | float | str
Relation = Literal["identity", "source", "pair", "near_duplicate", "content"]
RELATIONS: tuple[Relation, ...] = ("identity", "source", "pair", "near_duplicate", "content")


class RecipeProblem(Exception):  # noqa: N818
    """What a recipe asks for can't be had. Says where in the recipe; the pipeline puts file and line before it."""

    def __init__(self, path: tuple[str | int, ...], text: str) -> None:
        super().__init__(text)
        self.path, self.text = path, text


class Condition(Params):
    """What the values of a column must be. A null never passes, unless `or_null` or `is_null` says so."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_by_name=False, validate_by_alias=True)

    at_least: float | None = Field(None, alias="min")
    at_most: float | None = Field(None, alias="max")
    one_of: tuple[Value, ...] | None = Field(None, alias="in", min_length=1)
    none_of: tuple[Value, ...] | None = Field(None, alias="not_in", min_length=1)
    equals: bool | None = Field(None, alias="is")
    is_null: bool | None = None
    or_null: bool = False

    @model_validator(mode="after")
    def _says_something(self) -> Condition:
        if all(v is None for v in (self.at_least, self.at_most, self.one_of, self.none_of, self.equals, self.is_null)):
            raise ValueError("says nothing; use min, max, in, not_in, is or is_null")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"min ({self.at_least:g}) must not be above max ({self.at_most:g})")
        return self


def _condition(raw: Any) -> Any:
    """`column: a` and `column: [a, b]` are short for `in`; `column: true` for `is`."""
    if isinstance(raw, (dict, BaseModel)) or raw is None:
        return raw
    if isinstance(raw, bool):
        return {"is": raw}
    return {"in": raw if isinstance(raw, list) else [raw]}


class Bounds(Params):
    """How many clips."""

    min: int = Field(0, ge=0)
    max: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Bounds:
        if self.max is not None and self.min > self.max:
            raise ValueError(f"min ({self.min}) must not be above max ({self.max})")
        return self


class TargetParams(Params):
    """What a clip is called, and who says so."""

    target_from: Literal["truth", "prediction", "truth_then_prediction"] = Field(
        "truth", description="truth_then_prediction: labels count where nothing is known; the column target_from tells which is which."
    )
    head: Literal["total", "audio", "visual"] = Field("total", description="Which stream the target is about; total: any of them.")
    min_fake_ticks: int = Field(1, ge=1, le=WINDOW_TICKS, description="Clips with less fake time than that, but some, are left out.")
    real_parts: Literal["keep", "drop"] = Field("keep", description="Clips of a fake video that no fake span touches: real, or left out.")


class ClipParams(Params):
    """Clips of 25 ticks, one second, on the clock's grid."""

    of: Literal["track", "video"] = Field("track", description="A clip for each face, or one of the whole picture (track null).")
    stride_ticks: int = Field(WINDOW_TICKS, ge=1, le=250, description="From one start to the next; below 25 they overlap.")
    min_face_share: float = Field(0.8, ge=0, le=1, description="Ticks that must show the face. `of: video` has no such rule.")
    per_video: int | None = Field(None, ge=1, description="At most so many of one video; null: all.")
    choose: Literal["spread", "random", "hard", "boundary"] = Field(
        "spread", description="Which of them: evenly over time, by chance, of highest loss, or with the edges of fake spans."
    )


class NearParams(Params):
    """Near-duplicates by the look of faces over time: copies that were encoded or scaled anew. Reads crops from the store."""

    enabled: bool = False
    max_distance: float = Field(5.0, ge=0, le=32, description="Mean differing bits, of 64, of crops on the same tick.")
    min_motion: float = Field(0.6, ge=-1, le=1, description="Least correlation of how the two faces move.")
    keep: Literal["one", "all"] = Field("one", description="all: they stay, but never in different splits.")


class DuplicateParams(Params):
    """The same bytes under several names are one video always. Near-duplicates if wanted."""

    near: NearParams = NearParams()


class CuratedSplits(Params):
    """Train, dev and test without leakage: what a relation connects stays together."""

    train: float = Field(0.7, ge=0, le=1)
    dev: float = Field(0.15, ge=0, le=1)
    test: float = Field(0.15, ge=0, le=1)
    relations: tuple[Relation, ...] = RELATIONS
    official: Literal["keep", "ignore"] = Field("keep", description="Whether truth_split decides where there is one.")
    conflict: Literal["error", "drop"] = Field(
        "error", description="What becomes of videos that belong together, but lie in two official splits."
    )
    unknown_identity: Literal["keep", "drop"] = Field("keep", description="Videos of which nobody says who is in them.")
    strata: tuple[str, ...] = Field(("dataset", "target"), description="The splits get like shares of each of these groups.")
    tolerance: float | None = Field(None, gt=0, le=1, description="An error when a split misses its share by more; null: it is reported.")

    @model_validator(mode="after")
    def _whole(self) -> CuratedSplits:
        if not math.isclose(sum(self.shares.values()), 1.0, abs_tol=1e-6):
            raise ValueError(f"train, dev and test add up to {sum(self.shares.values()):g}; they must add up to 1")
        return self

    @property
    def shares(self) -> dict[Split, float]:
        """Wanted share of clips of each split."""
        return {"train": self.train, "dev": self.dev, "test": self.test}


class Balance(Params):
    """Equal counts for each value of a column, by leaving out."""

    column: str = "target"
    within: tuple[str, ...] = Field((), description="Equal inside each group of these, `split` say; none: over all.")


class HardParams(Params):
    """Hard examples first."""

    share: float = Field(0.5, gt=0, le=1, description="Of each stratum's quota; the rest is drawn.")
    by: Literal["loss", "boundary"] = "loss"


class SampleParams(Params):
    """Which of the clips that are left are taken."""

    strata: tuple[str, ...] = ()
    per_stratum: Bounds = Bounds()
    total: Bounds = Bounds()
    caps: dict[str, Annotated[int, Field(ge=1)]] = Field({}, description="Most clips of each value of a column, or of its lists.")
    balance: Balance | None = None
    hard: HardParams | None = None
    weights: tuple[str, ...] = Field((), description="Weights that make the groups of these columns count alike; none: all weights are 1.")


class CurationRecipe(Params):
    """All of a recipe for `fauscan curate`."""

    name: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="Of the folder; null: the recipe's own.")
    seed: int = Field(1, ge=0)
    targets: TargetParams = TargetParams()
    filters: dict[str, Annotated[Condition, BeforeValidator(_condition)]] = Field({}, description="Column: condition.")
    clips: ClipParams = ClipParams()
    duplicates: DuplicateParams = DuplicateParams()
    splits: CuratedSplits = CuratedSplits()
    sample: SampleParams = SampleParams()
