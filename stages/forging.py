"""Forging: changes a stretch of real video, so that the truth of every frame is known."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.face.crop import align

_CROP_PX = 160
_MOUTH_CENTRE, _MOUTH_RADII = (0.5, 0.68), (0.26, 0.2)  # of the aligned crop's side
_FADE_S = 0.01


def replay_mouth(
    target: NDArray[np.uint8], target_landmarks: NDArray[np.float32], source: NDArray[np.uint8], source_landmarks: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """The target picture with the source picture's mouth, warped into place and blended under a soft ellipse.

    Args:
        target: (H, W, 3) uint8.
        target_landmarks: (468, 3) in its pixels.
        source: (H, W, 3) uint8, another moment of the same person.
        source_landmarks: (468, 3) in its pixels.
    """
    to_crop, from_source = _square(align(target_landmarks, _CROP_PX)), _square(align(source_landmarks, _CROP_PX))
    onto_target = (np.linalg.inv(to_crop) @ from_source)[:2]
    height, width = target.shape[:2]
    warped = cv2.warpAffine(source, onto_target, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    y, x = np.mgrid[0:_CROP_PX, 0:_CROP_PX] / _CROP_PX
    distance = np.hypot((x - _MOUTH_CENTRE[0]) / _MOUTH_RADII[0], (y - _MOUTH_CENTRE[1]) / _MOUTH_RADII[1])
    mask = np.clip((1.15 - distance) / 0.25, 0, 1).astype(np.float32)
    mask = cv2.warpAffine(mask, np.linalg.inv(to_crop)[:2], (width, height))[:, :, None]
    blended: NDArray[np.uint8] = (warped * mask + target * (1 - mask)).round().clip(0, 255).astype(np.uint8)
    return blended


def replace_sound(
    wave: NDArray[np.float32], other: NDArray[np.float32], start_s: float, end_s: float, sample_rate_hz: int
) -> NDArray[np.float32]:
    """The wave with `other` (from its start, repeated as needed) between two times, faded over 10 ms at both ends."""
    out = wave.copy()
    start, end = round(start_s * sample_rate_hz), min(round(end_s * sample_rate_hz), len(wave))
    length = end - start
    span = np.resize(other, length)
    fade = max(1, round(_FADE_S * sample_rate_hz))
    weight = np.minimum(1.0, np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1)) / fade).astype(np.float32)
    out[start:end] = span * weight + wave[start:end] * (1 - weight)
    return out


def _square(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.vstack([affine, [0.0, 0.0, 1.0]])
