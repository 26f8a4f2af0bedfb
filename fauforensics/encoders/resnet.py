"""FAU encoder of the reference preset: ME-GraphAU's frozen ResNet-50 trunk, without its graph (research note, section 2.1)."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fauforensics.norm import GainNorm

_BLOCKS = (3, 4, 6, 3)
_EXPANSION = 4


class Bottleneck(nn.Module):
    """1x1 down, 3x3, 1x1 up, plus the input; the 3x3 carries the stride."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * _EXPANSION
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x), inplace=True)


def _layer(inputs: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    first = Bottleneck(inputs, width, stride)
    return nn.Sequential(first, *(Bottleneck(width * _EXPANSION, width, 1) for _ in range(blocks - 1)))


def resnet50_trunk() -> nn.Sequential:
    """ResNet-50 without its pool and classifier: (N, 3, 112, 112) to (N, 2048, 4, 4)."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 64, 7, 2, 3, bias=False),
            bn1=nn.BatchNorm2d(64),
            relu=nn.ReLU(inplace=True),
            maxpool=nn.MaxPool2d(3, 2, 1),
            layer1=_layer(64, 64, _BLOCKS[0], 1),
            layer2=_layer(256, 128, _BLOCKS[1], 2),
            layer3=_layer(512, 256, _BLOCKS[2], 2),
            layer4=_layer(1024, 512, _BLOCKS[3], 2),
        )
    )


class GlobalLinear(nn.Module):
    """Linear, batch norm, ReLU at each place of the picture."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.fc, self.bn = nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(N, P, inputs) to (N, P, outputs)."""
        return F.relu(self.bn(self.fc(x).transpose(1, 2)), inplace=True).transpose(1, 2)


class FrozenFauEncoder(nn.Module):
    """Z_au: what a face does in each frame, seen by a network trained on action units.

    Only the norm at the end trains. The trunk has no gradient and stays in eval mode whatever mode the network is put in:
    the published code lets its batch norms use, and drift with, the batches of the detector's training (section 4.1, point 2).

    Args:
        dim: token width.
        input_px: side to which frames are enlarged; 224 for public weights that were trained at 224, about four times the cost.
        batch_stats: the published behaviour instead, to reproduce its training.
    """

    def __init__(self, dim: int, input_px: int, batch_stats: bool) -> None:
        super().__init__()
        self.input_px, self.batch_stats = input_px, batch_stats
        self.backbone, self.global_linear = resnet50_trunk(), GlobalLinear(2048, dim)
        self.norm = GainNorm(dim)
        self.backbone.requires_grad_(False)
        self.global_linear.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> FrozenFauEncoder:
        super().train(mode)
        self.backbone.train(mode and self.batch_stats)
        self.global_linear.train(mode and self.batch_stats)
        return self

    def features(self, frames: Tensor) -> Tensor:
        """frames (N, 3, 112, 112) to (N, dim), before the norm: what no training changes, and what may be kept."""
        if frames.shape[-1] != self.input_px:
            frames = F.interpolate(frames, size=(self.input_px, self.input_px), mode="bilinear", align_corners=False)
        places = self.backbone(frames.contiguous(memory_format=torch.channels_last)).flatten(2).transpose(1, 2)  # (N, 16, 2048)
        found: Tensor = self.global_linear(places).mean(1)
        return found

    def per_tick(self, frames: Tensor) -> Tensor:
        """frames (N, 3, 112, 112) to tokens (N, dim). Knows nothing of time: once a tick is enough, whatever the stride."""
        tokens: Tensor = self.norm(self.features(frames))
        return tokens

    def forward(self, video: Tensor) -> Tensor:
        """video (B, 3, T, 112, 112) to tokens (B, T, dim)."""
        return self.per_tick(video.transpose(1, 2).flatten(0, 1)).view(video.shape[0], video.shape[2], -1)
