"""Temporal block: what a lite encoder knows of the neighbouring ticks."""

from __future__ import annotations

from torch import Tensor, nn


class TemporalBlock(nn.Module):
    """Residual depthwise-separable convolution over ticks; sees `kernel // 2` ticks to each side."""

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.depthwise = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim)
        self.mix = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, dim) to (B, T, dim)."""
        y = self.depthwise(self.norm(x).transpose(1, 2)).transpose(1, 2)
        return x + self.mix(y)
