"""Parameters of training: one frozen model, and what each preset starts from."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from schemas.errors import ParamsError
from schemas.params import Params, explain

Phase = Literal["au", "picture", "whole"]


class TrainParams(Params):
    """Everything that decides what a training run computes. Two runs with equal parameters and data agree."""

    preset: Literal["lite", "reference"] = "lite"
    network: dict[str, int] = Field({}, description="Sizes of the network that differ from the preset's.")
    seed: int = Field(1, ge=0)
    au_steps: int = Field(1000, ge=0, description="First phase: action units and sound alone; cheap, lite only.")
    picture_steps: int = Field(4000, ge=0, description="Second phase: the picture network on single frames; lite only.")
    steps: int = Field(1200, ge=1, description="Last phase: the whole network.")
    picture_batch: int = Field(72, ge=2, description="Frames in a step of the second phase, on each worker.")
    max_clips_per_identity: int = Field(400, ge=0, description="Of the train split, by whole takes; 0: all. The rest is not even decoded.")
    batch_clips: int = Field(12, ge=2, description="Stretches in a step, on each worker.")
    stretch_ticks: int = Field(30, ge=25, description="Length of a stretch; its windows share the encoders' work.")
    window_stride_ticks: int = Field(5, ge=1, le=25)
    sampling: Literal["pairs", "uniform"] = Field(
        "pairs", description="pairs: a forgery and its own real clip, kinds and speakers balanced; uniform: any clip, as published."
    )
    fau_features: bool = Field(
        False,
        description="Read the workspace's fau_features: reference, instead of running its frozen trunk; lite, beside the action units.",
    )
    pixels: Literal["crops", "video"] = Field("crops", description="crops: from the store, as scoring sees them; video: decord, cut anew.")

    optimiser: Literal["adamw"] = "adamw"
    lr: float = Field(7e-4, gt=0, description="Of everything between encoders and heads.")
    lr_backbone_factor: float = Field(2.0, ge=0, description="For encoders.")
    lr_head_factor: float = Field(10.0, ge=0, description="For the three heads.")
    min_lr_factor: float = Field(0.001, ge=0, le=1)
    poly_power: float = Field(0.9, gt=0)
    warmup_steps: int = Field(50, ge=0)
    weight_decay: float = Field(0.02, ge=0)
    clip_norm: float = Field(1.0, gt=0, description="Of the gradients, after unscaling.")
    amp: Literal["auto", "none", "float16", "bfloat16"] = Field("auto", description="auto: float16 with loss scaling on CUDA, none on CPU.")

    loss_total: float = Field(0.6, ge=0)
    loss_visual: float = Field(0.2, ge=0)
    loss_audio: float = Field(0.2, ge=0)
    loss_evidence: float = Field(0.3, ge=0, description="For the evidence of each tick, which makes it point at the right one.")
    loss_sync: float = Field(0.3, ge=0, description="Contrastive, on real stretches: lips and sound of one moment belong together.")
    loss_picture: float = Field(
        0.3, ge=0, description="For a throw-away linear answer on each picture, which the second phase trains alone."
    )
    fake_from: float = Field(0.2, gt=0, le=1, description="Share of a window that makes it fake; below, and above none, it is not asked.")

    flip_p: float = Field(0.5, ge=0, le=1)
    crop_min: float = Field(0.88, gt=0.5, le=1, description="Smallest side of the random crop, of the stored crop's side.")
    crop_max: float = Field(1.0, gt=0.5, le=1)
    crop_test: float = Field(1.0, gt=0.5, le=1, description="Side of the centre crop in validation and scoring.")
    erase_p: float = Field(0.25, ge=0, le=1)
    erase_area: tuple[float, float] = (0.02, 0.2)
    time_mask_ticks: int = Field(0, ge=0, le=24, description="Longest mask over time, in picture and sound alike.")
    frequency_mask_bins: int = Field(16, ge=0, le=79)
    wear_p: float = Field(0.6, ge=0, le=1, description="How often pictures are made worse: small, blurred, noisy, JPEG.")
    colour: float = Field(0.2, ge=0, le=1, description="Standard deviation of gain and offset of the picture.")
    room: float = Field(0.15, ge=0, le=1, description="Standard deviation of the sound's level in each mel bin.")

    validate_every: int = Field(100, ge=1, description="Steps between validations; each may be the last, and is where a run goes on.")
    patience: int = Field(8, ge=1, description="Validations without a better one before training stops.")

    @property
    def phases(self) -> list[tuple[Phase, int]]:
        """Phases in order, and their steps."""
        return [("au", self.au_steps), ("picture", self.picture_steps), ("whole", self.steps)]

    @property
    def total_steps(self) -> int:
        return sum(steps for _, steps in self.phases)

    def phase_of(self, step: int) -> tuple[Phase, int, int]:
        """(phase, its first step, its number of steps) of a step counted from 0; behind the end it is the last phase."""
        first = 0
        for phase, steps in self.phases[:-1]:
            if step < first + steps:
                return phase, first, steps
            first += steps
        return "whole", first, self.steps

    @model_validator(mode="after")
    def _fits(self) -> TrainParams:
        if self.crop_min > self.crop_max:
            raise ValueError(f"crop_min ({self.crop_min}) must not be above crop_max ({self.crop_max})")
        if not 0 < self.erase_area[0] <= self.erase_area[1] < 1:
            raise ValueError(f"erase_area is {list(self.erase_area)}; must be two shares, 0 < smallest <= largest < 1")
        if self.fau_features and self.network.get("fau_batch_stats"):
            raise ValueError(
                "network.fau_batch_stats changes the FAU encoder with every batch, fau_features needs it frozen; leave one out"
            )
        return self


# Research note, sections 2.8, 3.2, 3.4, 4 and 4.1 (learning rates for gradients that are clipped after unscaling).
_REFERENCE: dict[str, Any] = {
    "preset": "reference",
    "steps": 20_000,
    "au_steps": 0,
    "picture_steps": 0,
    "batch_clips": 32,
    "stretch_ticks": 25,
    "max_clips_per_identity": 0,
    "sampling": "uniform",
    "lr": 3e-5,
    "lr_backbone_factor": 1 / 3,
    "lr_head_factor": 10 / 3,
    "warmup_steps": 0,
    "weight_decay": 0.01,
    "loss_total": 0.8,
    "loss_visual": 0.1,
    "loss_audio": 0.1,
    "loss_evidence": 0.0,
    "loss_sync": 0.0,
    "loss_picture": 0.0,
    "crop_min": 0.875,  # 140 of 160 px
    "crop_max": 0.875,
    "crop_test": 0.875,
    "erase_p": 0.5,
    "erase_area": (0.02, 0.33),
    "time_mask_ticks": 11,
    "frequency_mask_bins": 26,
    "wear_p": 0.0,
    "colour": 0.0,
    "room": 0.0,
    "validate_every": 500,
}


def train_params(preset: str, given: dict[str, Any], source: str) -> TrainParams:
    """The preset's defaults with what was given on top.

    Raises:
        ParamsError: unknown key or value out of range; `source` says where it came from.
    """
    base = _REFERENCE if preset == "reference" else {"preset": preset}
    try:
        return TrainParams.model_validate(base | given)
    except ValidationError as error:
        raise ParamsError(f"{source}: {explain(error, TrainParams)}") from None
