"""Temporal attentional pooler: the 25 x 25 similarity matrices of a window (research note, section 2.6)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def similarity(rows: Tensor, columns: Tensor, temperature: Tensor | None = None) -> Tensor:
    """Cosine similarities of aligned features, every column scaled to unit length.

    Args:
        rows: (B, Q, dim), video for the inter-modal matrix.
        columns: (B, Q, dim), audio for the inter-modal matrix.
        temperature: (), the published network's learnt tau, as a logarithm. It changes nothing, for the scaling to unit
            length cancels it; the reference preset keeps it because its checkpoints have it.

    Returns:
        (B, Q, Q); the L2 norm over dim 1 is 1.
    """
    product = F.normalize(rows, dim=-1) @ F.normalize(columns, dim=-1).transpose(-1, -2)
    if temperature is not None:
        product = temperature.exp() * product
    return F.normalize(product, dim=1)


def off_diagonal_std(matrix: Tensor) -> Tensor:
    """(): deviation of the entries (B, Q, Q) off the diagonal, the mean over windows.

    Near zero the queries all read the same, every entry is 1 / sqrt(Q) and the loss stays at ln 2: the place where training
    from random weights starts (research note, section 4.1, point 6). To be logged.
    """
    off = ~torch.eye(matrix.shape[-1], dtype=torch.bool, device=matrix.device)
    return matrix[:, off].std(dim=1).mean()
