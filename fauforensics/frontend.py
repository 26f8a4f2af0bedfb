"""Front-end: sound to log-mel, as the published network wants it (research note, section 3.3)."""

from __future__ import annotations

import functools

import torch
import torchaudio
from torch import Tensor

SAMPLE_RATE_HZ = 16_000
HOP_SAMPLES = 160  # 10 ms: four hops in a tick
NUM_MELS = 80
CLIP_HOPS = 100
_POWER_FLOOR = 1e-10
_RANGE_DB = 80.0


@functools.cache
def _mel() -> torchaudio.transforms.MelSpectrogram:
    # All other arguments at torchaudio's defaults: Hann, power 2, centred with reflection, HTK mels up to 8 kHz.
    return torchaudio.transforms.MelSpectrogram(SAMPLE_RATE_HZ, n_fft=512, win_length=320, hop_length=HOP_SAMPLES, n_mels=NUM_MELS)


def power_db(wave: Tensor) -> Tensor:
    """Mel power of a whole track in decibels.

    Args:
        wave: (N,) float32 at 16 kHz, N at least 257 (half an FFT, for the reflection at both ends).

    Returns:
        (N // 160, 80) float32, 10 log10 of the power, floor -100 dB. Hop k is centred on sample 160 k.
    """
    power = _mel()(wave)  # (80, N // 160 + 1)
    db: Tensor = 10.0 * torch.log10(torch.clamp(power, min=_POWER_FLOOR))
    return db[:, : wave.shape[-1] // HOP_SAMPLES].T.contiguous()


def normalise(db: Tensor, peak_db: Tensor) -> Tensor:
    """Decibels to the network's input range [-1, 1]: 80 dB below the peak is -1, the peak is +1.

    Args:
        db: (..., 80) decibels.
        peak_db: broadcastable; the level that becomes +1. Louder values are clipped.
    """
    return (torch.clamp(db - peak_db, -_RANGE_DB, 0.0) + _RANGE_DB / 2) / (_RANGE_DB / 2)


def log_mel(wave: Tensor) -> Tensor:
    """(1, 100, 80) network input of one second of sound.

    Args:
        wave: (16000,) float32 mono at 16 kHz. Digital silence gives the constant +1, as in the reference; the
            pipeline flags silence instead of scoring it.
    """
    db = power_db(wave)[:CLIP_HOPS]
    return normalise(db, db.max())[None]
