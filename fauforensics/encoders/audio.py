"""Audio encoder of the lite preset: four mel hops to one token, then a look at the neighbouring ticks."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from fauforensics.encoders.temporal import TemporalBlock
from fauforensics.norm import GainNorm


class LiteAudioEncoder(nn.Module):
    """Log-mel to tokens.

    Args:
        dim: token width.
        num_mels: mel bins.
        kernel: ticks seen by each of the two temporal blocks.
    """

    def __init__(self, dim: int, num_mels: int, kernel: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(num_mels, dim, 3, 1, 1)
        self.conv2 = nn.Conv1d(dim, dim, 4, 4)  # four hops are one tick
        self.time = nn.Sequential(TemporalBlock(dim, kernel), TemporalBlock(dim, kernel))
        self.norm = GainNorm(dim)

    def forward(self, log_mel: Tensor) -> Tensor:
        """log_mel (B, 4 T, num_mels) in [-1, 1] to tokens (B, T, dim)."""
        x = F.gelu(self.conv1(log_mel.transpose(1, 2)))
        return self.norm(self.time(F.gelu(self.conv2(x)).transpose(1, 2)))
