"""Leaks: how well things that are no forgery tell a set's targets: codec, size, rate, length."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from stages.metrics.binary import roc_auc

_BINS = 8
_NOTABLE_AUC = 0.6
_FACTS: dict[str, pl.Expr] = {
    "duration": pl.col("duration_us") / 1e6,
    "frame rate": pl.col("frame_rate").round(2),
    "pixels": (pl.col("width") * pl.col("height")).cast(pl.Float64),
    "bits per second": pl.col("size_bytes") * 8e6 / pl.col("duration_us"),
    "container": pl.col("container"),
    "video codec": pl.col("video_codec"),
    "audio codec": pl.col("audio_codec"),
    "audio rate": pl.col("audio_rate_hz").cast(pl.String),
    "audio channels": pl.col("audio_channels").cast(pl.String),
    "has audio": pl.col("has_audio").cast(pl.String),
    "face size": pl.col("face_px"),
    "dataset": pl.col("dataset"),
}


@dataclass(frozen=True, slots=True)
class Leak:
    """What one fact says of the target."""

    fact: str
    auc: float | None
    """Of the share of fakes that the train split shows for a value, on the other splits; None where they have one class only."""
    in_sample: bool
    """Whether there was no other split with both classes, so that the figure is of train itself and too good."""
    bits: float
    """Mutual information of fact and target, over the whole set."""
    values: int

    @property
    def is_notable(self) -> bool:
        return self.auc is not None and self.auc >= _NOTABLE_AUC


def leaks(selection: pl.DataFrame, inventory: pl.DataFrame) -> list[Leak]:
    """One row for each fact that has several values, the strongest first.

    Args:
        selection: rows of CURATED.
        inventory: rows of INVENTORY.

    Returns:
        Numbers count by eighths of the train split; a missing value is a value.
    """
    box = pl.col("box")
    sides = [box.arr.get(2) - box.arr.get(0), box.arr.get(3) - box.arr.get(1)]
    clips = selection.with_columns(face_px=pl.max_horizontal(*(side.cast(pl.Float64) for side in sides)))
    media = inventory.unique("uri", keep="first", maintain_order=True).drop("content_id")
    rows = clips.join(media, on="uri", how="left").sort("clip_id")
    fake, train = (rows["target"] == "fake").to_numpy(), (rows["split"] == "train").to_numpy()
    found = []
    for name, fact in _FACTS.items():
        values = rows.select(value=fact)["value"]
        codes = _codes(values, train)
        if len(np.unique(codes)) > 1:
            found.append(_leak(name, codes, fake, train))
    return sorted(found, key=lambda leak: (-(leak.auc or 0.0), leak.fact))


def _codes(values: pl.Series, train: np.ndarray) -> np.ndarray:
    """(N,) small numbers, equal where values are, or lie in one bin."""
    if values.dtype == pl.String:
        return values.fill_null("").rank("dense").to_numpy().astype(np.int64)
    numbers = values.cast(pl.Float64).to_numpy()
    known = numbers[train & np.isfinite(numbers)]
    if not len(known):
        known = numbers[np.isfinite(numbers)]
    edges = np.unique(np.quantile(known, np.arange(1, _BINS) / _BINS)) if len(known) else np.zeros(0)
    return np.where(np.isfinite(numbers), np.searchsorted(edges, numbers, side="left") + 1, 0)


def _leak(name: str, codes: np.ndarray, fake: np.ndarray, train: np.ndarray) -> Leak:
    base = float(fake[train].mean()) if train.any() else 0.5
    # One clip more of each value, with the split's own share: a value seen once says little.
    share = {code: (fake[train & (codes == code)].sum() + base) / ((train & (codes == code)).sum() + 1) for code in np.unique(codes)}
    score = np.array([share[code] for code in codes])
    auc = roc_auc(fake[~train], score[~train]) if (~train).any() else None
    in_sample = auc is None
    if in_sample and train.any():
        auc = roc_auc(fake[train], score[train])
    return Leak(name, auc, in_sample, _bits(codes, fake), len(share))


def _bits(codes: np.ndarray, fake: np.ndarray) -> float:
    total = 0.0
    for code in np.unique(codes):
        for target in (False, True):
            p = float(np.mean((codes == code) & (fake == target)))
            if p > 0:
                total += p * math.log2(p / (float(np.mean(codes == code)) * float(np.mean(fake == target))))
    return max(total, 0.0)
