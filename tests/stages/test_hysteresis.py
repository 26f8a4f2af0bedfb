from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stages.hysteresis import moving_average, runs, states

P = hnp.arrays(float, st.integers(0, 60), elements=st.floats(0, 1) | st.just(float("nan")))


def test_a_run_that_reaches_the_upper_threshold_is_fake_as_a_whole() -> None:
    p = np.array([0.1, 0.6, 0.9, 0.6, 0.1, 0.6, 0.6, np.nan, 0.95])
    assert states(p, 0.8, 0.5) == ["real", "fake", "fake", "fake", "real", "uncertain", "uncertain", None, "fake"]


@given(P)
def test_states_agree_with_thresholds(p: np.ndarray) -> None:
    for value, state in zip(p, states(p, 0.8, 0.5), strict=True):
        if np.isnan(value):
            assert state is None
        elif value < 0.5:
            assert state == "real"
        elif value >= 0.8:
            assert state == "fake"
        else:
            assert state in {"fake", "uncertain"}


@given(P, st.integers(1, 9))
def test_smoothing_stays_in_range_and_keeps_unknown_unknown(p: np.ndarray, width: int) -> None:
    smooth = moving_average(p, width)
    assert (np.isnan(smooth) == np.isnan(p)).all()
    known = smooth[~np.isnan(smooth)]
    if len(known):
        assert known.min() >= np.nanmin(p) - 1e-9
        assert known.max() <= np.nanmax(p) + 1e-9


def test_smoothing_is_centred() -> None:
    assert moving_average(np.array([0.0, 0, 1, 0, 0]), 3).tolist() == [0, 1 / 3, 1 / 3, 1 / 3, 0]


def test_runs() -> None:
    assert runs(np.array([True, True, False, True])) == [(0, 2), (3, 4)]
    assert runs(np.zeros(0, bool)) == []
