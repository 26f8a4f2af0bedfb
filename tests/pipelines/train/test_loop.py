"""The training loop: seeded, resumable after kill -9, early stopping; the published recipe's details."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.train.state import load_state
from tests.pipelines.train import fabricated

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return fabricated.fit(tmp_path_factory.mktemp("whole"))


def test_two_runs_agree(undisturbed, tmp_path):
    again = fabricated.fit(tmp_path)
    assert again.curve == undisturbed.curve
    assert all(torch.equal(again.best[name], tensor) for name, tensor in undisturbed.best.items())


def test_another_seed_is_another_run(undisturbed, tmp_path):
    assert fabricated.fit(tmp_path, fabricated.params(seed=2)).curve != undisturbed.curve


def test_it_learns_what_there_is_to_learn(tmp_path):
    wanted = fabricated.params(au_steps=0, picture_steps=0, steps=100, validate_every=50, batch_clips=8, lr=3e-3, colour=0.02)
    state = fabricated.fit(tmp_path, wanted)
    assert state.curve[-1]["loss"] < state.curve[0]["loss"]
    assert max(row["dev visual self_blend"] for row in state.curve if "dev_auc" in row) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("after_lines", [1, 3])
def test_a_killed_run_goes_on_to_the_same_metrics(undisturbed, tmp_path, after_lines):
    """SIGKILL some way after a validation, then again from the state that is left."""
    command = [sys.executable, str(ROOT / "tests/pipelines/train/fabricated.py"), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for _ in range(after_lines):
            process.stdout.readline()
        process.kill()
    left = load_state(tmp_path)
    assert left is not None and 0 < left.step <= 24
    resumed = fabricated.fit(tmp_path)
    assert resumed.curve == undisturbed.curve
    assert resumed.best_step == undisturbed.best_step
    assert all(torch.equal(resumed.best[name], tensor) for name, tensor in undisturbed.best.items())


def test_a_run_that_got_no_better_stops(tmp_path):
    wanted = fabricated.params(au_steps=0, picture_steps=0, steps=60, validate_every=2, patience=2, lr=1e-12, lr_head_factor=0.0)
    state = fabricated.fit(tmp_path, wanted)
    assert state.finished and state.step < 60


def test_gradients_are_clipped_after_unscaling(tmp_path):
    """The published loop clips scaled gradients. With a loss scale of 65,536 the step must be that of no scale at all."""
    wanted = fabricated.params(au_steps=0, picture_steps=0, clip_norm=0.01)
    plain, scaled = (fabricated.trainer(tmp_path, wanted) for _ in range(2))
    scaled.scaler = torch.amp.GradScaler("cpu", init_scale=65536.0)
    for one in (plain, scaled):
        one._step(0, one._make(0))
    for a, b in zip(plain.objective.parameters(), scaled.objective.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)


def test_a_loss_that_is_no_number_stops_with_advice(tmp_path):
    one = fabricated.trainer(tmp_path, fabricated.params())
    with torch.no_grad():
        one.net.queries.fill_(np.nan)
    from schemas.errors import FauScanError

    with pytest.raises(FauScanError, match=r"loss is nan at step 0; lower train\.lr"):
        one._step(0, one._make(0))
