from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stages.hysteresis import FAKE, states
from stages.metrics.calibration import (
    ALONE_LOGITS,
    MAX_FAKE_ABOVE,
    MAX_SCALE,
    MIN_SCALE,
    fake_above_for_strangers,
    fit_scale,
    fit_thresholds,
    probability,
    reliability,
)


def draws(scale: float, shift: float, num: int = 40_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    logit = rng.normal(0.3, 2.0, num)
    return logit, rng.random(num) < probability(logit, scale, shift)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.25, 1.5), (3.0, -2.0)])
def test_recovers_a_known_line(scale: float, shift: float) -> None:
    logit, truth = draws(scale, shift)
    assert fit_scale(logit, truth) == pytest.approx((scale, shift), rel=0.06, abs=0.05)


def test_recovers_a_known_temperature() -> None:
    logit, truth = draws(0.4, 0.0)
    scale, shift = fit_scale(logit, truth, shift=False)
    assert scale == pytest.approx(0.4, rel=0.05)
    assert shift == 0.0


def test_balancing_moves_the_shift_by_the_log_odds_of_the_classes() -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(40_000) % 10 == 0
    logit = rng.normal(np.where(truth, 1.0, -1.0), np.sqrt(2))  # log-likelihood ratio: exactly this logit
    assert fit_scale(logit, truth, balanced=True) == pytest.approx((1.0, 0.0), abs=0.06)
    assert fit_scale(logit, truth) == pytest.approx((1.0, -np.log(9)), abs=0.06)


def test_a_head_that_learnt_it_upside_down_ends_up_flat() -> None:
    logit, truth = draws(1.0, 0.5)
    scale, shift = fit_scale(-logit, truth)
    assert scale == MIN_SCALE
    assert probability(0.0, scale, shift) == pytest.approx(truth.mean(), abs=0.01)


def test_separable_data_has_a_finite_scale() -> None:
    scale, _ = fit_scale([-3.0, -2.0, 2.0, 3.0], [0, 0, 1, 1])
    assert 0.1 < scale < 2
    assert fit_scale([-1e-6] * 500 + [1e-6] * 500, [0] * 500 + [1] * 500)[0] == MAX_SCALE


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.floats(-50, 50)), min_size=2, max_size=30))
def test_the_scale_is_always_positive_and_finite(rows: list[tuple[bool, float]]) -> None:
    truth, logit = [y for y, _ in rows], [x for _, x in rows]
    if all(truth) or not any(truth):
        with pytest.raises(ValueError, match="calibration needs real and fake rows"):
            fit_scale(logit, truth)
        return
    for balanced in (False, True):
        scale, shift = fit_scale(logit, truth, balanced=balanced)
        assert MIN_SCALE <= scale <= MAX_SCALE and np.isfinite(shift)


def test_probability_does_not_overflow() -> None:
    assert probability([-1e6, 0.0, 1e6], 1.0, 0.0).tolist() == [0.0, 0.5, 1.0]


def test_thresholds_keep_their_shares() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(20_000) < 0.5
    p = probability(rng.normal(np.where(truth, 1.5, -1.5), 1.5), 1.0, 0.0)
    found = fit_thresholds(p, truth, real_called_fake=0.02, fake_called_real=0.1)
    assert 0.5 < found.fake_above < 1 and 0 < found.real_below < 0.5
    assert found.real_called_fake == pytest.approx((p[~truth] >= found.fake_above).mean())
    assert 0.018 < found.real_called_fake <= 0.02
    assert 0.095 < found.fake_called_real <= 0.1


def test_thresholds_of_a_perfect_score_meet_in_the_middle() -> None:
    found = fit_thresholds([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1])
    assert (found.fake_above, found.real_below, found.real_called_fake, found.fake_called_real) == (0.5, 0.5, 0.0, 0.0)


def test_tied_real_rows_stay_out_together() -> None:
    found = fit_thresholds([0.7] * 100 + [0.9] * 100, [0] * 100 + [1] * 100, real_called_fake=0.02)
    assert 0.7 < found.fake_above <= 0.9
    assert found.real_called_fake == 0.0


