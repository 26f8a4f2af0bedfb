"""Batches: forward passes over as many items as the device's memory holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

_R = TypeVar("_R")


class Batches:
    """A batch size that halves when a forward pass runs out of the device's memory, and stays there for this worker's life.

    It never grows again: who else sits on the device is not known, and every attempt costs a batch.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def over(self, length: int, forward: Callable[[slice], _R]) -> list[_R]:
        """Answers of `forward` on one part of [0, length) after the other. It is asked again about a part that did not fit.

        Raises:
            torch.OutOfMemoryError: one item alone does not fit.
        """
        answers: list[_R] = []
        start = 0
        while start < length:
            part = slice(start, min(start + self.size, length))
            try:
                answers.append(forward(part))
            except torch.OutOfMemoryError:
                if part.stop - part.start == 1:
                    raise
            else:
                start = part.stop
                continue
            # Only here, behind the handler: until then the traceback holds the tensors of the pass that failed.
            self.size = (part.stop - part.start) // 2
            torch.cuda.empty_cache()
        return answers
