"""Draws and batches: exactly what the recipe says, and the same for the same seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from pipelines.train.batches import make_batch
from pipelines.train.draws import Draw, Sampler
from pipelines.train.optimiser import make_optimiser, set_rate
from pipelines.train.pixels import stored_crops
from schemas.errors import ParamsError
from schemas.train import train_params
from tests.pipelines.train import fabricated

TRAINING = fabricated.dataset().split("train")


def test_draws_are_a_function_of_seed_step_and_worker():
    sampler = Sampler(TRAINING, fabricated.params())
    assert sampler(3, 0) == Sampler(TRAINING, fabricated.params())(3, 0)
    assert sampler(3, 0) != sampler(4, 0) and sampler(3, 0) != sampler(3, 1)


def test_a_pair_is_a_forgery_and_its_own_real_clip_at_the_same_time():
    sampler = Sampler(TRAINING, fabricated.params(batch_clips=8))
    kinds: Counter[str] = Counter()
    for step in range(60):
        draws = sampler(step, 0)
        for real, forged in zip(draws[::2], draws[1::2], strict=True):
            assert real.clip.is_real and not forged.clip.is_real
            assert forged.clip.truth.original == real.clip.truth.file
            assert (real.start, real.variation) == (forged.start, forged.variation)
            kinds[forged.clip.truth.kind] += 1
    assert min(kinds.values()) > 0.7 * max(kinds.values())


def test_a_drawn_stretch_of_a_forgery_shows_the_forgery():
    sampler = Sampler(TRAINING, fabricated.params())
    for step in range(40):
        for draw in sampler(step, 0):
            part = slice(draw.start, draw.start + 30)
            assert 0 <= draw.start <= draw.clip.ticks - 30
            assert draw.clip.is_real or any(flags[part].any() for flags in draw.clip.fake.values())


def test_uniform_sampling_does_not_balance():
    sampler = Sampler(TRAINING, fabricated.params(sampling="uniform"))
    real = [d.clip.is_real for step in range(100) for d in sampler(step, 0)]
    assert 0.15 < np.mean(real) < 0.35  # a quarter of the clips is real


def test_exactly_25_ticks_are_100_hops_and_a_mask_covers_both_alike():
    wanted = train_params("reference", {}, "test")
    for variation in range(30):
        batch = make_batch([Draw(TRAINING[0], 5, variation)], wanted, 25, 112, stored_crops)
        assert batch.crops is not None
        assert batch.crops.shape == (1, 25, 3, 112, 112) and batch.log_mel.shape == (1, 100, 80)
        masked = np.flatnonzero(batch.time_mask[0]).tolist()
        assert len(masked) <= 11 and masked == list(range(masked[0], masked[-1] + 1) if masked else [])
        for tick in masked:  # audio hops 4 i to 4 i + 3
            assert (batch.log_mel[0, 4 * tick : 4 * tick + 4] == 0).all()
        blank = np.flatnonzero((batch.log_mel[0] == 0).all(0))
        assert len(blank) <= 26
        assert batch.log_mel.abs().max() <= 1


def test_both_of_a_pair_are_varied_alike():
    wanted = fabricated.params(erase_p=1.0)
    same = make_batch([Draw(TRAINING[0], 0, 9), Draw(TRAINING[0], 0, 9)], wanted, 30, 16, stored_crops)
    assert same.crops is not None
    assert torch.equal(same.crops[0], same.crops[1]) and torch.equal(same.log_mel[0], same.log_mel[1])
    other = make_batch([Draw(TRAINING[0], 0, 10)], wanted, 30, 16, None)
    assert other.crops is None and not torch.equal(other.log_mel[0], same.log_mel[0])


def test_the_published_rates():
    wanted = train_params("reference", {"lr": 1e-4, "lr_backbone_factor": 1.0, "lr_head_factor": 1.0, "steps": 1000}, "test")
    optimiser = make_optimiser(torch.nn.Linear(2, 2), wanted)
    set_rate(optimiser, 0, wanted)
    assert optimiser.param_groups[0]["lr"] == pytest.approx(1e-4)
    set_rate(optimiser, 1000, wanted)
    assert optimiser.param_groups[0]["lr"] == pytest.approx(1e-7)


def test_parts_of_the_network_learn_at_their_own_rates(tmp_path):
    wanted = fabricated.params(lr_backbone_factor=0.1, lr_head_factor=3.0)
    peaks = [g["peak"] / wanted.lr for g in fabricated.trainer(tmp_path, wanted).optimiser.param_groups]
    assert peaks == pytest.approx([0.1, 3.0, 1.0])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stepz": 3}, "stepz is not a parameter; did you mean steps"),
        ({"lr": -1}, "lr is -1"),
        ({"crop_min": 0.99, "crop_max": 0.9}, "crop_min"),
        ({"erase_area": [0.5, 0.1]}, "smallest <= largest"),
    ],
)
def test_wrong_parameters_are_named(given, message):
    with pytest.raises(ParamsError, match=message):
        train_params("lite", given, "train.yaml")
