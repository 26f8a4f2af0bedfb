"""Video encoder of the reference preset: channel-separated ResNet3D-101 (CSN) that keeps every frame (research note, section 2.2)."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fauforensics.norm import GainNorm

_BLOCKS = (3, 4, 23, 3)
_WIDTHS = (64, 128, 256, 512)  # of the depthwise convolution; four times as many leave the stage


class Stem(nn.Module):
    """Convolution and pool: (B, 3, T, 112, 112) to (B, 64, T, 28, 28)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 64, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False)
        self.norm = nn.BatchNorm3d(64)
        self.pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.pool(F.relu(self.norm(self.conv(x)), inplace=True))
        return pooled


class Separated(nn.Module):
    """Channels, then space and time channel by channel, then channels; the sum with the input.

    Temporal stride 1 everywhere. The Kinetics network halves time three times, with the same weights.
    """

    def __init__(self, inputs: int, width: int, spatial_stride: int) -> None:
        super().__init__()
        outputs, stride = 4 * width, (1, spatial_stride, spatial_stride)
        self.branch1_conv: nn.Module = nn.Identity()
        self.branch1_norm: nn.Module = nn.Identity()
        if inputs != outputs:
            self.branch1_conv, self.branch1_norm = nn.Conv3d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm3d(outputs)
        self.branch2 = nn.Sequential(
            OrderedDict(
                conv_a=nn.Conv3d(inputs, width, 1, bias=False),
                norm_a=nn.BatchNorm3d(width),
                act_a=nn.ReLU(inplace=True),
                conv_b=nn.Conv3d(width, width, 3, stride, 1, groups=width, bias=False),
                norm_b=nn.BatchNorm3d(width),
                act_b=nn.ReLU(inplace=True),
                conv_c=nn.Conv3d(width, outputs, 1, bias=False),
                norm_c=nn.BatchNorm3d(outputs),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch1_norm(self.branch1_conv(x)) + self.branch2(x), inplace=True)


class Stage(nn.Module):
    """Blocks of one width; the first halves the picture where the stage does."""

    def __init__(self, inputs: int, width: int, blocks: int, spatial_stride: int) -> None:
        super().__init__()
        first = Separated(inputs, width, spatial_stride)
        self.res_blocks = nn.Sequential(first, *(Separated(4 * width, width, 1) for _ in range(blocks - 1)))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.res_blocks(x)
        return y


class CsnVideoEncoder(nn.Module):
    """Z_vid = LN_gamma(W_v CSN(X_v)): a second of face to one token a frame.

    Args:
        dim: token width.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        inputs = [64, *(4 * width for width in _WIDTHS)]
        strides = (1, 2, 2, 2)
        stages = [Stage(*sizes) for sizes in zip(inputs, _WIDTHS, _BLOCKS, strides, strict=False)]
        self.blocks = nn.Sequential(Stem(), *stages)  # 28, 28, 14, 7, 4 places to a side; T frames throughout
        self.project = nn.Linear(inputs[-1], dim, bias=False)
        self.norm = GainNorm(dim)

    def forward(self, video: Tensor) -> Tensor:
        """video (B, 3, T, 112, 112) to tokens (B, T, dim)."""
        features = self.blocks(video.contiguous(memory_format=torch.channels_last_3d)).mean((-2, -1))  # (B, 2048, T)
        tokens: Tensor = self.norm(self.project(features.transpose(1, 2)))
        return tokens
