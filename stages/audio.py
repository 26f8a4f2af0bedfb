"""Audio: sound on the 25 Hz clock, as mel power, loudness and speech activity, with a stated reason where there is none."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
import torchaudio
from numpy.typing import NDArray

from fauforensics.frontend import HOP_SAMPLES, SAMPLE_RATE_HZ, power_db
from schemas.params import AudioParams
from schemas.reasons import Failure, Outcome, Reason
from schemas.tables import AUDIO, MEDIA, TICK_MELS
from schemas.timebase import HOPS_PER_TICK, num_ticks
from stages import versions
from stages.contract import MediaError, OpenMedia, StageResult, concat, table_from_columns
from stages.decoding import AudioBlock, scan_audio

INPUT, OUTPUT, VERSION = MEDIA, AUDIO, versions.AUDIO

TICK_SAMPLES = HOP_SAMPLES * HOPS_PER_TICK
_JOIN_US = 60_000  # a block this close to the end of the last one continues it: containers round their timestamps
_MIN_COVERAGE = 0.5  # of a tick's samples
_SPEECH_MIN_DBFS = -50.0
_VOICE_MELS = slice(9, 55)  # mel bins 9-54 of 80 span 300-3400 Hz, the telephone band
_FLOOR_DBFS = -100.0
_MIN_COMMON_HZ = 10


@dataclass(slots=True)
class Track:
    """One sound track on the common timeline: wave (N,) float32 and which of its samples were really there; 16 kHz unless asked else."""

    wave: NDArray[np.float32]
    present: NDArray[np.bool_]


class Audio:
    """Stateless but for its parameters."""

    def __init__(self, params: AudioParams) -> None:
        self._params = params

    def __call__(self, videos: pa.Table, open_media: OpenMedia) -> StageResult:
        """videos: rows of MEDIA. One output row per (video, tick), null with a reason where there is no sound."""
        result = StageResult(AUDIO.empty_table())
        tables = []
        for video in videos.to_pylist():
            content_id, uri = video["content_id"], video["uri"]
            ticks = num_ticks(video["duration_us"] or 0)
            damage: list[str] = []
            try:
                track = None
                if video["has_audio"]:
                    with open_media(uri) as path:
                        track = read_track(scan_audio(path, video["origin_us"], video["duration_us"], damage), ticks * TICK_SAMPLES)
            except MediaError as error:
                result.outcomes[content_id] = error.outcome
                result.failures.append(Failure(content_id, uri, "audio", error.reason, error.outcome, error.detail))
                continue
            result.outcomes[content_id] = Outcome.DONE
            if track is None:
                detail = "no sound track" if not video["has_audio"] else "not one block decodes"
                reason = Reason.AUDIO_DAMAGED if video["has_audio"] else Reason.NO_AUDIO
                result.failures.append(Failure(content_id, uri, "audio", reason, Outcome.DONE, detail))
                tables.append(_silence(content_id, ticks, reason))
            else:
                if damage:
                    detail = f"{len(damage)} blocks: {damage[0]}"
                    result.failures.append(Failure(content_id, uri, "audio", Reason.AUDIO_DAMAGED, Outcome.DONE, detail))
                tables.append(_describe(content_id, track, ticks, self._params))
            result.frames_seen += ticks
        result.rows = concat(tables, AUDIO)
        return result

    def close(self) -> None:
        """Nothing to give back."""


def read_track(blocks: Iterable[AudioBlock], num_samples: int, rate_out_hz: int = SAMPLE_RATE_HZ) -> Track | None:
    """Lays the blocks on the common timeline, `num_samples` from its start; null when there is not one."""
    wave = np.zeros(num_samples, np.float32)
    present = np.zeros(len(wave), bool)
    run: list[NDArray[np.float32]] = []
    start_us, rate_hz, length = 0, 0, 0
    found = False
    for block in blocks:
        end_us = start_us + length * 1_000_000 // max(rate_hz, 1)
        if run and (block.rate_hz != rate_hz or abs(block.pts_us - end_us) > _JOIN_US):
            _place(wave, present, np.concatenate(run), rate_hz, start_us, rate_out_hz)
            run, length = [], 0
        if not run:
            start_us, rate_hz = block.pts_us, block.rate_hz
        run.append(block.mono)
        length += len(block.mono)
        found = True
    if run:
        _place(wave, present, np.concatenate(run), rate_hz, start_us, rate_out_hz)
    return Track(wave, present) if found else None


def _place(
    wave: NDArray[np.float32], present: NDArray[np.bool_], samples: NDArray[np.float32], rate_hz: int, start_us: int, rate_out_hz: int
) -> None:
    resampled = torchaudio.functional.resample(torch.from_numpy(samples), tame_rate(rate_hz), rate_out_hz).numpy()
    start = round(start_us * rate_out_hz / 1_000_000)
    low, high = max(start, 0), min(start + len(resampled), len(wave))
    if high > low:
        wave[low:high] = resampled[low - start : high - start]
        present[low:high] = True


def tame_rate(rate_hz: int) -> int:
    """The rate to resample from. One that shares no factor with 16 kHz would need a filter of gigabytes: it is rounded to 10 Hz."""
    return rate_hz if math.gcd(rate_hz, SAMPLE_RATE_HZ) >= _MIN_COMMON_HZ else max(10, round(rate_hz / 10) * 10)


def _describe(content_id: str, track: Track, ticks: int, params: AudioParams) -> pa.Table:
    covered = track.present.reshape(ticks, TICK_SAMPLES).mean(1) >= _MIN_COVERAGE
    # The FFT reflects at both ends and wants at least half a window of samples.
    padded = np.pad(track.wave, (0, max(0, 512 - len(track.wave))))
    db = power_db(torch.from_numpy(padded)).numpy()[: ticks * HOPS_PER_TICK].reshape(ticks, HOPS_PER_TICK, -1)
    rms = np.sqrt((track.wave.reshape(ticks, TICK_SAMPLES).astype(np.float64) ** 2).mean(1))
    loudness = np.maximum(20 * np.log10(np.maximum(rms, 1e-10)), _FLOOR_DBFS)
    speech = _speech(db, loudness, covered, params)
    where = np.flatnonzero(covered)
    first, last = (where[0], where[-1]) if len(where) else (ticks, ticks)
    reasons = [
        None if here else (Reason.AUDIO_STARTS_LATE if t < first else Reason.AUDIO_ENDS_EARLY if t > last else Reason.AUDIO_DAMAGED).value
        for t, here in enumerate(covered)
    ]
    missing = ~covered
    flat = pa.FixedSizeListArray.from_arrays(pa.array(db.reshape(-1).astype(np.float32)), TICK_MELS, mask=pa.array(missing))
    return table_from_columns(
        {
            "content_id": [content_id] * ticks,
            "tick": np.arange(ticks),
            "power_db": flat,
            "loudness_dbfs": pa.array(loudness.astype(np.float32), mask=missing),
            "speech": pa.array(speech, mask=missing),
            "reason": reasons,
        },
        AUDIO,
    )


def _speech(db: NDArray[np.float32], loudness: NDArray[np.float64], covered: NDArray[np.bool_], params: AudioParams) -> NDArray[np.bool_]:
    """Whether somebody speaks: the telephone band stands clear of the track's own noise floor (its 10th percentile)."""
    if not covered.any():
        return np.zeros(len(covered), bool)
    band = 10 * np.log10(np.maximum((10 ** (db[:, :, _VOICE_MELS].astype(np.float64) / 10)).mean((1, 2)), 1e-10))
    smooth = np.convolve(np.pad(band, 2, mode="edge"), np.full(5, 0.2), mode="valid")
    floor = np.percentile(band[covered], 10)
    result: NDArray[np.bool_] = (smooth > floor + params.speech_floor_db) & (loudness > _SPEECH_MIN_DBFS)
    return result


def _silence(content_id: str, ticks: int, reason: Reason) -> pa.Table:
    columns: dict[str, object] = {
        "content_id": [content_id] * ticks,
        "tick": np.arange(ticks),
        "reason": [reason.value] * ticks,
    }
    return table_from_columns({name: columns.get(name, [None] * ticks) for name in AUDIO.names}, AUDIO)
