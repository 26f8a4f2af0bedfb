"""Video encoder of the lite preset: a small picture network per tick, then a look at the neighbouring ticks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fauforensics.encoders.temporal import TemporalBlock
from fauforensics.norm import GainNorm


def _halved(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class LiteVideoEncoder(nn.Module):
    """Face crops to tokens.

    Args:
        dim: token width.
        width: channels after the first of four halvings of the picture; they double at each of the others.
        kernel: ticks seen by each of the two temporal blocks.
        px: side of the pictures, a multiple of 16.
    """

    def __init__(self, dim: int, width: int, kernel: int, px: int) -> None:
        super().__init__()
        # Full convolutions, not depthwise ones: a blend shows in how neighbouring pixels of all colours go together
        # (models/lite.md has the comparison).
        self.picture = nn.Sequential(
            _halved(3, width), _halved(width, 2 * width), _halved(2 * width, 4 * width), _halved(4 * width, 8 * width)
        )
        # Four halvings: 7 x 7 places remain of 112 x 112 pixels. They are projected before they are flattened: a mean
        # would forget where the mouth is.
        self.squeeze = nn.Conv2d(8 * width, 32, 1)
        self.project = nn.Linear(32 * (px // 16) ** 2, dim)
        self.time = nn.Sequential(TemporalBlock(dim, kernel), TemporalBlock(dim, kernel))
        self.norm = GainNorm(dim)

    def per_tick(self, crops: Tensor) -> Tensor:
        """crops (N, 3, px, px) in [-1, 1] to features (N, dim): the expensive part, which knows nothing of time."""
        features: Tensor = self.project(self.squeeze(self.picture(crops.contiguous(memory_format=torch.channels_last))).flatten(1))
        return features

    def over_time(self, features: Tensor) -> Tensor:
        """features (B, T, dim) to tokens (B, T, dim)."""
        tokens: Tensor = self.norm(self.time(features))
        return tokens

    def forward(self, crops: Tensor) -> Tensor:
        """crops (B, T, 3, px, px) in [-1, 1] to tokens (B, T, dim)."""
        return self.over_time(self.per_tick(crops.flatten(0, 1)).view(crops.shape[0], crops.shape[1], -1))
