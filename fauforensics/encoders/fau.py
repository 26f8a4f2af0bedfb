"""FAU encoder of the lite preset: action units of a tick and its neighbours."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fauforensics.encoders.temporal import TemporalBlock
from fauforensics.norm import GainNorm


class LiteFauEncoder(nn.Module):
    """Twenty action units to tokens; an action unit that is unknown is told apart from one that is zero.

    Args:
        dim: token width.
        num_aus: action units.
        kernel: ticks seen by each of the two temporal blocks.
        num_features: of a frozen FAU network, which come behind the action units.
    """

    def __init__(self, dim: int, num_aus: int, kernel: int, num_features: int = 0) -> None:
        super().__init__()
        self._num_aus = num_aus
        self.project = nn.Sequential(nn.Linear(2 * num_aus, dim), nn.GELU(), nn.Linear(dim, dim))
        if num_features:  # of any scale; the norm comes first
            self.project_features = nn.Sequential(nn.LayerNorm(num_features), nn.Linear(num_features, dim))
        self.time = nn.Sequential(TemporalBlock(dim, kernel), TemporalBlock(dim, kernel))
        self.norm = GainNorm(dim)

    def forward(self, aus: Tensor) -> Tensor:
        """aus (B, T, num_aus + num_features), NaN where unknown, to tokens (B, T, dim); action units are in [0, 1]."""
        units, features = aus[..., : self._num_aus], aus[..., self._num_aus :]
        known = ~units.isnan()
        x: Tensor = self.project(torch.cat([units.nan_to_num(0.0), known.to(aus.dtype)], dim=-1))
        if features.shape[-1]:
            there = ~features.isnan().any(-1, keepdim=True)
            x = x + self.project_features(features.nan_to_num(0.0)) * there
        return self.norm(self.time(x))
