from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from fauforensics import ReferenceFauForensics, build, save_checkpoint
from fauforensics.checkpoint_info import OWN_FAU, Calibration
from fauforensics.frontend import log_mel, power_db
from schemas.params import ScoreParams
from stages.contract import as_frame
from stages.faces import decode_crop
from stages.network_input import SoundInput
from stages.score import Score
from stages.tokens import ReferenceTokens
from tests.stages.test_score import audio, faces


@pytest.fixture(scope="module")
def net() -> ReferenceFauForensics:
    torch.manual_seed(0)
    return build("reference").eval()


def test_reference_tokens_are_those_of_the_published_input(net: ReferenceFauForensics) -> None:
    ticks = [t for t in range(27) if t != 9]
    seen, units = faces("a", ticks)
    rows = as_frame(seen).select("content_id", "track", "tick", "crop").join(as_frame(units), on=["content_id", "track", "tick"])
    with torch.inference_mode():
        track, of_window = ReferenceTokens(net, "cpu").of_track(rows, 0)
        assert track.present.tolist() == [t != 9 for t in range(27)]
        tokens = of_window(2)
        # Tick 9 is zero after normalisation; every other one is the middle 140 of 160 pixels, resized, with ImageNet's mean and deviation.
        frames = torch.from_numpy(track.crops[2:27]).float() / 255
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        video = ((frames - mean[:, None, None]) / std[:, None, None]).transpose(0, 1)
        video[:, 7] = 0
        torch.testing.assert_close(tokens, net.encode_video(video[None])[0], rtol=1e-3, atol=1e-3)
    stored = decode_crop(rows["crop"][0])
    assert stored.shape == (160, 160, 3) and track.crops.shape == (27, 3, 112, 112)
    # A ramp would show a shift: the corner of the result comes from pixel 10 of the crop, 1.25 pixels to a pixel.
    corner = (stored[10, 10].astype(float) + 0.25 * (stored[10, 11] + stored[11, 10].astype(float)) + 0.0625 * stored[11, 11]) / 1.5625
    assert np.abs(track.crops[0, :, 0, 0] - corner).max() <= 1


def test_each_window_of_sound_is_levelled_by_its_own_maximum(net: ReferenceFauForensics) -> None:
    wave = torch.randn(32_000, generator=torch.Generator().manual_seed(3)) * torch.linspace(0.01, 1, 32_000)
    db = power_db(wave).numpy()
    sound = SoundInput(np.zeros_like(db), np.ones(50, bool), np.zeros(50, np.float32), [None] * 50, db)
    with torch.inference_mode():
        of_window = ReferenceTokens(net, "cpu").of_sound(sound)
        # The last two hops of a second see the next one instead of a reflection.
        torch.testing.assert_close(of_window(0), net.encode_audio(log_mel(wave[:16_000])[None])[0], rtol=0.1, atol=0.1)
        level = torch.from_numpy(db[100:200])
        expected = net.encode_audio(((level - level.max()).clamp(min=-80) / 40 + 1)[None, None])[0]
        torch.testing.assert_close(of_window(25), expected, rtol=1e-4, atol=1e-4)
    assert of_window(25) is of_window(25)


@pytest.mark.slow
def test_a_reference_checkpoint_scores_a_track(net: ReferenceFauForensics, tmp_path: Path) -> None:
    heads = ("total", "audio", "visual")
    path = tmp_path / "reference.safetensors"
    save_checkpoint(path, net, OWN_FAU, "0" * 32, Calibration(dict.fromkeys(heads, 1.0), dict.fromkeys(heads, 0.0), 0.7, 0.5))
    stage = Score(ScoreParams(device="cpu", preset="reference"), path, "mesh")
    seen, units = faces("a", list(range(30)))
    rows = as_frame(stage(seen, units, audio("a", 30)).rows)
    assert rows.filter(pl.col("track") == 0)["start_tick"].to_list() == [0, 5]
    for row in rows.to_dicts():
        for head in ("audio",) if row["track"] is None else ("total", "visual"):
            assert sum(row[f"evidence_{head}"]) == pytest.approx(row[f"logit_{head}"], rel=1e-3, abs=1e-4)
