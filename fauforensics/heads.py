"""Heads: one bias-free linear map for each question (research note, section 2.7)."""

from __future__ import annotations

from torch import Tensor, nn

REAL, FAKE = 0, 1


class Head(nn.Linear):
    """Logits (B, 2), real and fake, from a matrix (B, Q, Q)."""

    def __init__(self, slots: int) -> None:
        super().__init__(slots * slots, 2, bias=False)
        self.slots = slots

    def forward(self, matrix: Tensor) -> Tensor:
        return super().forward(matrix.flatten(-2))

    def contrast(self) -> Tensor:
        """(Q, Q): what each entry of the matrix adds to the fake logit over the real one."""
        return (self.weight[FAKE] - self.weight[REAL]).view(self.slots, self.slots)
