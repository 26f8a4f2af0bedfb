"""The FauForensics network: encoders, aligner, pooler, heads, presets, checkpoints. torch only, no Arrow, no files but checkpoints."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fauforensics import frontend
    from fauforensics.checkpoint import load_checkpoint, save_checkpoint
    from fauforensics.network import FauForensics
    from fauforensics.presets import build
    from fauforensics.reference import ReferenceFauForensics

__all__ = ["FauForensics", "ReferenceFauForensics", "build", "frontend", "load_checkpoint", "save_checkpoint"]

_HOMES = {
    "FauForensics": "network",
    "ReferenceFauForensics": "reference",
    "build": "presets",
    "load_checkpoint": "checkpoint",
    "save_checkpoint": "checkpoint",
}


def __getattr__(name: str) -> Any:
    # torch takes seconds to import; whoever only reads a checkpoint's metadata does not wait for it.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOMES.get(name, name)}")
    return getattr(module, name) if name in _HOMES else module
