"""Checkpoints: safetensors with the facts that make a score reproducible in the file's own metadata."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Literal, overload

import safetensors
from safetensors.torch import save

from fauforensics.checkpoint_info import ENTRY, FORMAT, OWN_FAU, Calibration, CheckpointInfo, check_fits, read_info
from fauforensics.fitting import load_fitting
from fauforensics.network import FauForensics
from fauforensics.presets import from_config
from fauforensics.reference import ReferenceFauForensics


def save_checkpoint(
    path: Path,
    net: FauForensics | ReferenceFauForensics,
    fau_backend: str,
    training_data_digest: str,
    calibration: Calibration,
    fau_features: str | None = None,
) -> None:
    """Writes weights and metadata to a `.safetensors` file.

    Args:
        path: the file.
        net: either preset.
        fau_backend: what made the action units that it was trained on; `OWN_FAU` for the reference preset, which sees none.
        training_data_digest: of the clips.
        calibration: of the three heads.
        fau_features: the frozen network whose features it was trained on; for a lite network that reads any.
    """
    if (net.config.preset == "lite" and net.config.num_features > 0) != (fau_features is not None):
        raise ValueError(f"fau_features is {fau_features!r}; a network that reads features names their source, and no other does")
    if (net.config.preset == "reference") != (fau_backend == OWN_FAU):
        raise ValueError(f"fau_backend is {fau_backend!r}; it must be {OWN_FAU!r} for preset 'reference', and only for it")
    facts = {
        "format": FORMAT,
        "preset": net.config.preset,
        "config": asdict(net.config),
        "fau_backend": fau_backend,
        "training_data_digest": training_data_digest,
        "calibration": asdict(calibration),
        "fau_features": fau_features,
    }
    # One entry: safetensors writes several in any order, and equal networks should be equal files.
    metadata = {ENTRY: json.dumps(facts, sort_keys=True)}
    # safetensors' own writer gives the file to its owner alone.
    path.write_bytes(save({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, metadata))


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
    check_fits(path, info, preset, fau_backend)
    net = from_config(info.config)
    with safetensors.safe_open(path, "pt") as file:  # type: ignore[no-untyped-call]
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - safe_open is no mapping
    load_fitting(net, state, str(path))
    return net.eval(), info
