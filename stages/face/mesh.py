"""Mesh: 468 three-dimensional points of one face (MediaPipe Face Mesh)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.face.detector import Detection
from stages.face.models import MESH_FILE, LiteRtModel

INPUT_PX = 192
_MARGIN = 1.5  # the network was trained on squares 1.5 times the face
RIGHT_EYE_OUTER, LEFT_EYE_OUTER = 33, 263  # of the person, so right is left in the picture


@dataclass(frozen=True, slots=True)
class Region:
    """A rotated square of the picture: centre and side in pixels, angle in radians, clockwise on the screen."""

    centre: NDArray[np.float32]
    side: float
    angle: float

    @classmethod
    def around_detection(cls, detection: Detection) -> Region:
        box = detection.box
        return cls(((box[:2] + box[2:]) / 2).astype(np.float32), float((box[2:] - box[:2]).max()) * _MARGIN, _angle(*detection.eyes))

    @classmethod
    def around_mesh(cls, landmarks: NDArray[np.float32]) -> Region:
        """The region for the next tick, from this tick's (468, 3) landmarks."""
        angle = _angle(landmarks[RIGHT_EYE_OUTER, :2], landmarks[LEFT_EYE_OUTER, :2])
        cos, sin = np.cos(-angle), np.sin(-angle)
        upright = landmarks[:, :2] @ np.array([[cos, -sin], [sin, cos]], np.float32).T
        low, high = upright.min(0), upright.max(0)
        centre = np.array([[cos, sin], [-sin, cos]], np.float32) @ ((low + high) / 2)
        return cls(centre.astype(np.float32), float((high - low).max()) * _MARGIN, angle)

    def to_picture(self) -> NDArray[np.float32]:
        """(2, 3) affine map from network pixels to picture pixels."""
        scale = self.side / INPUT_PX
        cos, sin = np.cos(self.angle) * scale, np.sin(self.angle) * scale
        half = INPUT_PX / 2
        linear = np.array([[cos, -sin], [sin, cos]], np.float32)
        return np.hstack([linear, (self.centre - linear @ np.array([half, half], np.float32))[:, None]]).astype(np.float32)


class FaceMesh:
    """Fits the mesh inside a region."""

    def __init__(self) -> None:
        self._model = LiteRtModel(MESH_FILE)

    def __call__(self, rgb: NDArray[np.uint8], region: Region) -> tuple[NDArray[np.float32], float]:
        """Landmarks (468, 3) in picture pixels, z towards the back of the head, and the probability of a face."""
        affine = region.to_picture()
        patch = cv2.warpAffine(
            rgb, affine, (INPUT_PX, INPUT_PX), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT
        )
        points, logit = self._model(patch.astype(np.float32) / 255.0)
        mesh = points.reshape(-1, 3)
        flat = mesh[:, :2] @ affine[:, :2].T + affine[:, 2]
        depth = mesh[:, 2:] * (region.side / INPUT_PX)
        presence = 1.0 / (1.0 + np.exp(-np.clip(float(logit.reshape(-1)[0]), -80, 80)))
        return np.hstack([flat, depth]).astype(np.float32), float(presence)


def _angle(right_eye: NDArray[np.float32], left_eye: NDArray[np.float32]) -> float:
    return float(np.arctan2(left_eye[1] - right_eye[1], left_eye[0] - right_eye[0]))
