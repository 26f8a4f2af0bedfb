from __future__ import annotations

import numpy as np

from stages.face.cuts import CutDetector


def test_a_new_picture_is_a_cut_and_a_moving_one_is_not() -> None:
    rng = np.random.default_rng(0)
    first = np.kron(rng.integers(0, 120, (12, 16, 3), dtype=np.uint8), np.ones((30, 30, 1), np.uint8))
    other = np.kron(rng.integers(130, 255, (12, 16, 3), dtype=np.uint8), np.ones((30, 30, 1), np.uint8))
    is_cut = CutDetector(0.5)
    assert [is_cut(p) for p in (first, np.roll(first, 5, 1), np.roll(first, 9, 0), other, other)] == [False, False, False, True, False]
