"""Audio kinds: what can be done to a wave so that it no longer is what was said then and there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torchaudio
from numpy.random import Generator
from numpy.typing import NDArray

_FADE_S = 0.01
_BLOCK_S = 0.02
_HEARD_DBFS, _ABOVE_FLOOR_DB = -50.0, 10.0
_MAX_GAIN = 8.0  # 18 dB: beyond that the noise of a quiet recording would be the clue
_PEAK = 0.99

Wave = NDArray[np.float32]
Span = tuple[float, float]
SoundFor = Callable[[Span], Wave]


def heard(wave: Wave, rate_hz: int) -> NDArray[np.bool_]:
    """(N / 20 ms,) whether a block stands clear of the recording's own noise and of silence."""
    level = _levels_db(wave, rate_hz)
    loud: NDArray[np.bool_] = level > max(_HEARD_DBFS, float(np.percentile(level, 10)) + _ABOVE_FLOOR_DB if len(level) else 0.0)
    return loud


def speech_level(wave: Wave, rate_hz: int) -> float:
    """Root mean square of the heard blocks, or of everything where nothing is heard."""
    size = round(_BLOCK_S * rate_hz)
    blocks = wave[: len(wave) // size * size].reshape(-1, size)
    loud = heard(wave, rate_hz)
    chosen = blocks[loud] if loud.any() else blocks
    return float(np.sqrt((chosen.astype(np.float64) ** 2).mean())) if chosen.size else 0.0


def match_level(other: Wave, like: Wave, rate_hz: int) -> Wave:
    """`other`, made as loud as `like` speaks."""
    ours, theirs = speech_level(like, rate_hz), speech_level(other, rate_hz)
    gain = float(np.clip(ours / theirs, 1 / _MAX_GAIN, _MAX_GAIN)) if theirs > 1e-6 else 1.0
    return limit(other * np.float32(gain))


def limit(wave: Wave) -> Wave:
    """The wave, turned down as a whole where it would clip."""
    peak = float(np.abs(wave).max(initial=0.0))
    return wave * np.float32(_PEAK / peak) if peak > _PEAK else wave


def insert(wave: Wave, other: Wave, span: Span, rate_hz: int) -> Wave:
    """The wave with `other` in a span, faded over 10 ms inside it; the rest stays to the sample.

    Args:
        wave: (N,).
        other: (M,) laid from the span's start on; repeated where it is too short.
        span: seconds. At an end of the wave there is nothing to fade from.
        rate_hz: of both.
    """
    start, end = max(0, round(span[0] * rate_hz)), min(round(span[1] * rate_hz), len(wave))
    length = end - start
    if length <= 0 or not len(other):
        return wave.copy()
    weight = np.ones(length)
    fade = max(1, min(round(_FADE_S * rate_hz), length // 2))
    ramp = (np.arange(fade) + 0.5) / fade
    if start > 0:
        weight[:fade] = ramp
    if end < len(wave):
        weight[length - fade :] = ramp[::-1]
    out = wave.copy()
    # Two voices are uncorrelated: equal power, or the seam would dip by 3 dB.
    fresh = np.resize(other, length) * np.sqrt(weight) + wave[start:end] * np.sqrt(1 - weight)
    out[start:end] = np.clip(fresh, -1, 1)
    return out


def resynthesise(wave: Wave, rate_hz: int, rng: Generator) -> Wave:
    """The wave rebuilt from its mel spectrogram by Griffin-Lim: the bands' energies stay, phases and fine structure do not.

    Args:
        wave: (N,).
        rate_hz: window and hop follow it: 1024 and 256 samples at 22 kHz.
        rng: draws the number of bands (64 to 100) and of iterations (8 to 48), so that no single vocoder is learnt.
    """
    num_fft = 1 << max(9, round(np.log2(rate_hz * 0.046)))
    bands, iterations = int(rng.choice([64, 80, 80, 100])), int(rng.integers(8, 49))
    seed = int(rng.integers(2**31))
    if len(wave) < num_fft:
        return wave.copy()
    spectrum = torchaudio.transforms.Spectrogram(num_fft, hop_length=num_fft // 4, power=2.0)(torch.from_numpy(wave))
    scale = torchaudio.functional.melscale_fbanks(num_fft // 2 + 1, 0.0, rate_hz / 2, bands, rate_hz, norm="slaney")
    mel = scale.T @ spectrum
    # Each mel band is spread back over its bins in proportion to its filter: non-negative at once, unlike a pseudo-inverse.
    back = scale / scale.square().sum(0, keepdim=True).clamp_min(1e-12)
    power = (back @ mel) / (back @ scale.T).sum(1, keepdim=True).clamp_min(1e-6)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        rebuilt = torchaudio.functional.griffinlim(
            power.clamp_min(0),
            torch.hann_window(num_fft),
            num_fft,
            num_fft // 4,
            num_fft,
            2.0,
            iterations,
            0.99,
            len(wave),
            rand_init=True,
        ).numpy()
    gain = np.sqrt((wave.astype(np.float64) ** 2).mean() / max((rebuilt.astype(np.float64) ** 2).mean(), 1e-12))
    return limit((rebuilt * np.float32(gain)).astype(np.float32))


def stretch(wave: Wave, start_s: float, length_s: float, rate_hz: int) -> Wave:
    """(round(length_s * rate_hz),) of the wave from `start_s`; zero beyond its ends."""
    start, length = round(start_s * rate_hz), round(length_s * rate_hz)
    out = np.zeros(length, np.float32)
    low, high = max(0, start), min(len(wave), start + length)
    if high > low:
        out[low - start : high - start] = wave[low:high]
    return out


def heard_start(wave: Wave, length_s: float, rate_hz: int, rng: Generator, avoid: Span | None = None, draws: int = 8) -> float | None:
    """A random start, in seconds, of a stretch of `length_s` in which somebody is heard as much as may be.

    Args:
        wave: (N,) to choose from.
        length_s: of the stretch.
        rate_hz: of the wave.
        rng: draws places.
        avoid: seconds that the stretch must not touch.
        draws: the best of so many is taken.

    Returns:
        None when there is no room.
    """
    total_s = len(wave) / rate_hz
    parts = [(0.0, total_s)] if avoid is None else [(0.0, avoid[0]), (avoid[1], total_s)]
    room = [(low, min(high, total_s) - length_s) for low, high in parts if min(high, total_s) - length_s >= low]
    if not room:
        return None
    weights = np.array([high - low + 1e-3 for low, high in room])
    drawn = rng.choice(len(room), draws, p=weights / weights.sum())
    starts = [float(rng.uniform(*room[k])) for k in drawn]
    loud = heard(wave, rate_hz)
    shares = [loud[int(s / _BLOCK_S) : int((s + length_s) / _BLOCK_S) + 1].mean() if len(loud) else 0.0 for s in starts]
    return starts[int(np.argmax(shares))]


def _levels_db(wave: Wave, rate_hz: int) -> NDArray[np.float64]:
    size = round(_BLOCK_S * rate_hz)
    blocks = wave[: len(wave) // size * size].reshape(-1, size).astype(np.float64)
    levels: NDArray[np.float64] = 10 * np.log10(np.maximum((blocks**2).mean(1) if len(blocks) else np.zeros(0), 1e-10))
    return levels
