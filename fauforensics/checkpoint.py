"""Checkpoints: safetensors with the facts that make a score reproducible in the file's own metadata."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save_file

from fauforensics.network import FauForensics, NetworkConfig
from schemas.errors import CheckpointError

HEADS = ("total", "audio", "visual")
FORMAT = "fauscan.checkpoint.1"


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

    config: NetworkConfig
    fau_backend: str
    training_data_digest: str
    calibration: Calibration
    sha256: str


def save_checkpoint(path: Path, net: FauForensics, fau_backend: str, training_data_digest: str, calibration: Calibration) -> None:
    """Writes weights and metadata to a `.safetensors` file."""
    metadata = {
        "format": FORMAT,
        "preset": net.config.preset,
        "config": json.dumps(asdict(net.config), sort_keys=True),
        "fau_backend": fau_backend,
        "training_data_digest": training_data_digest,
        "calibration": json.dumps(asdict(calibration), sort_keys=True),
    }
    save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, path, metadata)


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
        with safetensors.safe_open(path, "pt") as file:  # type: ignore[no-untyped-call]
            metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT:
            raise CheckpointError(f"{path}: not a FauScan checkpoint (format is {metadata.get('format')!r}, must be {FORMAT!r})")
        return CheckpointInfo(
            config=NetworkConfig(**json.loads(metadata["config"])),
            fau_backend=metadata["fau_backend"],
            training_data_digest=metadata["training_data_digest"],
            calibration=_calibration(json.loads(metadata["calibration"])),
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        )
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged or not a safetensors file ({error}); restore it with git or `fauscan init`") from None
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its metadata is damaged ({error}); restore it with git or `fauscan init`") from None


def _calibration(raw: dict[str, Any]) -> Calibration:
    read = Calibration(**raw)
    numbers = [read.fake_above, read.real_below, *(table[head] for table in (read.scale, read.shift) for head in HEADS)]
    if not all(isinstance(n, (int, float)) and math.isfinite(n) for n in numbers):
        raise ValueError("calibration must be finite numbers")
    return read


def load_checkpoint(path: Path, preset: str, fau_backend: str) -> tuple[FauForensics, CheckpointInfo]:
    """A network in eval mode, and its metadata.

    Args:
        path: a `.safetensors` file that `save_checkpoint` wrote.
        preset: the preset that the caller wants.
        fau_backend: the backend that made the action units to be scored.

    Raises:
        CheckpointError: unreadable, another preset, trained on another FAU backend, or weights that do not fit.
    """
    info = read_info(path)
    if info.config.preset != preset:
        raise CheckpointError(f"{path}: holds preset {info.config.preset!r}, but score.preset is {preset!r}")
    if info.fau_backend != fau_backend:
        raise CheckpointError(f"{path}: was trained on FAU backend {info.fau_backend!r}, but fau.backend is {fau_backend!r}")
    net = FauForensics(info.config)
    with safetensors.safe_open(path, "pt") as file:  # type: ignore[no-untyped-call]
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - safe_open is no mapping
    if bad := [name for name, tensor in state.items() if not torch.isfinite(tensor).all()]:
        raise CheckpointError(f"{path}: {bad[0]} and {len(bad) - 1} other tensors hold NaN or infinity; the training went wrong")
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: weights do not fit preset {preset!r}: {' '.join(str(error).split())[:300]}") from None
    return net.eval(), info
