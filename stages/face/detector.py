"""Detector: boxes and eye positions of the faces in a picture (MediaPipe BlazeFace, full range)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.face.models import DETECTOR_FILE, LiteRtModel

INPUT_PX = 192
_GRID = 48  # one anchor in the middle of each cell of 4 pixels
_NMS_IOU = 0.3
_RAW_SCORE_LIMIT = 80.0  # keeps exp() finite
TALL = 1.4
"""A picture this much longer than wide (or the reverse) is also searched in square tiles: letterboxed, faces shrink too far."""


@dataclass(frozen=True, slots=True)
class Detection:
    """box: (4,) left, top, right, bottom; eyes: (2, 2) right and left eye of the person; all in pixels."""

    box: NDArray[np.float32]
    eyes: NDArray[np.float32]
    score: float


class FaceDetector:
    """Finds faces in a whole picture."""

    def __init__(self, min_score: float) -> None:
        self._model = LiteRtModel(DETECTOR_FILE)
        self._min_score = min_score
        centres = (np.arange(_GRID, dtype=np.float32) + 0.5) / _GRID
        self._anchors = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)  # (2304, 2) x, y

    def __call__(self, rgb: NDArray[np.uint8], thorough: bool = True) -> list[Detection]:
        """Faces, strongest first.

        Args:
            rgb: (H, W, 3) uint8.
            thorough: search an elongated picture in tiles too, at four times the cost, even if a face was found without.
        """
        height, width = rgb.shape[:2]
        found = self._search(rgb, 0, 0)
        if max(height, width) > TALL * min(height, width) and (thorough or not found):
            side = min(height, width)
            for start in np.unique(np.linspace(0, max(height, width) - side, 3).astype(int)):
                left, top = (0, int(start)) if height > width else (int(start), 0)
                found += self._search(rgb[top : top + side, left : left + side], left, top)
        return _suppress(found)

    def _search(self, rgb: NDArray[np.uint8], left: int, top: int) -> list[Detection]:
        height, width = rgb.shape[:2]
        scale = INPUT_PX / max(height, width)
        small = cv2.resize(rgb, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA)
        pad_y, pad_x = (INPUT_PX - small.shape[0]) // 2, (INPUT_PX - small.shape[1]) // 2
        canvas = np.zeros((INPUT_PX, INPUT_PX, 3), np.float32)
        canvas[pad_y : pad_y + small.shape[0], pad_x : pad_x + small.shape[1]] = small.astype(np.float32) / 127.5 - 1.0
        raw, logits = self._model(canvas)
        scores = 1.0 / (1.0 + np.exp(-np.clip(logits.reshape(-1), -_RAW_SCORE_LIMIT, _RAW_SCORE_LIMIT)))
        keep = np.flatnonzero(scores >= self._min_score)
        points = raw.reshape(-1, 8, 2)[keep] / INPUT_PX  # centre, size, then six key points
        points[:, 0] += self._anchors[keep]
        points[:, 2:] += self._anchors[keep][:, None]
        offset = np.array([pad_x, pad_y], np.float32)
        origin = np.array([left, top], np.float32)
        found = []
        for p, score in zip(points * INPUT_PX, scores[keep], strict=True):
            low = (p[0] - p[1] / 2 - offset) / scale + origin
            high = (p[0] + p[1] / 2 - offset) / scale + origin
            if np.all(high > low):
                eyes = (p[2:4] - offset) / scale + origin
                found.append(Detection(np.concatenate([low, high]).astype(np.float32), eyes.astype(np.float32), float(score)))
        return found


def iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Intersection over union of two boxes (left, top, right, bottom)."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    overlap = float(np.prod(np.maximum(high - low, 0)))
    union = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - overlap
    return overlap / union if union > 0 else 0.0


def _suppress(found: list[Detection]) -> list[Detection]:
    """Weighted non-maximum suppression: overlapping answers are averaged by their score (BlazeFace, section 4.4)."""
    rest = sorted(found, key=lambda d: (-d.score, *d.box.tolist()))
    kept = []
    while rest:
        best = rest[0]
        group = [d for d in rest if d is best or iou(best.box, d.box) > _NMS_IOU]
        weights = np.array([d.score for d in group], np.float32)
        weights /= weights.sum()
        box = np.einsum("n,nk->k", weights, np.stack([d.box for d in group]))
        eyes = np.einsum("n,nkl->kl", weights, np.stack([d.eyes for d in group]))
        kept.append(Detection(box, eyes, best.score))
        members = {id(d) for d in group}
        rest = [d for d in rest if id(d) not in members]
    return kept
