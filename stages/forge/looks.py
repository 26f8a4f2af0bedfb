"""Looks: which clips show the same person, from likeness alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def group_looks(looks: NDArray[np.float32], same_look: float) -> list[int]:
    """Groups clips by single linkage: two clips above the threshold are one person, and so is everybody in between.

    Merging two people costs variety; tearing one person apart would put the same face into training and test. So the
    threshold is low, and chains are allowed.

    Args:
        looks: (N, D) unit vectors.
        same_look: cosine above which two are the same.

    Returns:
        (N,) group of each clip: the index of its first member.
    """
    parent = list(range(len(looks)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    likeness = looks @ looks.T if len(looks) else np.zeros((0, 0))
    for i, j in np.argwhere(np.triu(likeness > same_look, 1)).tolist():
        a, b = sorted((root(i), root(j)))
        parent[b] = a
    return [root(i) for i in range(len(looks))]
