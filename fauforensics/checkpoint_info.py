"""Checkpoint info: what a checkpoint says of itself, read without torch and without its weights."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors

from fauforensics.config import NetworkConfig, ReferenceConfig, config_from
from schemas.errors import CheckpointError

HEADS = ("total", "audio", "visual")
FORMAT = "fauscan.checkpoint.2"
ENTRY = "fauscan"
OWN_FAU = "own"
"""FAU backend of the reference preset: it reads action units off the pixels itself, and its checkpoint holds what reads them."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """From a logit to a probability, p = sigmoid(scale * logit + shift), and where labels change.

    Fitted on validation speakers, one line for each head: total, audio, visual.
    """

    scale: dict[str, float]
    shift: dict[str, float]
    fake_above: float
    real_below: float


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """Everything but the weights."""

    config: NetworkConfig | ReferenceConfig
    fau_backend: str
    training_data_digest: str
    calibration: Calibration
    sha256: str
    fau_features: str | None = None
    """The frozen network whose features a lite network was trained on, as `pipelines.features` names it."""


def read_info(path: Path) -> CheckpointInfo:
    """The metadata and the digest of the file.

    Raises:
        CheckpointError: missing, not safetensors, or not one of ours.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such weights file; score.weights in params.yaml names it")
    if path.suffix != ".safetensors":
        raise CheckpointError(f"{path}: weights must be a .safetensors file; pickles can run code and are not opened")
    try:
        with safetensors.safe_open(path, "np") as file:  # type: ignore[no-untyped-call]
            entry = (file.metadata() or {}).get(ENTRY)
        facts = {} if entry is None else json.loads(entry)
        if facts.get("format") != FORMAT:
            raise CheckpointError(f"{path}: not a FauScan checkpoint (format is {facts.get('format')!r}, must be {FORMAT!r})")
        with path.open("rb") as whole:
            sha256 = hashlib.file_digest(whole, "sha256").hexdigest()
        return CheckpointInfo(
            config=config_from(facts["config"]),
            fau_backend=facts["fau_backend"],
            training_data_digest=facts["training_data_digest"],
            calibration=_calibration(facts["calibration"]),
            sha256=sha256,
            fau_features=facts.get("fau_features"),
        )
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged or not a safetensors file ({error}); restore it with git or `fauscan init`") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its metadata is damaged ({error}); restore it with git or `fauscan init`") from None


def check_fits(path: Path, info: CheckpointInfo, preset: str, fau_backend: str) -> None:
    """Raises CheckpointError where a checkpoint is of another preset, or was trained on action units of another backend."""
    if info.config.preset != preset:
        raise CheckpointError(f"{path}: holds preset {info.config.preset!r}, but score.preset is {preset!r}")
    if info.fau_backend not in (fau_backend, OWN_FAU):
        raise CheckpointError(f"{path}: was trained on FAU backend {info.fau_backend!r}, but fau.backend is {fau_backend!r}")


def _calibration(raw: dict[str, Any]) -> Calibration:
    read = Calibration(**raw)
    numbers = [read.fake_above, read.real_below, *(table[head] for table in (read.scale, read.shift) for head in HEADS)]
    if not all(isinstance(n, (int, float)) and math.isfinite(n) for n in numbers):
        raise ValueError("calibration must be finite numbers")
    return read
