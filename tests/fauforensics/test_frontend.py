from __future__ import annotations

import pytest
import torch

from fauforensics.frontend import CLIP_HOPS, NUM_MELS, log_mel, normalise, power_db
from tests.conftest import SHARED, needs_shared


@needs_shared
@pytest.mark.parametrize("case", ["11", "12", "silent"])
def test_equals_the_reference_front_end(case: str) -> None:
    from safetensors.torch import load_file

    tensors = load_file(SHARED / "parity" / "audio_public.safetensors")
    ours, reference = log_mel(tensors[f"wave_{case}"]), tensors[f"logmel_{case}"]
    assert ours.shape == reference.shape == (1, CLIP_HOPS, NUM_MELS)
    assert torch.linalg.vector_norm(ours - reference) <= 1e-4 * torch.linalg.vector_norm(reference)
    assert float((ours - reference).abs().max()) < 1e-4


def test_a_second_in_the_middle_of_a_track_has_the_hops_of_the_track() -> None:
    wave = torch.randn(48_000, generator=torch.Generator().manual_seed(0)) * 0.1
    whole, second = power_db(wave), power_db(wave[16_000:32_000])
    # Two hops at each edge see the reflection instead of the neighbouring second.
    torch.testing.assert_close(whole[102:198], second[2:98], rtol=1e-4, atol=1e-3)


def test_a_tone_lands_in_its_mel_bin_at_its_time() -> None:
    wave = torch.zeros(32_000)
    wave[16_000:] = torch.sin(2 * torch.pi * 1000 * torch.arange(16_000) / 16_000)
    db = power_db(wave)
    assert db.shape == (200, NUM_MELS)
    assert float(db[:98].max()) < -60 < 10 < float(db[110:].max())
    mel = 2595 * torch.log10(torch.tensor(1 + 1000 / 700)) / (2595 * torch.log10(torch.tensor(1 + 8000 / 700))) * 81 - 1
    assert abs(int(db[150].argmax()) - float(mel)) <= 1


def test_the_peak_is_plus_one_and_80_db_below_is_minus_one() -> None:
    db = torch.tensor([-100.0, -80.0, -40.0, 0.0, 5.0])
    assert normalise(db, torch.tensor(0.0)).tolist() == [-1.0, -1.0, 0.0, 1.0, 1.0]
