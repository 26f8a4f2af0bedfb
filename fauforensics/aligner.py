"""Aligner: learnable queries, shared by both modalities, read the tokens of one (research note, section 2.5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fauforensics.norm import GainNorm


class QueryAligner(nn.Module):
    """Multi-query cross-attention of one modality: many query heads, one key head and one value head.

    No bias, no residual, no feed-forward, no dropout, no mask.

    Args:
        dim: width of tokens and queries.
        heads: query heads.
        head_dim: width of each head, and of the single key and value.
    """

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads, self.head_dim = heads, head_dim
        self.query_norm = GainNorm(dim)
        self.token_norm = GainNorm(dim)
        self.to_q = nn.Linear(dim, heads * head_dim, bias=False)
        self.to_kv = nn.Linear(dim, 2 * head_dim, bias=False)
        self.to_out = nn.Linear(heads * head_dim, dim, bias=False)
        self.out_norm = GainNorm(dim)

    def forward(self, queries: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Aligned features and who read what.

        Args:
            queries: (Q, dim).
            tokens: (B, T, dim).

        Returns:
            aligned (B, Q, dim), and attention (B, Q, T): the mean over heads, rows summing to 1.
        """
        q = self.to_q(self.query_norm(queries)).unflatten(-1, (self.heads, self.head_dim)) / self.head_dim**0.5  # (Q, H, d)
        k, v = self.to_kv(self.token_norm(tokens)).chunk(2, dim=-1)  # (B, T, d) each
        weights = torch.einsum("qhd,btd->bhqt", q, k).softmax(dim=-1)  # (B, H, Q, T)
        read = torch.einsum("bhqt,btd->bqhd", weights, v).flatten(-2)  # (B, Q, H*d)
        return self.out_norm(self.to_out(read)), weights.mean(1)