def test_thresholds_reject_what_is_no_probability() -> None:
    with pytest.raises(ValueError, match=r"p must be probabilities in \[0, 1\]"):
        fit_thresholds([0.5, 1.5], [0, 1])
    with pytest.raises(ValueError, match="thresholds need real and fake rows"):
        fit_thresholds([0.5, 0.6], [1, 1])


def test_the_reliability_curve_counts_every_row() -> None:
    found = reliability([0.0, 0.05, 0.55, 0.55, 1.0], [0, 1, 1, 0, 1])
    assert found.count.tolist() == [2, 0, 0, 0, 0, 2, 0, 0, 0, 1]
    assert found.confidence[[0, 5, 9]] == pytest.approx([0.025, 0.55, 1.0])
    assert found.observed[[0, 5, 9]] == pytest.approx([0.5, 0.5, 1.0])
    assert np.isnan(found.observed[1])
    assert found.ece == pytest.approx((2 * 0.475 + 2 * 0.05) / 5)
    assert np.isnan(reliability([], []).ece)


def test_a_calibrated_score_has_a_small_error() -> None:
    logit, truth = draws(1.0, 0.0)
    assert reliability(probability(logit, 1.0, 0.0), truth).ece < 0.01
    assert reliability(probability(logit, 4.0, 0.0), truth).ece > 0.05


def clip(*runs: tuple[float, int]) -> np.ndarray:
    """Probabilities: each value, so many frames long."""
    return np.concatenate([np.full(length, value) for value, length in runs])


def called_fake(clips: list[np.ndarray], fake_above: float, real_below: float) -> float:
    """Share of frames that the label stage would call fake."""
    labels = [state for p in clips for state in states(p, fake_above, real_below)]
    return labels.count(FAKE) / len(labels)


def test_a_threshold_counts_whole_runs_not_single_frames() -> None:
    # One frame at 0.9 makes the whole run of 0.4 fake: 61 of 161 frames.
    ann = clip((0.1, 100), (0.4, 30), (0.9, 1), (0.4, 30))
    bob = clip((0.1, 100), (0.4, 30), (0.8, 1), (0.4, 30))
    found = fake_above_for_strangers({"ann": [ann], "bob": [bob]}, 0.3)
    assert found > 0.9
    assert called_fake([ann], 0.89, 0.3) > 0.3
    assert called_fake([ann], found, 0.3) == 0.0


def test_a_share_of_frames_may_go_wrong() -> None:
    clips = [clip((0.1, 99), (0.95, 1)), clip((0.1, 80), (0.6, 20))]
    people = dict.fromkeys(("ann", "bob", "cid"), clips)
    found = fake_above_for_strangers(people, 0.5, real_called_fake=0.02)
    assert 0.6 < found < 0.601  # equal people: no spread, so no margin
    assert called_fake(clips, found, 0.5) == pytest.approx(0.005)


def test_few_people_who_differ_make_it_strict() -> None:
    calm, wild = [clip((0.2, 50))], [clip((0.7, 50))]
    two = fake_above_for_strangers({"a": calm, "b": wild}, 0.1)
    many = fake_above_for_strangers({f"{name}{i}": who for i in range(10) for name, who in (("a", calm), ("b", wild))}, 0.1)
    assert 0.7 < many < two <= MAX_FAKE_ABOVE
    alone = fake_above_for_strangers({"a": calm}, 0.1)
    assert np.log(alone / (1 - alone)) == pytest.approx(np.log(0.2 / 0.8) + ALONE_LOGITS, abs=1e-6)
    assert fake_above_for_strangers({}, 0.1) == MAX_FAKE_ABOVE


@given(
    people=st.lists(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=20), min_size=1, max_size=3), min_size=1, max_size=4),
    real_below=st.floats(0.01, 0.5),
)
@example(people=[[[0.875]], [[0.875]]], real_below=0.5)
def test_everybody_here_is_within_the_share_or_the_maximum(people: list[list[list[float]]], real_below: float) -> None:
    named = {str(i): [np.array(p) for p in clips] for i, clips in enumerate(people)}
    found = fake_above_for_strangers(named, real_below, real_called_fake=0.1)
    assert max(0.5, real_below) <= found <= MAX_FAKE_ABOVE
    for clips in named.values():
        assert found == MAX_FAKE_ABOVE or called_fake(clips, found, real_below) <= 0.1
