from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.metrics.binary import accuracy, average_precision, eer, roc_auc, roc_points

_rows = st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=1, max_size=12)


def test_eer_is_the_mean_of_the_two_rates_at_the_first_nearest_vertex() -> None:
    assert eer([0, 0, 1], [0.2, 0.6, 0.5]) == 0.75  # two vertices are equally near; FPR alone would be 0.5


def test_eer_uses_vertices_that_scikit_learn_leaves_out() -> None:
    falling = [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
    assert eer([1, 1, 0, 0, 0, 0, 1, 1], falling) == 0.5  # 0.0 with drop_intermediate and FPR alone


def test_eer_of_a_perfect_and_of_a_reversed_score() -> None:
    assert eer([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]) == 0.0
    assert eer([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9]) == 1.0


@settings(deadline=None)
@given(_rows)
def test_eer_is_its_definition(rows: list[tuple[bool, int]]) -> None:
    fake, real = [s for y, s in rows if y], [s for y, s in rows if not y]
    answer = eer([y for y, _ in rows], [s for _, s in rows])
    if not fake or not real:
        assert answer is None
        return
    vertices = [
        (sum(s >= t for s in real) / len(real), sum(s < t for s in fake) / len(fake))
        for t in [math.inf, *sorted({s for _, s in rows}, reverse=True)]
    ]
    gaps = [round(abs(a - b), 12) for a, b in vertices]
    false_alarms, misses = vertices[gaps.index(min(gaps))]
    assert answer == pytest.approx((false_alarms + misses) / 2)


@settings(deadline=None)
@given(_rows)
def test_auc_is_the_share_of_pairs_in_order(rows: list[tuple[bool, int]]) -> None:
    pairs = [(f > r) + (f == r) / 2 for (y, f), (z, r) in product(rows, rows) if y and not z]
    answer = roc_auc([y for y, _ in rows], [s for _, s in rows])
    assert answer == (pytest.approx(sum(pairs) / len(pairs)) if pairs else None)


def test_average_precision_takes_ties_as_one_threshold() -> None:
    assert average_precision([1, 0, 1, 0], [0.9, 0.5, 0.5, 0.1]) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert average_precision([1, 0], [0.3, 0.3]) == 0.5


def test_accuracy_calls_fake_what_is_above_the_threshold() -> None:
    assert accuracy([1, 0, 1, 0], [0.9, 0.5, 0.5, 0.1]) == 0.75
    assert accuracy([1, 1], [0.9, 0.2], threshold=0.1) == 1.0  # one class is enough
    assert accuracy([], []) is None


@pytest.mark.parametrize("measure", [roc_auc, average_precision, eer])
def test_one_class_has_no_figure(measure: object) -> None:
    for truth in ([1, 1], [0, 0], []):
        assert measure(truth, [0.5] * len(truth)) is None  # type: ignore[operator]


@pytest.mark.parametrize("measure", [roc_auc, average_precision, eer, accuracy])
def test_wrong_input(measure: object) -> None:
    with pytest.raises(ValueError, match="score 1 is nan; leave out what has no score"):
        measure([0, 1], [0.5, math.nan])  # type: ignore[operator]
    with pytest.raises(ValueError, match=r"truth has shape \(2,\), score has \(3,\)"):
        measure([0, 1], [0.5, 0.5, 0.5])  # type: ignore[operator]
    with pytest.raises(ValueError, match=r"truth must be 0 \(real\) or 1 \(fake\)"):
        measure([0, 2], [0.5, 0.5])  # type: ignore[operator]


def test_the_roc_curve_goes_from_corner_to_corner() -> None:
    rng = np.random.default_rng(0)
    fpr, tpr, threshold = roc_points(rng.random(5000) < 0.5, rng.random(5000), most=50)
    assert len(fpr) == len(tpr) == len(threshold) == 50
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert len(roc_points([1, 1], [0.1, 0.2])[0]) == 0
