"""Network input: one track's crops and action units, one video's sound, as tensors on the 25 Hz clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from fauforensics.frontend import NUM_MELS, normalise
from fauforensics.reference import IMAGENET_MEAN, IMAGENET_STD, PICTURE_PX
from schemas.au import AU_NAMES
from schemas.errors import CheckpointError
from schemas.reasons import Reason
from schemas.timebase import HOPS_PER_TICK
from stages.faces import decode_crop

REFERENCE_PART = 140 / 160
"""Of a stored crop: research note, 3.2: the middle 140 of 160 pixels, resized to 112."""
_PEAK_PERCENTILE = 99.0
"""The loudest hundredth of the hops sets the level: one slammed door must not make the speech quiet."""


@dataclass(slots=True)
class TrackInput:
    """One face track from its first to its last tick; ticks without the face are black and NaN.

    crops (T, 3, px, px) uint8, aus (T, 20) float32 with NaN where unknown, present (T,) bool; features (T, D) float32 of a
    frozen network, NaN where unknown, None where none were kept.
    """

    track: int
    first_tick: int
    crops: NDArray[np.uint8]
    aus: NDArray[np.float32]
    present: NDArray[np.bool_]
    features: NDArray[np.float32] | None = None


@dataclass(slots=True)
class SoundInput:
    """The sound of one video: log_mel (4 T, 80) float32 in [-1, 1], present (T,) bool, loudness_dbfs (T,), reasons (T,).

    power_db (4 T, 80) float32 is the sound before it was levelled, -inf where there is none.
    """

    log_mel: NDArray[np.float32]
    present: NDArray[np.bool_]
    loudness_dbfs: NDArray[np.float32]
    reasons: list[str | None]
    power_db: NDArray[np.float32]


def crops_to_unit(crops: Tensor) -> Tensor:
    """uint8 to [-1, 1] float32."""
    return crops.float() / 127.5 - 1.0


def imagenet(pictures: Tensor) -> Tensor:
    """uint8 (..., 3, px, px) to ImageNet's mean and deviation, as the reference network's encoders want it."""
    mean, std = (torch.tensor(v, device=pictures.device).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    return (pictures.float() / 255 - mean) / std


def reference_picture(crop: bytes) -> NDArray[np.uint8]:
    """(3, 112, 112): what the reference network sees of a stored crop."""
    return _picture(crop, PICTURE_PX, REFERENCE_PART)


def _picture(crop: bytes, px: int, part: float) -> NDArray[np.uint8]:
    stored = decode_crop(crop)
    side = round(part * len(stored))
    middle = slice((len(stored) - side) // 2, (len(stored) + side) // 2)
    return np.asarray(cv2.resize(stored[middle, middle], (px, px), interpolation=cv2.INTER_AREA).transpose(2, 0, 1), np.uint8)


def track_input(rows: pl.DataFrame, track: int, crop_px: int, part: float = 1.0) -> TrackInput:
    """One track, from its first to its last tick.

    Args:
        rows: one track of FACES joined with FAU, by tick, columns `tick`, `crop` and the AUs; `features` where there are any.
        track: its number.
        crop_px: side of the pictures.
        part: of a stored crop's side that is kept, around the middle.
    """
    ticks = rows["tick"].to_numpy()
    first, length = int(ticks[0]), int(ticks[-1] - ticks[0] + 1)
    crops = np.zeros((length, 3, crop_px, crop_px), np.uint8)
    aus = np.full((length, len(AU_NAMES)), np.nan, np.float32)
    present = np.zeros(length, bool)
    for place, data in zip(ticks - first, rows["crop"], strict=True):
        crops[place] = _picture(data, crop_px, part)
        present[place] = True
    aus[ticks - first] = rows.select(AU_NAMES).to_numpy()
    return TrackInput(track, first, crops, aus, present, _features(rows, ticks - first, length))


def feature_matrix(rows: pl.DataFrame) -> NDArray[np.float32]:
    """(N, D) of the column `features`; NaN where a cell is null."""
    cells = rows["features"]
    width = max([0, *cells.list.len().drop_nulls().unique().to_list()])
    known = cells.is_not_null().to_numpy()
    matrix = np.full((len(cells), width), np.nan, np.float32)
    matrix[known] = cells.drop_nulls().explode().to_numpy().reshape(-1, width) if known.any() else 0
    return matrix


def _features(rows: pl.DataFrame, places: NDArray[np.int64], length: int) -> NDArray[np.float32] | None:
    if "features" not in rows.columns:
        return None
    found = feature_matrix(rows)
    features = np.full((length, found.shape[1]), np.nan, np.float32)
    features[places] = found
    return features


def sound_input(rows: pl.DataFrame, num_ticks: int) -> SoundInput:
    """rows: one video of AUDIO, by tick. Longer than `num_ticks` is cut, shorter is missing."""
    reasons: list[str | None] = [Reason.AUDIO_ENDS_EARLY.value] * num_ticks
    present = np.zeros(num_ticks, bool)
    loudness = np.full(num_ticks, -np.inf, np.float32)
    db = np.full((num_ticks, HOPS_PER_TICK * NUM_MELS), -np.inf, np.float32)
    inside = rows.filter(pl.col("tick") < num_ticks)
    ticks = inside["tick"].to_numpy()
    for tick, reason in zip(ticks.tolist(), inside["reason"], strict=True):
        reasons[tick] = reason
    known = inside.filter(pl.col("reason").is_null())
    if known.height:
        where = known["tick"].to_numpy()
        present[where] = True
        loudness[where] = known["loudness_dbfs"].to_numpy()
        db[where] = known["power_db"].to_numpy()
    hops = torch.from_numpy(db.reshape(num_ticks * HOPS_PER_TICK, NUM_MELS))
    loudest = hops.amax(1)[torch.from_numpy(present).repeat_interleave(HOPS_PER_TICK)]
    peak = torch.quantile(loudest, _PEAK_PERCENTILE / 100) if len(loudest) else torch.tensor(0.0)
    return SoundInput(normalise(hops, peak).numpy(), present, loudness, reasons, hops.numpy())


def fau_input(aus: NDArray[np.float32], features: NDArray[np.float32] | None, num_features: int) -> NDArray[np.float32]:
    """(T, 20 + num_features): what the lite FAU encoder reads of each tick.

    Raises:
        CheckpointError: the network wants features of another width than there are.
    """
    if not num_features:
        return aus
    found = 0 if features is None else features.shape[1]
    if features is None or found != num_features:
        raise CheckpointError(f"the network reads {num_features} features of a frozen network a tick, but fau_features has {found}")
    return np.concatenate([aus, features], axis=1)


def by_track(faces: pl.DataFrame) -> dict[int, pl.DataFrame]:
    """FACES of one video, a frame for each track, sorted by tick."""
    parts: dict[Any, pl.DataFrame] = faces.sort("track", "tick").partition_by("track", as_dict=True, maintain_order=True)
    return {int(key[0]): part for key, part in parts.items()}
