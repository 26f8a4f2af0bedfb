"""A small dataset made of noise, for tests of the training machinery. Run as a script it trains and leaves its state."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from fauforensics import build
from pipelines.train.dataset import HEADS, Dataset, Source, TrainClip, ticks_in
from pipelines.train.loop import Trainer
from pipelines.train.pixels import stored_crops
from pipelines.train.state import TrainState, load_state, run_id
from schemas.train import TrainParams, train_params
from schemas.truth import TruthRow

KINDS = {"self_blend": ("visual",), "desync": (), "audio_replay": ("audio",)}


def clip(number: int, split: str, kind: str, ticks: int = 60) -> TrainClip:
    """Fakes of sight are brighter in their span, fakes of sound louder."""
    rng = np.random.default_rng([number, len(kind)])
    spans = [] if kind == "real" else [(0.0, 60.0)] if kind == "desync" else [(0.4, 1.2)]
    visual, audio = (spans if kind == "self_blend" else []), (spans if kind in {"desync", "audio_replay"} else [])
    truth = TruthRow(
        file=f"{split}/{number}_{kind}.mp4", split=split, kind=kind, identity=f"{split}{number}", original=f"{split}/{number}_real.mp4",
        fake_periods=spans, visual_fake_periods=visual, audio_fake_periods=audio, traces=list(KINDS.get(kind, ())),
    )  # fmt: skip
    fake = {head: ticks_in(truth.spans(head), np.arange(ticks)) for head in HEADS}
    pictures = rng.integers(60, 160, (ticks, 32, 32, 3), np.uint8) + 60 * fake["visual"][:, None, None, None].astype(np.uint8)
    db = rng.normal(-40, 8, (ticks, 4, 80)).astype(np.float32) + 15 * fake["audio"][:, None, None].astype(np.float32)
    asked = {"total": True, "audio": "audio" in KINDS.get(kind, ("audio",)), "visual": True}
    return TrainClip(
        truth, f"{number}{kind}", Source(truth.file, 0, 0), 0, [cv2.imencode(".png", p)[1].tobytes() for p in pictures],
        np.arange(ticks), np.arange(ticks) * 40_000, np.zeros((0, 468, 2), np.float32),
        rng.random((ticks, 20)).astype(np.float32), db, np.ones(ticks, bool), fake, asked,
    )  # fmt: skip


def dataset() -> Dataset:
    kinds = ("real", *KINDS)
    clips = [clip(n, split, kind) for split, numbers in (("train", range(4)), ("dev", range(10, 12))) for n in numbers for kind in kinds]
    return Dataset(clips, "fabricated", {})


def params(**given: object) -> TrainParams:
    small = {"network": {"dim": 32, "video_width": 4, "crop_px": 16}, "batch_clips": 4, "stretch_ticks": 30}
    return train_params(
        "lite",
        small | {"au_steps": 6, "picture_steps": 6, "picture_batch": 8, "steps": 12, "validate_every": 6, "warmup_steps": 2} | given,
        "test",
    )


def trainer(folder: Path, wanted: TrainParams) -> Trainer:
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(wanted.seed)
    return Trainer(build("lite", **wanted.network), dataset(), wanted, stored_crops, folder, "cpu")


def _say(row: dict[str, float]) -> None:
    sys.stdout.write(f"{int(row['step'])}\n")
    sys.stdout.flush()


def fit(folder: Path, wanted: TrainParams | None = None) -> TrainState:
    wanted = wanted or params()
    state = load_state(folder) or TrainState(run_id(wanted, "fabricated", ""))
    return trainer(folder, wanted).fit(state, lambda row, steps: _say(row))


if __name__ == "__main__":
    fit(Path(sys.argv[1]))
