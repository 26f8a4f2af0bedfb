"""Audio encoder of the reference preset: Whisper-base's encoder, its context cut to one second (research note, section 2.4)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_MAX_TIMESCALE = 10_000


def sinusoids(length: int, dim: int) -> Tensor:
    """(length, dim): Whisper's fixed positions, sines then cosines of ever slower waves."""
    rates = torch.exp(-math.log(_MAX_TIMESCALE) / (dim // 2 - 1) * torch.arange(dim // 2))  # (dim / 2,)
    angles = torch.arange(length)[:, None] * rates  # (length, dim / 2)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class SelfAttention(nn.Module):
    """Every token reads every token; Whisper's keys have no bias."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(dim, dim), nn.Linear(dim, dim, bias=False)
        self.value, self.out = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, S, dim) to (B, S, dim)."""
        q, k, v = (part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value))  # (B, H, S, d)
        read: Tensor = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2))
        return read


class Block(nn.Module):
    """Attention and MLP, each on the normed stream and added back to it."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attn, self.attn_ln = SelfAttention(dim, heads), nn.LayerNorm(dim)
        self.mlp, self.mlp_ln = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)), nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.attn_ln(x))
        return x + self.mlp(self.mlp_ln(x))


class WhisperAudioEncoder(nn.Module):
    """Z_a: a second of sound to one token a tick. No projection and no further norm.

    Args:
        dim: token width.
        num_mels: mel bins.
        hops: mel frames of the window, four a tick.
    """

    positional_embedding: Tensor

    def __init__(self, dim: int, num_mels: int, hops: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(num_mels, dim, 3, 1, 1)
        self.conv2 = nn.Conv1d(dim, dim, 3, 2, 1)
        self.register_buffer("positional_embedding", sinusoids(hops // 2, dim))  # the first 50 of Whisper's 1500
        self.blocks = nn.Sequential(*(Block(dim, heads=8) for _ in range(6)))
        self.ln_post = nn.LayerNorm(dim)

    def forward(self, log_mel: Tensor) -> Tensor:
        """log_mel (B, 1, 100, 80) in [-1, 1] to tokens (B, 25, dim)."""
        x = F.gelu(self.conv1(log_mel.squeeze(1).transpose(1, 2)))  # (B, dim, 100)
        x = F.gelu(self.conv2(x)).transpose(1, 2) + self.positional_embedding  # (B, 50, dim)
        x = self.ln_post(self.blocks(x))
        return x.unflatten(1, (-1, 2)).mean(2)  # the mean of each pair: 50 tokens to 25
