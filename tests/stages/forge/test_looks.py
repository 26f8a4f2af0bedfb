from __future__ import annotations

import numpy as np

from stages.forge.looks import group_looks


def _unit(*rows: tuple[float, ...]) -> np.ndarray:
    array = np.array(rows, np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def test_chains_are_one_person() -> None:
    looks = _unit((1, 0), (1, 0.5), (1, 1), (-1, 0.2))
    assert group_looks(looks, 0.85) == [0, 0, 0, 3]


def test_nobody_is_nobody() -> None:
    assert group_looks(np.zeros((0, 4), np.float32), 0.8) == []
