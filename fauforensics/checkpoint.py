"""Checkpoints: safetensors with the facts that make a score reproducible in the file's own metadata."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, overload

import safetensors
from safetensors.torch import save

from fauforensics.fitting import load_fitting
from fauforensics.network import FauForensics, NetworkConfig
from fauforensics.presets import config_from, from_config
from fauforensics.reference import ReferenceConfig, ReferenceFauForensics
from schemas.errors import CheckpointError

HEADS = ("total", "audio", "visual")
FORMAT = "fauscan.checkpoint.2"
_ENTRY = "fauscan"
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


def save_checkpoint(
    path: Path, net: FauForensics | ReferenceFauForensics, fau_backend: str, training_data_digest: str, calibration: Calibration
) -> None:
    """Writes weights and metadata to a `.safetensors` file.

    Args:
        path: the file.
        net: either preset.
        fau_backend: what made the action units that it was trained on; `OWN_FAU` for the reference preset, which sees none.
        training_data_digest: of the clips.
        calibration: of the three heads.
    """
    if (net.config.preset == "reference") != (fau_backend == OWN_FAU):
        raise ValueError(f"fau_backend is {fau_backend!r}; it must be {OWN_FAU!r} for preset 'reference', and only for it")
    facts = {
        "format": FORMAT,
        "preset": net.config.preset,
        "config": asdict(net.config),
        "fau_backend": fau_backend,
        "training_data_digest": training_data_digest,
        "calibration": asdict(calibration),
    }
    # One entry: safetensors writes several in any order, and equal networks should be equal files.
    metadata = {_ENTRY: json.dumps(facts, sort_keys=True)}
    # safetensors' own writer gives the file to its owner alone.
    path.write_bytes(save({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, metadata))


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
            entry = (file.metadata() or {}).get(_ENTRY)
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
        )
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged or not a safetensors file ({error}); restore it with git or `fauscan init`") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its metadata is damaged ({error}); restore it with git or `fauscan init`") from None


def _calibration(raw: dict[str, Any]) -> Calibration:
    read = Calibration(**raw)
    numbers = [read.fake_above, read.real_below, *(table[head] for table in (read.scale, read.shift) for head in HEADS)]
    if not all(isinstance(n, (int, float)) and math.isfinite(n) for n in numbers):
        raise ValueError("calibration must be finite numbers")
    return read


@overload
def load_checkpoint(path: Path, preset: Literal["lite"], fau_backend: str) -> tuple[FauForensics, CheckpointInfo]: ...
@overload
def load_checkpoint(path: Path, preset: Literal["reference"], fau_backend: str) -> tuple[ReferenceFauForensics, CheckpointInfo]: ...
@overload
def load_checkpoint(path: Path, preset: str, fau_backend: str) -> tuple[FauForensics | ReferenceFauForensics, CheckpointInfo]: ...
def load_checkpoint(path: Path, preset: str, fau_backend: str) -> tuple[FauForensics | ReferenceFauForensics, CheckpointInfo]:
    """A network in eval mode, and its metadata.

    Args:
        path: a `.safetensors` file that `save_checkpoint` wrote.
        preset: the preset that the caller wants.
        fau_backend: the backend that made the action units to be scored; any will do for the reference preset, which sees none.

    Raises:
        CheckpointError: unreadable, another preset, trained on another FAU backend, or weights that do not fit.
    """
    info = read_info(path)
    if info.config.preset != preset:
        raise CheckpointError(f"{path}: holds preset {info.config.preset!r}, but score.preset is {preset!r}")
    if info.fau_backend not in (fau_backend, OWN_FAU):
        raise CheckpointError(f"{path}: was trained on FAU backend {info.fau_backend!r}, but fau.backend is {fau_backend!r}")
    net = from_config(info.config)
    with safetensors.safe_open(path, "pt") as file:  # type: ignore[no-untyped-call]
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - safe_open is no mapping
    load_fitting(net, state, str(path))
    return net.eval(), info
