from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from fauforensics import ReferenceFauForensics, build, save_checkpoint
from fauforensics.checkpoint_info import OWN_FAU, Calibration
from fauforensics.frontend import log_mel, normalise, power_db
from fauforensics.reference import IMAGENET_MEAN, IMAGENET_STD, PICTURE_PX
from schemas.params import ScoreParams
from stages import tokens
from stages.contract import as_frame
from stages.faces import decode_crop
from stages.network_input import SoundInput, sound_input, track_input
from stages.score import Score
from stages.tokens import ReferenceTokens
from tests.fauforensics.test_reference import filled
from tests.stages.test_score import audio, faces

HEADS = ("total", "audio", "visual")


@pytest.fixture(scope="module")
def small() -> ReferenceFauForensics:
    """The published network but for its depth: of CSN, the trunk and Whisper one block of each width is left."""
    torch.manual_seed(1)
    net = build("reference")
    for stage in net.video_encoder.blocks[1:]:
        stage.res_blocks = stage.res_blocks[:1]
    for name in ("layer1", "layer2", "layer3", "layer4"):
        setattr(net.fau_encoder.backbone, name, getattr(net.fau_encoder.backbone, name)[:1])
    return net.eval()


def test_reference_tokens_are_those_of_the_published_input(small: ReferenceFauForensics) -> None:
    ticks = [t for t in range(27) if t != 9]
    seen, units = faces("a", ticks)
    rows = as_frame(seen).select("content_id", "track", "tick", "crop").join(as_frame(units), on=["content_id", "track", "tick"])
    with torch.inference_mode():
        track, of_windows = ReferenceTokens(small, "cpu").of_track(rows, 0)
        assert track.present.tolist() == [t != 9 for t in range(27)]
        (tokens,) = of_windows([2])
        # Tick 9 is zero after normalisation; every other one is the middle 140 of 160 pixels, resized, with ImageNet's mean and deviation.
        frames = torch.from_numpy(track.crops[2:27]).float() / 255
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        video = ((frames - mean[:, None, None]) / std[:, None, None]).transpose(0, 1)
        video[:, 7] = 0
        torch.testing.assert_close(tokens, small.encode_video(video[None])[0], rtol=1e-3, atol=1e-3)
    stored = decode_crop(rows["crop"][0])
    assert stored.shape == (160, 160, 3) and track.crops.shape == (27, 3, 112, 112)
    # A ramp would show a shift: the corner of the result comes from pixel 10 of the crop, 1.25 pixels to a pixel.
    corner = (stored[10, 10].astype(float) + 0.25 * (stored[10, 11] + stored[11, 10].astype(float)) + 0.0625 * stored[11, 11]) / 1.5625
    assert np.abs(track.crops[0, :, 0, 0] - corner).max() <= 1


