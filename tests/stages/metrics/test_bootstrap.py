from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.metrics.binary import accuracy, average_precision, eer, roc_auc
from stages.metrics.bootstrap import RankedScores, interval

_rows = st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=12)


@settings(deadline=None)
@given(_rows, st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_a_weight_is_that_many_copies_of_the_group(rows: list[tuple[bool, int, int]], weights: list[int]) -> None:
    truth, score, group = (list(column) for column in zip(*rows, strict=True))
    ranked = RankedScores(truth, score, group, threshold=2)
    drawn = np.array([weights[g] for g in sorted(set(group))], np.float64)
    copies = [(y, s) for y, s, g in rows for _ in range(weights[g])]
    y, s = [y for y, _ in copies], [float(s) for _, s in copies]
    for weighted, plain in (
        (ranked.auc, roc_auc(y, s)),
        (ranked.average_precision, average_precision(y, s)),
        (ranked.eer, eer(y, s)),
        (ranked.accuracy, accuracy(y, s, threshold=2)),
    ):
        assert weighted(drawn) == pytest.approx(math.nan if plain is None else plain, nan_ok=True)


def videos(rng: np.random.Generator, num: int, spread: float) -> RankedScores:
    """100 frames each, half of the videos fake; frames of one video share an offset."""
    group = np.repeat(np.arange(num), 100)
    fake = group % 2 == 0
    return RankedScores(fake, rng.normal(fake * 1.0, 1) + np.repeat(rng.normal(0, spread, num), 100), group)


def test_the_same_seed_gives_the_same_interval() -> None:
    ranked = videos(np.random.default_rng(0), 40, 1.0)
    first = interval(ranked.auc, ranked.num_groups, seed=3)
    assert first == interval(ranked.auc, ranked.num_groups, seed=3) != interval(ranked.auc, ranked.num_groups, seed=4)
    assert first is not None
    assert first.low < ranked.auc(np.ones(40)) < first.high
    assert (first.groups, first.resamples) == (40, 500)


def test_frames_of_one_video_are_not_independent() -> None:
    rng = np.random.default_rng(1)
    alike, apart = (interval(r.auc, r.num_groups) for r in (videos(rng, 60, 2.0), videos(rng, 60, 0.0)))
    assert alike is not None and apart is not None
    assert alike.high - alike.low > 5 * (apart.high - apart.low)


def test_covers_the_true_value_about_as_often_as_it_says() -> None:
    truth = 0.6
    rng = np.random.default_rng(2)
    inside = 0
    for seed in range(200):
        sample = (rng.random(50) < truth).astype(float)
        found = interval(lambda w, x=sample: float(w @ x / w.sum()), 50, seed=seed, resamples=200)  # type: ignore[misc]
        assert found is not None
        inside += found.low <= truth <= found.high
    assert 0.88 <= inside / 200 <= 0.99


def test_no_interval_from_few_groups_or_from_a_figure_without_value() -> None:
    assert interval(lambda _: 0.5, 4) is None
    assert interval(lambda _: math.nan, 40) is None
    one_fake = RankedScores([1] + [0] * 9, range(10), range(10))
    found = interval(one_fake.auc, 10)
    assert found is not None and 250 < found.resamples < 500  # the fake is in about 65 % of the draws


def test_an_empty_table_has_no_figures() -> None:
    empty = RankedScores([], [], [])
    assert math.isnan(empty.auc(np.zeros(0))) and math.isnan(empty.accuracy(np.zeros(0)))
