"""Config: the sizes of each preset. Free of torch, as whoever only reads a checkpoint's metadata must not wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Sizes of the lite preset; stored with its weights."""

    preset: Literal["lite"] = "lite"
    dim: int = 128
    heads: int = 4
    head_dim: int = 32
    window_ticks: int = 25
    video_width: int = 16
    crop_px: int = 112
    kernel: int = 5
    num_aus: int = 20
    num_mels: int = 80
    num_features: int = 0
    """Of a frozen FAU network, beside the action units; 0 does without."""


@dataclass(frozen=True, slots=True)
class ReferenceConfig:
    """What the paper leaves open; its sizes are fixed. Stored with the weights.

    fau_input_px: 224 enlarges frames before the FAU encoder, for public weights that were trained at 224.
    fau_batch_stats: in training the FAU encoder's batch norms use and follow the batch, as in the published code.
    """

    preset: Literal["reference"] = "reference"
    fau_input_px: int = 112
    fau_batch_stats: bool = False


PRESETS: dict[str, NetworkConfig | ReferenceConfig] = {"lite": NetworkConfig(), "reference": ReferenceConfig()}


def config_from(fields: dict[str, Any]) -> NetworkConfig | ReferenceConfig:
    """The config that `asdict` made these fields of.

    Raises:
        KeyError: unknown preset.
        TypeError: unknown field.
    """
    return type(PRESETS[fields["preset"]])(**fields)
