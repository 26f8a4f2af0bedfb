"""Trunk: the frozen FAU encoder by itself, out of a reference checkpoint or a public file, and the digest that names it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import safetensors
from torch import nn

from fauforensics.checkpoint_info import read_info
from fauforensics.config import ReferenceConfig
from fauforensics.encoders.resnet import FrozenFauEncoder
from fauforensics.fitting import load_fitting
from fauforensics.pretrained import load_fau_encoder
from fauforensics.reference import DIM
from schemas.errors import CheckpointError

_INSIDE = "fau_encoder."


def load_trunk(path: Path, input_px: int) -> FrozenFauEncoder:
    """In eval mode. Its norm, which trains, is that of the checkpoint, or fresh.

    Args:
        path: a reference checkpoint of ours (`.safetensors`), or ME-GraphAU's or OpenGraphAU's own file.
        input_px: side to which frames are enlarged, for a public file; a checkpoint knows its own.

    Raises:
        CheckpointError: missing, damaged, or holds something else.
    """
    if path.suffix != ".safetensors":
        trunk = FrozenFauEncoder(DIM, input_px, batch_stats=False)
        load_fau_encoder(trunk, path)
        return trunk.eval()
    config = read_info(path).config
    if not isinstance(config, ReferenceConfig):
        raise CheckpointError(f"{path}: holds preset {config.preset!r}, which has no frozen FAU encoder; give a reference checkpoint")
    trunk = FrozenFauEncoder(DIM, config.fau_input_px, config.fau_batch_stats)
    with safetensors.safe_open(path, "pt") as file:  # type: ignore[no-untyped-call]
        inside = [name for name in file.keys() if name.startswith(_INSIDE)]  # noqa: SIM118 - safe_open is no mapping
        state = {name.removeprefix(_INSIDE): file.get_tensor(name) for name in inside}
    load_fitting(trunk, state, str(path))
    return trunk.eval()


def trunk_digest(trunk: FrozenFauEncoder) -> str:
    """12 hex digits of all that decides its features: equal in every checkpoint that was trained from the same public file."""
    found = hashlib.blake2b(f"{trunk.input_px}".encode(), digest_size=6)
    parts: tuple[tuple[str, nn.Module], ...] = (("backbone", trunk.backbone), ("global_linear", trunk.global_linear))
    for part, module in parts:
        for name, tensor in sorted(module.state_dict().items()):
            if not name.endswith("num_batches_tracked"):
                found.update(f"{part}.{name}".encode() + tensor.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
