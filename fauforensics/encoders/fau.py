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
    """

    def __init__(self, dim: int, num_aus: int, kernel: int) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(2 * num_aus, dim), nn.GELU(), nn.Linear(dim, dim))
        self.time = nn.Sequential(TemporalBlock(dim, kernel), TemporalBlock(dim, kernel))
        self.norm = GainNorm(dim)

    def forward(self, aus: Tensor) -> Tensor:
        """aus (B, T, num_aus) in [0, 1], NaN where unknown, to tokens (B, T, dim)."""
        known = ~aus.isnan()
        x = torch.cat([aus.nan_to_num(0.0), known.to(aus.dtype)], dim=-1)
        return self.norm(self.time(self.project(x)))
