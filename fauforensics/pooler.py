"""Temporal attentional pooler: the 25 x 25 similarity matrices of a window (research note, section 2.6)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def similarity(rows: Tensor, columns: Tensor) -> Tensor:
    """Cosine similarities of aligned features, every column scaled to unit length.

    The published network multiplies by a learnt temperature first; the scaling to unit length cancels it, so it is
    left out here.

    Args:
        rows: (B, Q, dim), video for the inter-modal matrix.
        columns: (B, Q, dim), audio for the inter-modal matrix.

    Returns:
        (B, Q, Q); the L2 norm over dim 1 is 1.
    """
    product = F.normalize(rows, dim=-1) @ F.normalize(columns, dim=-1).transpose(-1, -2)
    return F.normalize(product, dim=1)
