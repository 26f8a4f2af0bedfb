from __future__ import annotations

import numpy as np
import pytest

from stages.forge.audio_kinds import heard, heard_start, insert, match_level, resynthesise, speech_level, stretch

RATE = 16_000


def _voice(seconds: float, level: float = 0.2, seed: int = 0) -> np.ndarray:
    """Noise bursts of 0.2 s with pauses: loud and quiet as speech is."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    wave = rng.normal(0, 1, len(time)) * np.where(time % 0.4 < 0.2, level, level / 300)
    return wave.astype(np.float32).clip(-1, 1)


def test_outside_the_span_every_sample_stays() -> None:
    wave, other = _voice(2), _voice(2, seed=1)
    out = insert(wave, other, (0.5, 1.2), RATE)
    np.testing.assert_array_equal(out[: RATE // 2], wave[: RATE // 2])
    np.testing.assert_array_equal(out[round(1.2 * RATE) :], wave[round(1.2 * RATE) :])
    middle = slice(round(0.52 * RATE), round(1.18 * RATE))
    np.testing.assert_allclose(out[middle], other[: round(0.7 * RATE)][round(0.02 * RATE) : round(0.68 * RATE)], atol=1e-6)


def test_a_seam_has_no_click() -> None:
    time = np.arange(RATE) / RATE
    low, high = (0.5 * np.cos(2 * np.pi * f * time).astype(np.float32) for f in (50, 60))
    out = insert(low, -high, (0.3, 0.7), RATE)
    steps = np.abs(np.diff(out))
    assert steps.max() < 0.03  # of the 1.0 that a hard cut makes


def test_a_span_that_reaches_an_end_is_not_faded_there() -> None:
    wave = np.zeros(RATE, np.float32)
    out = insert(wave, np.ones(RATE, np.float32), (0.0, 1.0), RATE)
    assert out[0] == out[-1] == 1.0


def test_the_other_voice_is_made_as_loud_as_this_one() -> None:
    quiet, loud = _voice(2, 0.05), _voice(2, 0.15, seed=1)
    assert speech_level(match_level(quiet, loud, RATE), RATE) == pytest.approx(speech_level(loud, RATE), rel=0.05)


def test_resynthesis_keeps_the_mel_bands_and_loses_the_wave() -> None:
    wave = _voice(1.5)
    rebuilt = resynthesise(wave, RATE, np.random.default_rng(1))
    assert len(rebuilt) == len(wave)
    correlation = float(np.corrcoef(wave, rebuilt)[0, 1])
    assert abs(correlation) < 0.9
    loudness = [np.sqrt((w.reshape(-1, RATE // 10) ** 2).mean(1)) for w in (wave, rebuilt)]
    assert np.corrcoef(*loudness)[0, 1] > 0.95
    np.testing.assert_array_equal(rebuilt, resynthesise(wave, RATE, np.random.default_rng(1)))


def test_resynthesis_draws_are_not_the_global_ones() -> None:
    import torch

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    resynthesise(_voice(1), RATE, np.random.default_rng(0))
    torch.testing.assert_close(torch.rand(3), expected)


def test_a_place_to_take_sound_from_is_loud_and_not_where_it_goes() -> None:
    wave = np.concatenate([np.zeros(RATE, np.float32), _voice(2), np.zeros(2 * RATE, np.float32)])
    for seed in range(20):
        start = heard_start(wave, 0.5, RATE, np.random.default_rng(seed), avoid=(0.0, 1.5))
        assert start is not None and 1.5 <= start <= 4.5
    starts = [heard_start(wave, 0.5, RATE, np.random.default_rng(seed)) for seed in range(20)]
    loud = heard(wave, RATE)
    assert sum(loud[int(s * 50) : int(s * 50) + 25].mean() > 0.2 for s in starts if s is not None) >= 18
    assert heard_start(wave, 0.5, RATE, np.random.default_rng(0), avoid=(0.3, 4.9)) is None
    assert heard_start(wave, 6.0, RATE, np.random.default_rng(0)) is None


def test_silence_is_never_heard() -> None:
    assert not heard(np.zeros(RATE, np.float32), RATE).any()
    assert speech_level(np.zeros(RATE, np.float32), RATE) == 0.0


def test_a_stretch_beyond_the_end_is_silence() -> None:
    wave = np.ones(RATE, np.float32)
    out = stretch(wave, -0.5, 2.0, RATE)
    assert len(out) == 2 * RATE
    assert out[: RATE // 2].max() == 0 and out[RATE // 2 : RATE * 3 // 2].min() == 1 and out[RATE * 3 // 2 :].max() == 0
