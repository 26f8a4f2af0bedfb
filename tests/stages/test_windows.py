from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stages.windows import window_starts


@given(st.integers(0, 400), st.integers(1, 25))
def test_windows_cover_every_tick_and_stay_inside(length: int, stride: int) -> None:
    starts = window_starts(length, stride)
    covered = np.zeros(length, bool)
    for start in starts:
        assert 0 <= start <= length - 25
        covered[start : start + 25] = True
    assert covered.all() == (length >= 25 or length == 0)
    assert (np.diff(starts) <= stride).all()
