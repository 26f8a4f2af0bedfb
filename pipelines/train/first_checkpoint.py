"""First checkpoint: trains `lite` on a workspace's real clips and the forgeries made of them.

    python -m pipelines.train.first_checkpoint --workspace DIR --out models/lite.safetensors

The workspace must have run up to `audio`. Speakers are disjoint between training, validation and test.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn
from torch.nn import functional as F

from fauforensics import FauForensics, build, save_checkpoint
from fauforensics.frontend import NUM_MELS, normalise
from pipelines.train.clips import Clip, load_clips
from pipelines.train.evaluate import calibrate, figures
from pipelines.train.forgeries import KINDS, Example, make_example
from pipelines.workspace import Workspace
from schemas.fingerprint import digest
from schemas.timebase import WINDOW_TICKS

VALIDATION_SPEAKERS = ("grid/lrwp9a", "grid/lwbsza", "latentsync/demo1")
TEST_SPEAKERS = ("grid/lbax4n", "grid/sbwe5n", "grid/swiz3n", "latentsync/demo3")
LEFT_OUT = ("sadtalker/", "pyfeat/")  # generated faces, and clips without speech

_TICKS = 50
_BATCH, _BATCH_WITH_PIXELS = 32, 24
_STRIDE = 5
_KIND_SHARE = (0.30, 0.20, 0.10, 0.20, 0.12, 0.08)  # of KINDS
_FAKE_FROM = 0.3  # a window is fake when this much of it is; between none and that it is not asked
_SPEECH_FROM = 0.3  # without speech nobody can tell whether sound and lips belong together
_LOSS = {"total": 0.6, "visual": 0.2, "audio": 0.2}  # paper: 0.8, 0.1, 0.1; our visual and audio answers are used on their own
_SYNC_WEIGHT, _SYNC_TEMPERATURE = 0.3, 0.1
_HEAD_LR_FACTOR = 10.0


def main() -> None:
    """Trains, measures, and writes the checkpoint and the figures for its card."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--workspace", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--steps-au", type=int, default=1500, help="steps on action units and sound alone, which are cheap")
    options.add_argument("--steps", type=int, default=450, help="steps of the whole network")
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    torch.manual_seed(given.seed)
    rng = np.random.default_rng(given.seed)
    net = build("lite")
    workspace = Workspace.open(given.workspace)
    clips = load_clips(workspace, net.config.crop_px, _TICKS)
    used = [c for c in clips if not c.uri.startswith(LEFT_OUT)]
    validation = [c for c in used if c.uri.startswith(VALIDATION_SPEAKERS)]
    test = [c for c in used if c.uri.startswith(TEST_SPEAKERS)]
    training = _rest(used, validation, test)
    print(f"{len(training)} clips to train on, {len(validation)} to validate, {len(test)} to test")
    with torch.no_grad():
        net.video_encoder.norm.gamma.fill_(0.1)  # pixels join in quietly: they start from noise, action units do not
    net.video_encoder.picture.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster on a CPU
    _train(net, training, given.steps_au, 1e-3, False, rng)
    _train(net, training, given.steps, 7e-4, True, rng)
    net.eval()
    calibration = calibrate(net, validation)
    shown: dict[str, Any] = {"validation": figures(net, validation, calibration), "test": figures(net, test, calibration)}
    data = digest([c.content_id for c in training])
    save_checkpoint(given.out, net, workspace.params.fau.backend, data, calibration)
    recipe = {"steps_au": given.steps_au, "steps": given.steps, "seed": given.seed}
    shown |= {"training_data_digest": data, "training_clips": len(training), "recipe": recipe}
    given.out.with_suffix(".json").write_text(json.dumps(shown, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(shown, indent=2))


def _rest(clips: list[Clip], *taken: list[Clip]) -> list[Clip]:
    uris = {c.uri for part in taken for c in part}
    return [c for c in clips if c.uri not in uris]


def _train(net: FauForensics, clips: list[Clip], steps: int, lr: float, with_pixels: bool, rng: Generator) -> None:
    heads = [p for name, p in net.named_parameters() if "head." in name]
    others = [p for name, p in net.named_parameters() if "head." not in name]
    groups = [{"params": others, "peak": lr}, {"params": heads, "peak": lr * _HEAD_LR_FACTOR}]
    optimiser = torch.optim.AdamW(groups, lr=lr, weight_decay=0.02)
    net.train()
    losses, started = [], time.monotonic()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * (min(1.0, (step + 1) / 50) * (1 - step / steps) ** 0.9 + 1e-3)
        loss = _loss(net, _draw(clips, _BATCH_WITH_PIXELS if with_pixels else _BATCH, rng), with_pixels, rng)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        losses.append(float(loss.detach()))
        if step % 50 == 49:
            print(f"step {step + 1}/{steps}, {time.monotonic() - started:.0f} s, loss {np.mean(losses[-50:]):.3f}", flush=True)


def _draw(clips: list[Clip], size: int, rng: Generator) -> list[Example]:
    """A batch: every speaker folder's weight is the square root of its clips, so that 200 clips of one talker don't drown ten others."""
    folders: dict[str, list[Clip]] = {}
    for clip in clips:
        folders.setdefault(clip.uri.rsplit("/", 1)[0] if clip.uri.startswith("grid_s1") else clip.uri, []).append(clip)
    names = sorted(folders)
    weight = np.array([sum(c.ticks for c in folders[n]) ** 0.5 for n in names])
    batch = []
    for _ in range(size):
        own = folders[names[int(rng.choice(len(names), p=weight / weight.sum()))]]
        clip = own[int(rng.integers(len(own)))]
        pool = own if len(own) > 1 and rng.random() < 0.5 else clips
        batch.append(make_example(clip, [c for c in pool if c is not clip], KINDS[int(rng.choice(len(KINDS), p=_KIND_SHARE))], _TICKS, rng))
    return batch


def _loss(net: FauForensics, batch: list[Example], with_pixels: bool, rng: Generator) -> Tensor:
    aus, log_mel = _varied_inputs(batch, rng)
    video = net.encode_video(_varied_crops(batch, rng), aus) if with_pixels else net.fau_encoder(aus)
    audio = net.encode_audio(log_mel)
    starts = range(0, _TICKS - WINDOW_TICKS + 1, _STRIDE)
    video_windows = torch.cat([video[:, s : s + WINDOW_TICKS] for s in starts])
    audio_windows = torch.cat([audio[:, s : s + WINDOW_TICKS] for s in starts])
    answers = net.judge(video_windows, audio_windows)
    share = {m: _window_share([getattr(e, f"fake_{m}") for e in batch], starts) for m in _LOSS}
    speech = _window_share([e.speech for e in batch], starts) >= _SPEECH_FROM
    loss = torch.zeros(())
    for modality, weight in _LOSS.items():
        fake = share[modality] >= _FAKE_FROM
        asked = fake | (share[modality] == 0)
        if modality == "total":
            asked &= ~fake | speech | (share["visual"] >= _FAKE_FROM)
        if modality == "audio":
            asked &= torch.tensor([e.audio_known for e in batch]).repeat(len(starts))
        if asked.any():
            loss = loss + weight * F.cross_entropy(answers[modality].logits[asked], fake[asked].long())
    real = torch.tensor([e.kind == "real" for e in batch]).repeat(len(starts)) & speech
    return loss + _SYNC_WEIGHT * _sync_loss(net, video_windows[real], audio_windows[real]) if real.sum() > 1 else loss


def _sync_loss(net: FauForensics, video: Tensor, audio: Tensor) -> Tensor:
    """Contrastive loss on real windows: what slot i saw must be more like what slot i heard than what it heard elsewhere.

    Negatives are the same slot of the other windows, of other clips and of the same clip at other times; slots of the
    same window are no use, since their place gives them away.
    """
    seen = F.normalize(net.video_aligner(net.queries, video + net.positions)[0], dim=-1)
    heard = F.normalize(net.audio_aligner(net.queries, audio + net.positions)[0], dim=-1)
    likeness = torch.einsum("bqd,cqd->qbc", seen, heard) / _SYNC_TEMPERATURE  # (Q, B, B)
    own = torch.arange(len(video)).repeat(WINDOW_TICKS)
    return F.cross_entropy(likeness.flatten(0, 1), own) + F.cross_entropy(likeness.transpose(1, 2).flatten(0, 1), own)


def _window_share(flags: list[np.ndarray], starts: range) -> Tensor:  # type: ignore[type-arg]
    stacked = torch.tensor(np.stack(flags)).float()
    return torch.cat([stacked[:, s : s + WINDOW_TICKS].mean(1) for s in starts])


def network_inputs(batch: list[Example]) -> tuple[Tensor, Tensor, Tensor]:
    """crops (B, T, 3, px, px) uint8, aus (B, T, 20), log_mel (B, 4 T, 80) as the score stage makes them."""
    crops = torch.from_numpy(np.stack([e.crops for e in batch]))
    aus = torch.from_numpy(np.stack([e.aus for e in batch]))
    db = torch.from_numpy(np.stack([e.db for e in batch])).reshape(len(batch), -1, NUM_MELS)
    peak = torch.quantile(db.amax(2), 0.99, dim=1)
    return crops, aus, normalise(db, peak[:, None, None])


def _varied_inputs(batch: list[Example], rng: Generator) -> tuple[Tensor, Tensor]:
    _, aus, log_mel = network_inputs(batch)
    size = len(batch)
    log_mel = log_mel + 0.1 * torch.randn(size, 1, NUM_MELS) + 0.1 * torch.randn(size, 1, 1)  # another room, another microphone
    width = int(rng.integers(0, 12))
    low = int(rng.integers(0, NUM_MELS - width))
    log_mel[:, :, low : low + width] = -1
    aus = (aus * (1 + 0.15 * torch.randn(size, 1, aus.shape[2])) + 0.02 * torch.randn(size, 1, aus.shape[2])).clamp(0, 1)
    lost = torch.rand(size, aus.shape[1], 1) < 0.02
    return aus.masked_fill(lost, float("nan")), log_mel.clamp(-1, 1)


def _varied_crops(batch: list[Example], rng: Generator) -> Tensor:
    crops = torch.from_numpy(np.stack([e.crops for e in batch])).float() / 127.5 - 1
    size = len(batch)
    crops = crops * (1 + 0.2 * torch.randn(size, 1, 1, 1, 1)) + 0.15 * torch.randn(size, 1, 3, 1, 1)
    flipped = torch.rand(size) < 0.5
    crops[flipped] = crops[flipped].flip(-1)
    move_y, move_x = rng.integers(-4, 5, 2)
    return torch.roll(crops, (int(move_y), int(move_x)), (-2, -1)).clamp(-1, 1)


if __name__ == "__main__":
    main()
