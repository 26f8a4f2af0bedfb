"""Presets: the sizes that a name stands for."""

from __future__ import annotations

from typing import Any

from fauforensics.network import FauForensics, NetworkConfig

PRESETS: dict[str, NetworkConfig] = {"lite": NetworkConfig()}


def build(preset: str, **overrides: Any) -> FauForensics:
    """A network with fresh weights.

    Args:
        preset: one of `PRESETS`.
        overrides: fields of `NetworkConfig`.

    Raises:
        ValueError: unknown preset or field.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset is {preset!r}; use one of {', '.join(PRESETS)}")
    known = set(NetworkConfig.__dataclass_fields__)
    if unknown := set(overrides) - known:
        raise ValueError(f"{', '.join(sorted(unknown))}: not a size of the network; use one of {', '.join(sorted(known))}")
    base = PRESETS[preset]
    return FauForensics(NetworkConfig(**{name: overrides.get(name, getattr(base, name)) for name in known}))
