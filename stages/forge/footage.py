"""Footage: one stretch of a source in memory, pictures at the output's size and sound at the output's rate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from schemas.params import DecodeParams
from schemas.reasons import Outcome, Reason
from stages.audio import read_track
from stages.contract import MediaError
from stages.decoding import Damage, scan_audio, scan_video

_SMOOTH = np.array([0.1, 0.2, 0.4, 0.2, 0.1])  # over frames: the mesh trembles, and a mask must not

_ROUNDING_S = 0.001


@dataclass(frozen=True, slots=True)
class Timing:
    """What the inventory says of a source: where its timeline starts, and how it is turned."""

    origin_us: int
    rotation_deg: int
    duration_us: int


@dataclass(slots=True)
class Footage:
    """Frames of one stretch.

    start_s when the first frame is shown, on the source's timeline; pts_us (F,) from there; frames F x (H, W, 3) uint8 RGB;
    landmarks (F, 468, 3) float32 in their pixels, NaN where there is no face; frame_s the usual distance of two frames.
    """

    start_s: float
    pts_us: NDArray[np.int64]
    frames: list[NDArray[np.uint8]]
    landmarks: NDArray[np.float32]
    frame_s: float

    @property
    def has_face(self) -> NDArray[np.bool_]:
        """(F,) whether the frame has landmarks."""
        found: NDArray[np.bool_] = np.isfinite(self.landmarks[:, 0, 0])
        return found

    @property
    def duration_s(self) -> float:
        return float(self.pts_us[-1]) / 1e6 + self.frame_s


def read_footage(
    path: Path,
    timing: Timing,
    all_pts_us: NDArray[np.int64],
    landmarks: NDArray[np.float32],
    start_s: float,
    end_s: float,
    scale: float,
) -> Footage:
    """The frames of a source that begin at `start_s` or later and are over by `end_s`.

    Args:
        path: a local file.
        timing: of that file.
        all_pts_us: (N,) the times of all its frames, as `survey` saw them.
        landmarks: (N, 468, 3) in the source's pixels, NaN without a face.
        start_s: on the source's timeline.
        end_s: of the last frame.
        scale: from source pixels to the stretch's, at most 1.

    Raises:
        MediaError: it does not decode, or has no frame there.
    """
    kept, pictures = [], []
    frame_s = float(np.median(np.diff(all_pts_us))) / 1e6 if len(all_pts_us) > 1 else 0.04
    rows = {int(t): i for i, t in enumerate(all_pts_us)}
    for frame in scan_video(path, timing.origin_us, timing.rotation_deg, DecodeParams(), Damage()):
        if frame.pts_us / 1e6 + frame_s > end_s + _ROUNDING_S:
            break
        if frame.pts_us / 1e6 >= start_s - _ROUNDING_S and frame.pts_us in rows:
            pictures.append(_shrink(frame.rgb(), scale))
            kept.append(rows[frame.pts_us])
    if not pictures:
        raise MediaError(Reason.NO_FRAMES, f"none between {start_s:.2f} and {end_s:.2f} s", Outcome.FAILED)
    pts_us = all_pts_us[kept]
    points = smooth_landmarks(landmarks[kept]) * np.float32(scale)
    return Footage(float(pts_us[0]) / 1e6, pts_us - pts_us[0], pictures, points, frame_s)


def read_wave(path: Path, timing: Timing, rate_hz: int) -> NDArray[np.float32]:
    """(N,) float32 mono of the whole source from the start of its timeline; zero where there is no sound."""
    length = round(timing.duration_us * rate_hz / 1e6)
    track = read_track(scan_audio(path, timing.origin_us, timing.duration_us, []), length, rate_hz)
    return track.wave if track is not None else np.zeros(length, np.float32)


def smooth_landmarks(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """(F, 468, 3), averaged over five frames with weights; NaN frames stay NaN and lend nothing."""
    known = np.isfinite(landmarks[:, :1, :1])
    values = np.where(known, landmarks, 0)
    total, weights = np.zeros_like(values), np.zeros(known.shape, np.float32)
    for offset, weight in zip(range(-2, 3), _SMOOTH, strict=True):
        here = slice(max(0, -offset), len(values) - max(0, offset))
        there = slice(max(0, offset), len(values) + min(0, offset))
        total[here] += np.float32(weight) * values[there]
        weights[here] += np.float32(weight) * known[there]
    smooth: NDArray[np.float32] = np.where(known, total / np.maximum(weights, 1e-6), np.nan).astype(np.float32)
    return smooth


def runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(start, stop) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(start, stop) for start, stop in edges.reshape(-1, 2).tolist()]


def _shrink(rgb: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    if scale >= 1:
        return rgb
    size = (max(2, round(rgb.shape[1] * scale)), max(2, round(rgb.shape[0] * scale)))
    small: NDArray[np.uint8] = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return small
