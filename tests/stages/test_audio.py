from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fauforensics.frontend import log_mel, normalise
from schemas.params import AudioParams
from stages.audio import TICK_SAMPLES, Audio, tame_rate
from stages.encoding import write_mp4
from tests.conftest import FACE_NOFACE, SHARED, SINGLE_FACE, WOLFGANG, inventory_row, media, needs_shared


def rows_of(path: Path) -> list[dict]:
    result = Audio(AudioParams())(inventory_row(path), media(path))
    assert [str(o) for o in result.outcomes.values()] == ["done"]
    return result.rows.to_pylist()


def tone_clip(path: Path, wave: np.ndarray | None, seconds: float = 3.0) -> Path:
    frames = ((i * 40_000, np.full((64, 64, 3), 90, np.uint8)) for i in range(round(seconds * 25)))
    write_mp4(path, frames, wave, 16_000)
    return path


def test_a_burst_is_loud_on_its_own_ticks(tmp_path: Path) -> None:
    wave = np.zeros(48_000, np.float32)
    wave[TICK_SAMPLES * 30 : TICK_SAMPLES * 40] = 0.5 * np.sin(2 * np.pi * 800 * np.arange(TICK_SAMPLES * 10) / 16_000)
    loudness = np.array([r["loudness_dbfs"] for r in rows_of(tone_clip(tmp_path / "a.mp4", wave))], float)
    loud = np.flatnonzero(loudness > -20)
    # AAC smears by less than a tick.
    assert set(range(31, 39)) <= set(loud.tolist()) <= set(range(29, 41))
    assert loudness[33] == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.5)


def test_sound_that_starts_late_is_null_with_a_reason_until_then() -> None:
    rows = rows_of(FACE_NOFACE.path)
    reasons = [r["reason"] for r in rows]
    start = reasons.index(None)
    assert start == pytest.approx(2.43 / 0.04, abs=1.5)
    assert set(reasons[:start]) == {"audio_starts_late"}
    assert all(r["power_db"] is None and r["loudness_dbfs"] is None and r["speech"] is None for r in rows[:start])
    assert set(reasons[start:-1]) == {None}


def test_sound_that_ends_early_is_null_from_then_on(tmp_path: Path) -> None:
    rows = rows_of(tone_clip(tmp_path / "a.mp4", np.full(16_000, 0.1, np.float32)))
    reasons = [r["reason"] for r in rows]
    assert len(rows) == 75
    assert reasons[:25] == [None] * 25
    assert set(reasons[28:]) == {"audio_ends_early"}


def test_a_video_without_sound_is_null_on_every_tick(tmp_path: Path) -> None:
    path = tone_clip(tmp_path / "a.mp4", None)
    result = Audio(AudioParams())(inventory_row(path), media(path))
    assert result.rows["reason"].to_pylist() == ["no_audio"] * 75
    assert result.rows["power_db"].null_count == 75
    assert [(str(f.reason), str(f.outcome)) for f in result.failures] == [("no_audio", "done")]


def test_digital_silence_is_sound_but_not_speech() -> None:
    rows = rows_of(WOLFGANG.path)
    assert {r["loudness_dbfs"] for r in rows[:-2]} == {-100.0}
    assert not any(r["speech"] for r in rows)


def test_four_hops_a_tick() -> None:
    rows = rows_of(SINGLE_FACE.path)
    assert len(rows) == 60
    assert all(len(r["power_db"]) == 4 * 80 for r in rows if r["power_db"])


@needs_shared
def test_a_second_of_real_speech_is_what_the_reference_front_end_sees() -> None:
    import torch

    from stages.decoding import scan_audio

    path = SHARED / "media" / "grid" / "bbaf2n.mpg"
    rows = rows_of(path)
    blocks = list(scan_audio(path, 0, 10**9, []))
    import torchaudio

    wave = torchaudio.functional.resample(torch.from_numpy(np.concatenate([b.mono for b in blocks])), blocks[0].rate_hz, 16_000)
    reference = log_mel(wave[16_000:32_000])[0]
    ours = torch.tensor([r["power_db"] for r in rows[25:50]]).reshape(100, 80)
    # The hops at the edges of a lone second see its reflection instead of the neighbouring sound.
    peak = ours[3:97].max()
    torch.testing.assert_close(normalise(ours, peak)[3:97], reference[3:97], rtol=0, atol=2e-3)


@needs_shared
def test_speech_is_found_where_a_talker_speaks() -> None:
    speech = np.array([bool(r["speech"]) for r in rows_of(SHARED / "media" / "grid" / "bbaf2n.mpg")])
    assert 0.25 < speech.mean() < 0.75
    assert not speech[:10].any()


@pytest.mark.parametrize(("rate", "tamed"), [(44_100, 44_100), (48_000, 48_000), (8_000, 8_000), (96_001, 96_000), (44_101, 44_100)])
def test_an_odd_rate_does_not_ask_for_a_filter_of_gigabytes(rate: int, tamed: int) -> None:
    assert tame_rate(rate) == tamed


def test_sound_of_an_odd_rate_is_read(tmp_path: Path) -> None:
    path = tmp_path / "odd.mp4"
    frames = ((i * 40_000, np.full((64, 64, 3), 90, np.uint8)) for i in range(25))
    wave = (0.5 * np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100)).astype(np.float32)
    write_mkv_with_pcm(path.with_suffix(".mkv"), frames, wave, 44_101)
    rows = rows_of(path.with_suffix(".mkv"))
    assert rows[10]["loudness_dbfs"] == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.5)


def write_mkv_with_pcm(path: Path, frames: object, wave: np.ndarray, rate_hz: int) -> None:
    import av

    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("pcm_s16le", rate=rate_hz, layout="mono")
        for _, rgb in frames:  # type: ignore[attr-defined]
            container.mux(video.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(video.encode(None))
        block = av.AudioFrame.from_ndarray((wave[None] * 32767).astype(np.int16), format="s16", layout="mono")
        block.sample_rate = rate_hz
        container.mux(audio.encode(block))
        container.mux(audio.encode(None))
