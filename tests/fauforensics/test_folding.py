from __future__ import annotations

import pytest
import torch
from torch import nn

from fauforensics.encoders.csn import Stage, Stem
from fauforensics.encoders.resnet import FrozenFauEncoder
from fauforensics.folding import fold_norms


def learnt(module: nn.Module) -> nn.Module:
    """With batch norms that have seen something."""
    generator = torch.Generator().manual_seed(0)
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm2d, nn.BatchNorm3d)):
            part.running_mean.uniform_(-0.5, 0.5, generator=generator)
            part.running_var.uniform_(0.5, 2, generator=generator)
            nn.init.uniform_(part.weight, 0.5, 1.5, generator=generator)
            nn.init.uniform_(part.bias, -0.5, 0.5, generator=generator)
    return module.eval()


def norms(module: nn.Module) -> int:
    return sum(isinstance(part, (nn.BatchNorm2d, nn.BatchNorm3d)) for part in module.modules())


def test_folded_encoders_answer_the_same() -> None:
    torch.manual_seed(0)
    csn = learnt(nn.Sequential(Stem(), Stage(64, 16, 2, 1), Stage(64, 32, 2, 2)))
    trunk = learnt(FrozenFauEncoder(512, 32, batch_stats=False))
    video, frames = torch.randn(1, 3, 5, 32, 32), torch.randn(3, 3, 32, 32)
    with torch.inference_mode():
        before = csn(video), trunk.per_tick(frames)
        fold_norms(csn)
        fold_norms(trunk)
        assert norms(csn) == norms(trunk) == 0
        for now, then in zip((csn(video), trunk.per_tick(frames)), before, strict=True):
            torch.testing.assert_close(now, then, rtol=1e-4, atol=1e-4)


def test_a_network_that_learns_is_not_folded() -> None:
    with pytest.raises(ValueError, match="call eval"):
        fold_norms(Stem())
