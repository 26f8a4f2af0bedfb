"""Batches: drawn stretches as tensors, varied as the recipe says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from fauforensics.frontend import NUM_MELS, normalise
from pipelines.train.dataset import HEADS, TrainClip
from pipelines.train.draws import Draw
from pipelines.train.pixels import ReadCrops, resized
from pipelines.train.wear import Wear
from schemas.timebase import HOPS_PER_TICK
from schemas.train import TrainParams
from schemas.truth import Modality

_PEAK_PERCENTILE = 0.99


@dataclass(slots=True)
class Batch:
    """B stretches of T ticks.

    crops (B, T, 3, px, px) uint8, or None where pixels are not asked for; erase (B, 4) int64 left, top, right, bottom of
    the box that is blanked; gain, offset (B, 3) of the picture; aus (B, T, 20); log_mel (B, 4 T, 80) in [-1, 1];
    time_mask (B, T) bool; speech (B, T) bool; fake, by head (B, T) bool; asked, by head (B,) bool. features (B, T, D) of a
    frozen network, which no variation reaches, or None.
    """

    crops: Tensor | None
    erase: Tensor
    gain: Tensor
    offset: Tensor
    aus: Tensor
    log_mel: Tensor
    time_mask: Tensor
    speech: Tensor
    fake: dict[Modality, Tensor]
    asked: dict[Modality, Tensor]
    features: Tensor | None = None

    def to(self, device: str) -> Batch:
        def move(value: Tensor) -> Tensor:
            return value.to(device, non_blocking=True)

        return Batch(
            None if self.crops is None else move(self.crops),
            move(self.erase),
            move(self.gain),
            move(self.offset),
            move(self.aus),
            move(self.log_mel),
            move(self.time_mask),
            move(self.speech),
            {head: move(t) for head, t in self.fake.items()},
            {head: move(t) for head, t in self.asked.items()},
            None if self.features is None else move(self.features),
        )


def sound_peak_db(clip: TrainClip) -> float:
    """The level of the clip that becomes +1: as in `stages.network_input`, so that training and scoring agree."""
    return float(np.quantile(clip.db.max(2), _PEAK_PERCENTILE))


def make_batch(draws: Sequence[Draw], params: TrainParams, ticks: int, px: int, read: ReadCrops | None) -> Batch:
    """Stretches with the paper's variations: random crop, flip, erasing, one time mask, one frequency mask.

    Args:
        draws: where stretches begin.
        params: the recipe.
        ticks: length of the stretches.
        px: side of the pictures that the network wants.
        read: where pixels come from; None leaves them out.
    """
    parts = [_one(d, params, ticks, px, read) for d in draws]
    heads = {head: [d.clip.fake[head][d.start : d.start + ticks] for d in draws] for head in HEADS}
    return Batch(
        torch.from_numpy(np.stack([p.crops for p in parts if p.crops is not None])) if read is not None else None,
        torch.from_numpy(np.stack([p.erase for p in parts])),
        torch.from_numpy(np.stack([p.gain for p in parts])),
        torch.from_numpy(np.stack([p.offset for p in parts])),
        torch.from_numpy(np.stack([p.aus for p in parts])),
        torch.stack([p.log_mel for p in parts]),
        torch.from_numpy(np.stack([p.time_mask for p in parts])),
        torch.from_numpy(np.stack([d.clip.speech[d.start : d.start + ticks] for d in draws])),
        {head: torch.from_numpy(np.stack(flags)) for head, flags in heads.items()},
        {head: torch.tensor([d.clip.asked[head] for d in draws]) for head in HEADS},
        _features(draws, ticks),
    )


def _features(draws: Sequence[Draw], ticks: int) -> Tensor | None:
    parts = [d.clip.features[d.start : d.start + ticks] for d in draws if d.clip.features is not None]
    return torch.from_numpy(np.stack(parts)) if parts else None


@dataclass(slots=True)
class _Stretch:
    crops: NDArray[np.uint8] | None
    erase: NDArray[np.int64]
    gain: NDArray[np.float32]
    offset: NDArray[np.float32]
    aus: NDArray[np.float32]
    log_mel: Tensor
    time_mask: NDArray[np.bool_]


def _one(draw: Draw, params: TrainParams, ticks: int, px: int, read: ReadCrops | None) -> _Stretch:
    rng = np.random.default_rng(draw.variation)  # both of a pair are varied alike
    where = slice(draw.start, draw.start + ticks)
    share, flip = rng.uniform(params.crop_min, params.crop_max), rng.random() < params.flip_p
    left, top = rng.random(2)
    gain, offset = 1 + params.colour * rng.standard_normal(3) * 0.3, params.colour * rng.standard_normal(3) * 0.5
    gain = gain * (1 + params.colour * rng.standard_normal())
    erase = _box(params, px, rng)
    masked = _time_mask(params, ticks, rng)
    log_mel = _sound(draw.clip, where, params, rng)
    log_mel[np.repeat(masked, HOPS_PER_TICK)] = 0.0
    strength = 1 + params.colour * rng.standard_normal(draw.clip.aus.shape[1])
    aus = np.clip(draw.clip.aus[where] * strength, 0, 1)
    aus[rng.random(len(aus)) < 0.02] = np.nan  # the mesh loses a face now and then
    wear = Wear.draw(rng, params.wear_p)
    crops = None
    if read is not None:
        pictures = read(draw.clip, where)
        side = round(share * pictures[0].shape[0])
        x, y = (round(at * (pictures[0].shape[0] - side)) for at in (left, top))
        small = np.stack([wear(resized(p, x, y, side, px), number) for number, p in enumerate(pictures)])
        crops = np.ascontiguousarray((small[:, :, ::-1] if flip else small).transpose(0, 3, 1, 2))
    return _Stretch(crops, erase, gain.astype(np.float32), offset.astype(np.float32), aus.astype(np.float32), log_mel, masked)


def _sound(clip: TrainClip, where: slice, params: TrainParams, rng: Generator) -> Tensor:
    db = torch.from_numpy(clip.db[where]).reshape(-1, NUM_MELS)
    # As published: relative to the loudest hop of the second; ours: to the clip's level, which scoring knows.
    peak = db.max() if params.preset == "reference" else torch.tensor(sound_peak_db(clip))
    log_mel = normalise(db, peak)
    if params.room:  # another room, another microphone
        room = rng.standard_normal(NUM_MELS, np.float32) + rng.standard_normal(1, np.float32)
        log_mel = (log_mel + params.room * torch.from_numpy(room)).clamp(-1, 1)
    width = int(rng.integers(0, params.frequency_mask_bins + 1))
    low = int(rng.integers(0, NUM_MELS - width + 1))
    log_mel[:, low : low + width] = 0.0
    return log_mel


def _box(params: TrainParams, px: int, rng: Generator) -> NDArray[np.int64]:
    """The box to blank: area and aspect as torchvision's RandomErasing draws them; empty when nothing is to be."""
    wanted = rng.random() < params.erase_p
    area = rng.uniform(*params.erase_area) * px * px
    aspect = np.exp(rng.uniform(np.log(0.3), np.log(3.3)))
    height, width = min(px, round((area * aspect) ** 0.5)), min(px, round((area / aspect) ** 0.5))
    top, left = int(rng.integers(0, px - height + 1)), int(rng.integers(0, px - width + 1))
    return np.array([left, top, left + width, top + height] if wanted else [0, 0, 0, 0], np.int64)


def _time_mask(params: TrainParams, ticks: int, rng: Generator) -> NDArray[np.bool_]:
    length = int(rng.integers(0, min(params.time_mask_ticks, ticks - 1) + 1))
    start = int(rng.integers(0, ticks - length + 1))
    mask = np.zeros(ticks, bool)
    mask[start : start + length] = True
    return mask
