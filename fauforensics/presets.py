"""Presets: the sizes that a name stands for."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal, overload

from fauforensics.config import PRESETS, NetworkConfig, ReferenceConfig, config_from
from fauforensics.network import FauForensics
from fauforensics.reference import ReferenceFauForensics


def from_config(config: NetworkConfig | ReferenceConfig) -> FauForensics | ReferenceFauForensics:
    """A network of these sizes with fresh weights."""
    return FauForensics(config) if isinstance(config, NetworkConfig) else ReferenceFauForensics(config)


@overload
def build(preset: Literal["lite"], **overrides: Any) -> FauForensics: ...
@overload
def build(preset: Literal["reference"], **overrides: Any) -> ReferenceFauForensics: ...
@overload
def build(preset: str, **overrides: Any) -> FauForensics | ReferenceFauForensics: ...
def build(preset: str, **overrides: Any) -> FauForensics | ReferenceFauForensics:
    """A network with fresh weights.

    Args:
        preset: one of `PRESETS`.
        overrides: fields of the preset's config.

    Raises:
        ValueError: unknown preset or field.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset is {preset!r}; use one of {', '.join(PRESETS)}")
    fields = asdict(PRESETS[preset])
    if unknown := set(overrides) - set(fields):
        raise ValueError(f"{', '.join(sorted(unknown))}: not a size of the network; use one of {', '.join(sorted(fields))}")
    return from_config(config_from(fields | overrides))