def test_each_window_of_sound_is_levelled_by_its_own_maximum(small: ReferenceFauForensics) -> None:
    wave = torch.randn(32_000, generator=torch.Generator().manual_seed(3)) * torch.linspace(0.01, 1, 32_000)
    db = power_db(wave).numpy()
    sound = SoundInput(np.zeros_like(db), np.ones(50, bool), np.zeros(50, np.float32), [None] * 50, db)
    with torch.inference_mode():
        first, second = ReferenceTokens(small, "cpu").of_sound(sound)([0, 25])
        # The last two hops of a second see the next one instead of a reflection.
        torch.testing.assert_close(first, small.encode_audio(log_mel(wave[:16_000])[None])[0], rtol=0.1, atol=0.1)
        level = torch.from_numpy(db[100:200])
        expected = small.encode_audio(((level - level.max()).clamp(min=-80) / 40 + 1)[None, None])[0]
        torch.testing.assert_close(second, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_pipeline_scores_are_those_of_the_plain_published_network_whatever_the_stride(tmp_path: Path) -> None:
    """The trunk once a tick, windows in batches: all of it against network(video, sound), window by window."""
    net = build("reference").eval()
    net.load_reference(filled(net.export_reference(), "public"))
    path = tmp_path / "reference.safetensors"
    flat = dict.fromkeys(HEADS, 1.0), dict.fromkeys(HEADS, 0.0)
    save_checkpoint(path, net, OWN_FAU, "0" * 32, Calibration(*flat, 0.7, 0.5))
    seen, units = faces("a", list(range(27)))
    sound = audio("a", 27)
    stage, answers = Score(ScoreParams(device="cpu", preset="reference", precision="float32"), path, "mesh"), {}
    for stride in (1, 25):
        stage._params = ScoreParams(device="cpu", preset="reference", precision="float32", stride_ticks=stride)
        rows = as_frame(stage(seen, units, sound).rows).filter(pl.col("track") == 0)
        answers[stride] = {row["start_tick"]: row for row in rows.to_dicts()}
    assert sorted(answers[1]) == [0, 1, 2] and sorted(answers[25]) == [0, 2]
    for start, row in answers[25].items():
        for head in ("total", "visual"):
            assert sum(row[f"evidence_{head}"]) == pytest.approx(row[f"logit_{head}"], rel=1e-3, abs=1e-4)
            assert row[f"logit_{head}"] == pytest.approx(answers[1][start][f"logit_{head}"], abs=1e-4)
            assert row[f"evidence_{head}"] == pytest.approx(answers[1][start][f"evidence_{head}"], abs=1e-4)
    joined = as_frame(seen).select("content_id", "track", "tick", "crop").join(as_frame(units), on=["content_id", "track", "tick"])
    crops = torch.from_numpy(track_input(joined, 0, PICTURE_PX, 140 / 160).crops).float() / 255
    mean, std = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    video = ((crops - mean) / std).transpose(0, 1)  # (3, 27, 112, 112)
    db = torch.from_numpy(sound_input(as_frame(sound), 27).power_db)
    hops = db[8:108]
    with torch.inference_mode():
        plain = net(video[None, :, 2:27], normalise(hops, hops.max())[None, None])
    for head in ("total", "visual"):
        assert answers[1][2][f"logit_{head}"] == pytest.approx(float(plain[head].logit), abs=1e-4)
        assert answers[1][2][f"evidence_{head}"] == pytest.approx(plain[head].evidence[0].tolist(), abs=1e-4)


def test_a_device_that_is_too_small_for_a_batch_of_windows_takes_them_one_by_one(
    small: ReferenceFauForensics, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, units = faces("a", list(range(28)))
    rows = as_frame(seen).select("content_id", "track", "tick", "crop").join(as_frame(units), on=["content_id", "track", "tick"])
    asked, encode, per_tick = [], small.encode_video, small.fau_encoder.per_tick

    def short(video: torch.Tensor, z_fau: torch.Tensor) -> torch.Tensor:
        asked.append(len(video))
        if len(video) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return encode(video, z_fau)

    def short_trunk(frames: torch.Tensor) -> torch.Tensor:
        asked.append(-len(frames))
        if len(frames) > 20:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return per_tick(frames)

    with torch.inference_mode():
        expected = ReferenceTokens(small, "cpu").of_track(rows, 0)[1]([0, 3])
        monkeypatch.setitem(tokens._REFERENCE_AT_ONCE, "cpu", (256, 32))
        monkeypatch.setattr(small, "encode_video", short)
        monkeypatch.setattr(small.fau_encoder, "per_tick", short_trunk)
        got = ReferenceTokens(small, "cpu").of_track(rows, 0)[1]([0, 3])
    assert asked == [-28, -14, -14, 2, 1, 1]
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_bfloat16_stays_within_the_stated_tolerance(small: ReferenceFauForensics) -> None:
    """docs/detector.md states it; a GPU computes so by default."""
    seen, units = faces("a", list(range(27)))
    rows = as_frame(seen).select("content_id", "track", "tick", "crop").join(as_frame(units), on=["content_id", "track", "tick"])
    found = []
    for context in (contextlib.nullcontext(), torch.autocast("cpu", torch.bfloat16)):
        with torch.inference_mode(), context:
            video = torch.stack(ReferenceTokens(small, "cpu").of_track(rows, 0)[1]([1]))
            found.append(small.judge(video, None)["visual"])
    scale = float(found[0].logit.abs().max())
    assert float((found[1].logit - found[0].logit).abs().max()) < 0.05 * max(scale, 1)
