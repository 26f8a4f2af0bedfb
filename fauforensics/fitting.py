"""Fitting: whether tensors from a file are exactly those that a module wants, by name and by shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from schemas.errors import CheckpointError

_NAMED = 3


def load_fitting(module: nn.Module, state: Mapping[str, Tensor], source: str, theirs: Callable[[str], str] = str) -> None:
    """Copies tensors into a module, all of them or none.

    Args:
        module: gets the weights.
        state: the file's tensors, by the file's names.
        source: what to call the file in a message.
        theirs: from the module's name of a tensor to the file's.

    Raises:
        CheckpointError: names that are missing, unexpected, of another shape, or hold NaN or infinity, a few of each and how many.
    """
    own = module.state_dict()
    wanted = {theirs(name): tensor.shape for name, tensor in own.items()}
    shared = [name for name in wanted if name in state]
    faults = {
        "missing": [name for name in wanted if name not in state],
        "unexpected": [name for name in state if name not in wanted],
        "of another shape": [
            f"{name} {tuple(state[name].shape)} instead of {tuple(wanted[name])}" for name in shared if state[name].shape != wanted[name]
        ],
        "hold NaN or infinity": [name for name in shared if not torch.isfinite(state[name]).all()],
    }
    if found := [_some(kind, names) for kind, names in faults.items() if names]:
        raise CheckpointError(f"{source}: weights do not fit: {'; '.join(found)}")
    module.load_state_dict({name: state[theirs(name)] for name in own})


def _some(kind: str, names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} {kind} ({', '.join(names[:_NAMED])}{more})"
