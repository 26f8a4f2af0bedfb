"""Evidence: how much each tick of a window moved its logit. An exact split, because the heads are linear."""

from __future__ import annotations

import torch
from torch import Tensor


def split_logit(contrast: Tensor, matrix: Tensor, row_attention: Tensor, column_attention: Tensor) -> Tensor:
    """Splits logit_fake - logit_real over the ticks of a window.

    e_t = sum_ij contrast_ij M_ij (A_row_it + A_col_jt) / 2: each entry of the matrix is shared out to the ticks that
    its row slot and its column slot read, half and half. Rows of A sum to 1, so the shares sum to the logit
    (docs/labels.md).

    Args:
        contrast: (Q, Q), weight of fake minus weight of real.
        matrix: (B, Q, Q).
        row_attention: (B, Q, T) of the modality on the rows.
        column_attention: (B, Q, T) of the modality on the columns; the same one for an intra-modal head.

    Returns:
        (B, T).
    """
    shares = contrast * matrix  # (B, Q, Q)
    by_row = torch.einsum("bi,bit->bt", shares.sum(2), row_attention)
    by_column = torch.einsum("bj,bjt->bt", shares.sum(1), column_attention)
    return (by_row + by_column) / 2
