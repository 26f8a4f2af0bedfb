"""Score: every window of every track through the network, with the evidence of each tick."""

from __future__ import annotations

import functools
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import torch
from torch import Tensor

from fauforensics import load_checkpoint
from schemas.errors import DeviceError
from schemas.params import ScoreParams
from schemas.reasons import Outcome, Reason
from schemas.tables import AUDIO, FACES, FAU, SCORES
from schemas.timebase import WINDOW_TICKS
from stages import versions
from stages.batches import Batches
from stages.contract import StageResult, as_frame, table_from_columns
from stages.device import resolve_device
from stages.network_input import SoundInput, by_track, sound_input
from stages.tokens import tokens_of
from stages.windows import window_starts

INPUT, OUTPUT, VERSION = (FACES, FAU, AUDIO), SCORES, versions.SCORE

_HEADS = ("total", "audio", "visual")
_KEYS = ["content_id", "track", "tick"]


@dataclass(slots=True)
class _Window:
    """One window to be judged: tokens (25, dim) of the face and of the sound, where there are any."""

    content_id: str
    track: int | None
    start_tick: int
    video: Tensor | None
    audio: Tensor | None
    reason: str | None
    logits: dict[str, float] = field(default_factory=dict)
    evidence: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)


class Score:
    """Holds the network for many videos.

    Raises:
        CheckpointError: the weights do not exist, are damaged, or were made for another preset or FAU backend.
    """

    def __init__(self, params: ScoreParams, weights: Path, fau_backend: str) -> None:
        self._params = params
        self.device = resolve_device(params.device)
        net, self.info = load_checkpoint(weights, params.preset, fau_backend)
        self._net = net.to(self.device)
        self._tokens = tokens_of(self._net, self.device)
        self._batches = Batches(params.batch_windows)
        half = params.precision == "bfloat16" or (params.precision == "auto" and self.device == "cuda")
        self._precision: Any = torch.autocast(self.device, torch.bfloat16) if half else nullcontext()

    def __call__(self, faces: pa.Table, fau: pa.Table, audio: pa.Table, features: pa.Table | None = None) -> StageResult:
        """faces: FACES (content_id, track, tick, crop are read), fau: FAU, audio: AUDIO, features: FAU_FEATURES, of the same videos.

        Windows of all tracks and videos share the forward passes. A row with a null track is a window of sound alone;
        the rows of tracks hold the total and the visual answer. Where the device's memory is too small for `batch_windows`,
        this worker goes on with less.

        Raises:
            DeviceError: not even one window, or one face track, fits.
        """
        try:
            return self._score(faces, fau, audio, features)
        except torch.OutOfMemoryError:
            raise DeviceError(
                f"score: the free memory of device {self.device!r} is too small for a single face track or window; end what else runs "
                "on it, give each worker more of it (engine.gpus_per_worker: 1), or set score.device: cpu"
            ) from None

    def _score(self, faces: pa.Table, fau: pa.Table, audio: pa.Table, features: pa.Table | None) -> StageResult:
        result = StageResult(SCORES.empty_table())
        seen, units, sounds = as_frame(faces.select(["content_id", "track", "tick", "crop"])), as_frame(fau), as_frame(audio)
        joined = seen.join(units, on=_KEYS, how="left", maintain_order="left")
        if features is not None:
            joined = joined.join(as_frame(features), on=_KEYS, how="left", maintain_order="left")
        windows: list[_Window] = []
        with torch.inference_mode(), self._precision:
            for content_id in sorted(set(sounds["content_id"]) | set(seen["content_id"])):
                own = joined.filter(pl.col("content_id") == content_id)
                sound_rows = sounds.filter(pl.col("content_id") == content_id)
                windows += self._encode(content_id, own, sound_rows)
                result.outcomes[content_id] = Outcome.DONE
                result.frames_seen += own.height
            for kind in ((True, True), (True, False), (False, True)):
                alike = [w for w in windows if ((w.video is not None), (w.audio is not None)) == kind]
                self._batches.over(len(alike), functools.partial(self._judge, alike))
        result.rows = _to_table(windows)
        return result

    def close(self) -> None:
        """Gives the device memory back."""
        del self._net, self._tokens
        if self.device == "cuda":
            torch.cuda.empty_cache()

    def _encode(self, content_id: str, faces: pl.DataFrame, sound_rows: pl.DataFrame) -> list[_Window]:
        last = max([t for t in (faces["tick"].max(), sound_rows["tick"].max()) if isinstance(t, int)], default=-1)
        sound = sound_input(sound_rows, last + 1)
        stride = self._params.stride_ticks
        windows = [_Window(content_id, None, start, None, None, None) for start in window_starts(last + 1, stride).tolist()]
        for number, rows in by_track(faces).items():
            track, seen = self._tokens.of_track(rows, number)
            seen_in = np.convolve(track.present, np.ones(WINDOW_TICKS, int))[WINDOW_TICKS - 1 :]  # ticks with the face from each tick on
            offsets = [o for o in window_starts(len(track.present), stride).tolist() if seen_in[o] >= self._params.min_face_ticks]
            for offset, tokens in zip(offsets, seen(offsets), strict=True):
                windows.append(_Window(content_id, number, track.first_tick + offset, tokens, None, None))
        reasons = {start: self._why_no_sound(sound, start) for start in sorted({window.start_tick for window in windows})}
        audible = [start for start, reason in reasons.items() if reason is None]
        heard = dict(zip(audible, self._tokens.of_sound(sound)(audible), strict=True)) if audible else {}
        for window in windows:
            window.audio, window.reason = heard.get(window.start_tick), reasons[window.start_tick]
        return windows

    def _why_no_sound(self, sound: SoundInput, start: int) -> str | None:
        """Why a window can't be judged by its sound, or null."""
        part = slice(start, start + WINDOW_TICKS)
        present = sound.present[part]
        if present.sum() < self._params.min_audio_ticks:
            return Counter(r for r in sound.reasons[part] if r).most_common(1)[0][0]
        if sound.loudness_dbfs[part].max() < self._params.silence_dbfs:
            return Reason.SILENT_AUDIO.value
        return None

    def _judge(self, alike: list[_Window], part: slice) -> None:
        windows = alike[part]
        video = torch.stack([w.video for w in windows if w.video is not None]) if windows[0].video is not None else None
        audio = torch.stack([w.audio for w in windows if w.audio is not None]) if windows[0].audio is not None else None
        for head, answer in self._net.judge(video, audio).items():
            logits, evidence = answer.logit.float().cpu().numpy(), answer.evidence.float().cpu().numpy()
            for window, logit, ticks in zip(windows, logits, evidence, strict=True):
                window.logits[head], window.evidence[head] = float(logit), ticks


def _to_table(windows: list[_Window]) -> pa.Table:
    # The audio answer of a track's window is that of the sound alone; it is kept once, in the rows without a track.
    answered = {w_id: {h for h in w.logits if (h == "audio") == (w.track is None)} for w_id, w in enumerate(windows)}
    columns: dict[str, Any] = {
        "content_id": [w.content_id for w in windows],
        "track": [w.track for w in windows],
        "start_tick": [w.start_tick for w in windows],
        "reason": [w.reason for w in windows],
    }
    for head in _HEADS:
        columns[f"logit_{head}"] = [w.logits[head] if head in answered[i] else None for i, w in enumerate(windows)]
        columns[f"evidence_{head}"] = [w.evidence[head] if head in answered[i] else None for i, w in enumerate(windows)]
    return table_from_columns(columns, SCORES)
