"""Loss: cross-entropies of the three heads, 0.8 total, 0.1 audio, 0.1 visual (research note, section 2.8)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

WEIGHTS = {"total": 0.8, "audio": 0.1, "visual": 0.1}


def three_head_loss(
    logits: Mapping[str, Tensor],
    labels: Mapping[str, Tensor],
    known: Mapping[str, Tensor] | None = None,
    weights: Mapping[str, float] = WEIGHTS,
) -> Tensor:
    """The published loss; for a head that can't know, nothing.

    Args:
        logits: (B, 2), real and fake, of each head of `weights`; a head that is not there adds nothing.
        labels: (B,) int64, 1 where fake, for the same heads.
        known: (B,) bool for some heads, False where the label is unknown or the modality is missing. A head's term is the
            mean over what it knows, and zero where that is nothing.
        weights: of the heads; the published ones unless given.

    Returns:
        () for the backward pass; ln 2 = 0.69 when the network says nothing, which is where it starts.
    """
    terms = []
    for head, weight in weights.items():
        if head not in logits:
            continue
        each = F.cross_entropy(logits[head], labels[head], reduction="none")  # (B,)
        sure = torch.ones_like(each, dtype=torch.bool) if known is None or head not in known else known[head]
        # `where`, not a product: an unknown sample may hold NaN, and NaN times zero is NaN.
        terms.append(weight * torch.where(sure, each, 0.0).sum() / sure.sum().clamp(min=1))
    if not terms:
        raise ValueError(f"no head to train: logits has {sorted(logits)}, must have some of {', '.join(weights)}")
    return torch.stack(terms).sum()
