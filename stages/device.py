"""Device: where a stage's network runs."""

from __future__ import annotations

import torch

from schemas.errors import ParamsError


def resolve_device(wanted: str, parameter: str = "score.device") -> str:
    """`auto` is cuda where there is one.

    Raises:
        ParamsError: `cuda` is asked for and not there; the message names the parameter.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ParamsError(f"{parameter} is 'cuda', but this machine has no usable GPU; use 'auto' or 'cpu'")
    return ("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted
