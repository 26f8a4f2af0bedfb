"""Forgeries for the first checkpoint: made on the inputs of the network, so that no codec can give them away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pipelines.train.clips import Clip
from schemas.au import AU_NAMES

KINDS = ("real", "swap", "splice", "shift", "replay", "replay_splice")
"""swap: the sound of another clip. splice: a span of it. shift: sound early or late. replay: a span of the mouth from
another time of the clip. replay_splice: both in one span."""

_LOWER_AUS = tuple(AU_NAMES.index(au) for au in ("AU10", "AU12", "AU15", "AU17", "AU20", "AU24", "AU25", "AU26", "AU28"))
_SPAN_TICKS = (10, 40)  # 0.4 to 1.6 s, as fake spans of LAV-DF are
_SHIFT_TICKS = (5, 16)  # 200 to 640 ms: less can't be seen by people either (ITU-R BT.1359 tolerates 125 ms)
_MIN_REPLAY_TICKS = 6  # between a mouth and the time it is taken from


@dataclass(slots=True)
class Example:
    """One stretch of a clip, real or forged.

    crops (T, 3, px, px) uint8, aus (T, 20), db (T, 4, 80); fake_audio, fake_visual and fake_total (T,) bool;
    `audio_known` is false where the sound itself is pristine although it does not belong here: the audio head
    can't know, so it is not asked.
    """

    kind: str
    crops: NDArray[np.uint8]
    aus: NDArray[np.float32]
    db: NDArray[np.float32]
    speech: NDArray[np.bool_]
    fake_audio: NDArray[np.bool_]
    fake_visual: NDArray[np.bool_]
    fake_total: NDArray[np.bool_]
    audio_known: bool


def make_example(clip: Clip, others: Sequence[Clip], kind: str, ticks: int, rng: Generator) -> Example:
    """A random stretch of `ticks` ticks of `clip`, forged in the given way with material of `others`."""
    start = int(rng.integers(0, clip.ticks - ticks + 1))
    here = slice(start, start + ticks)
    crops, aus, db, speech = clip.crops[here], clip.aus[here].copy(), clip.db[here].copy(), clip.speech[here]
    audio, visual, total = np.zeros((3, ticks), bool)
    known = True
    span = _span(ticks, rng)
    if kind in {"swap", "splice", "replay_splice"}:
        other = others[int(rng.integers(len(others)))]
        borrowed = _stretch(other.db, int(rng.integers(0, max(1, other.ticks - ticks + 1))), ticks)
        borrowed = borrowed + (_level(db) - _level(borrowed))  # a louder voice must not be the clue
        where = slice(0, ticks) if kind == "swap" else span
        db[where] = borrowed[where]
        total[where] = True
        speech = speech | (_level_by_tick(db) > _level_by_tick(clip.db[here]).mean())
        audio[where], known = kind != "swap", kind != "swap"
    if kind == "shift":
        amount = int(rng.integers(*_SHIFT_TICKS)) * int(rng.choice([-1, 1]))
        db = _stretch(clip.db, start + amount, ticks).copy()
        total[:] = True
        known = False
    if kind in {"replay", "replay_splice"}:
        crops, aus = _replay_mouth(clip, start, ticks, span, rng)
        visual[span] = total[span] = True
    return Example(kind, crops, aus, db, speech, audio, visual, total, known)


def _replay_mouth(clip: Clip, start: int, ticks: int, span: slice, rng: Generator) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The mouth of another time of the clip, blended in under a soft mask; its action units come along."""
    crops, aus = clip.crops[start : start + ticks].copy(), clip.aus[start : start + ticks].copy()
    length = span.stop - span.start
    first = start + span.start
    choices = [s for s in range(clip.ticks - length + 1) if abs(s - first) >= _MIN_REPLAY_TICKS] or [max(0, clip.ticks - length - first)]
    source = int(rng.choice(choices))
    taken = np.arange(source, source + length)
    if rng.random() < 0.3:
        taken = taken[::-1]
    mask = mouth_mask(crops.shape[-1], rng)
    fresh = clip.crops[taken].astype(np.float32)
    gain = 1 + rng.normal(0, 0.02, (1, 3, 1, 1))
    crops[span] = (fresh * gain * mask + crops[span] * (1 - mask)).round().clip(0, 255).astype(np.uint8)
    for au in _LOWER_AUS:
        aus[span, au] = clip.aus[taken, au]
    return crops, aus


def mouth_mask(px: int, rng: Generator) -> NDArray[np.float64]:
    """(px, px) soft ellipse over the mouth of an aligned crop, of random size and softness."""
    y, x = np.mgrid[0:px, 0:px] / px
    radius_x, radius_y = rng.uniform(0.2, 0.3), rng.uniform(0.16, 0.24)
    distance = np.hypot((x - 0.5) / radius_x, (y - 0.68) / radius_y)
    return np.clip((1.15 - distance) / rng.uniform(0.1, 0.35), 0, 1)


def _span(ticks: int, rng: Generator) -> slice:
    length = int(rng.integers(_SPAN_TICKS[0], min(_SPAN_TICKS[1], ticks) + 1))
    start = int(rng.integers(0, ticks - length + 1))
    return slice(start, start + length)


def _stretch(db: NDArray[np.float32], start: int, ticks: int) -> NDArray[np.float32]:
    """`ticks` ticks from `start` on; what lies before or behind the clip is its quietest tick."""
    index = np.arange(start, start + ticks)
    inside = (index >= 0) & (index < len(db))
    out = np.repeat(db[[int(db.mean((1, 2)).argmin())]], ticks, axis=0)
    out[inside] = db[index[inside]]
    return out


def _level_by_tick(db: NDArray[np.float32]) -> NDArray[np.float32]:
    level: NDArray[np.float32] = db.max(2).mean(1)
    return level


def _level(db: NDArray[np.float32]) -> float:
    return float(np.percentile(db.max(2), 95))
