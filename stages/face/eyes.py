"""Eyes: the lids of a mesh, redrawn by a network that looks at nothing but the eye (MediaPipe Iris)."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.face.models import IRIS_FILE, LiteRtModel
from stages.face.pose import pose_degrees

INPUT_PX = 64
MIN_WIDTH_PX = 12.0
"""A narrower eye, corner to corner, is left alone. Measured on a clip shrunk from 46 px: the lid gap is off by 0.004 of the eye's
width at 24 px, 0.010 at 12 and 0.018 at 6, and that with corners from the full picture."""
MAX_FAR_YAW_DEG = 40.0
"""Beyond this turn the far eye hides behind the nose."""

_MARGIN = 2.3  # the network was trained on squares 2.3 times the eye, brow included
_MAX_SHRINK = 4  # 64 x 4 pixels: only eyes over 139 px wide, of faces over 700 px, alias


class _Eye(NamedTuple):
    """One eye of the person, as mesh landmarks, in the order of the network's first 16 points.

    The 55 points after them redraw brow and cheek, which the mesh sees well by itself.
    """

    outer: int
    lower_lid: tuple[int, ...]
    inner: int
    upper_lid: tuple[int, ...]
    is_left: bool
    """The network knows right eyes; it sees a left one in the mirror."""

    @property
    def lids(self) -> tuple[int, ...]:
        return self.lower_lid + self.upper_lid


EYES = (
    _Eye(33, (7, 163, 144, 145, 153, 154, 155), 133, (246, 161, 160, 159, 158, 157, 173), is_left=False),
    _Eye(263, (249, 390, 373, 374, 380, 381, 382), 362, (466, 388, 387, 386, 385, 384, 398), is_left=True),
)
_LIDS = [*range(1, 8), *range(9, 16)]
"""The network's points for `_Eye.lids`. Its corners, 0 and 8, are left out: `stages.fau` hangs the head on the mesh's, which
tremble less than half as much, and the tremble would be in every action unit."""


class EyeRefiner:
    """Redraws both eyes of a mesh."""

    def __init__(self) -> None:
        self._model = LiteRtModel(IRIS_FILE)

    def __call__(self, rgb: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """A copy of the landmarks with the lids' x and y overwritten; corners, brows and all else stay.

        z stays the mesh's, as in MediaPipe's own refinement: the network's zero lies in the eye, not in the head, and lids that
        jump in depth would turn into lids that jump in height as soon as the head nods.

        Args:
            rgb: (H, W, 3) picture.
            landmarks: (468, 3) in picture pixels, as `FaceMesh` returns them.

        Returns:
            (468, 3). Eyes narrower than `MIN_WIDTH_PX`, and the far eye of a face turned by more than `MAX_FAR_YAW_DEG`,
            are left as they were.
        """
        refined = landmarks.copy()
        yaw_deg = float(pose_degrees(landmarks.astype(np.float64))[1])
        for eye in EYES:
            is_far = (yaw_deg if eye.is_left else -yaw_deg) > MAX_FAR_YAW_DEG
            wide = float(np.linalg.norm(landmarks[eye.inner, :2] - landmarks[eye.outer, :2])) >= MIN_WIDTH_PX
            if wide and not is_far:
                refined[eye.lids, :2] = self._lids(rgb, landmarks, eye)
        return refined

    def _lids(self, rgb: NDArray[np.uint8], landmarks: NDArray[np.float32], eye: _Eye) -> NDArray[np.float32]:
        """(14, 2) picture pixels of `eye.lids`."""
        affine = _to_picture(landmarks, eye)
        points = self._model(_patch(rgb, affine))[0].reshape(-1, 3)[_LIDS, :2]
        return np.asarray(points @ affine[:, :2].T + affine[:, 2], np.float32)


def _to_picture(landmarks: NDArray[np.float32], eye: _Eye) -> NDArray[np.float32]:
    """(2, 3) affine map from network pixels, x from the outer to the inner corner, to picture pixels."""
    outer, inner = landmarks[eye.outer, :2], landmarks[eye.inner, :2]
    along = (inner - outer) * (_MARGIN / INPUT_PX)
    down = np.array([-along[1], along[0]]) * (-1 if eye.is_left else 1)
    linear = np.stack([along, down], axis=1)
    return np.hstack([linear, ((outer + inner) / 2 - linear.sum(1) * (INPUT_PX / 2))[:, None]]).astype(np.float32)


def _patch(rgb: NDArray[np.uint8], affine: NDArray[np.float32]) -> NDArray[np.float32]:
    """(64, 64, 3) in [0, 1]. A large eye is cut out larger and averaged down, else its lashes alias."""
    shrink = int(np.clip(np.hypot(affine[0, 0], affine[1, 0]), 1, _MAX_SHRINK))
    side = INPUT_PX * shrink
    fine = affine / np.array([shrink, shrink, 1], np.float32)
    patch = cv2.warpAffine(rgb, fine, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT)
    if shrink > 1:
        patch = cv2.resize(patch, (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_AREA)
    return patch.astype(np.float32) / 255.0
