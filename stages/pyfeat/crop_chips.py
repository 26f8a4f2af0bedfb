"""Crop chips: py-feat's chips made from the aligned crops of the mesh backend, as near as those allow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from schemas.tables import NUM_LANDMARKS
from stages.face.crop import align
from stages.faces import decode_crop
from stages.pyfeat.adapter import MARGIN, NARROW_PX, SQUARE_PX


def narrow_chips_of_crops(rows: Sequence[dict[str, Any]]) -> NDArray[np.float32]:
    """(N, 3, 112, 112) in [0, 1]: the mesh's box, 1.2 times as large, squeezed into a square; black outside the crop.

    Args:
        rows: of FACES, backend mesh: box, landmarks, crop.
    """
    return np.stack([_chip(row, NARROW_PX, squeezed=True, border=cv2.BORDER_CONSTANT) for row in rows])


def square_chips_of_crops(rows: Sequence[dict[str, Any]]) -> NDArray[np.float32]:
    """(N, 3, 256, 256) in [0, 1]: the square around the mesh's box, 1.2 times as large; mirrored outside the crop."""
    return np.stack([_chip(row, SQUARE_PX, squeezed=False, border=cv2.BORDER_REFLECT_101) for row in rows])


def _chip(row: dict[str, Any], px: int, squeezed: bool, border: int) -> NDArray[np.float32]:
    """A chip is upright in the picture, a crop upright in the face: the stored landmarks say how the one lies in the other."""
    crop = decode_crop(row["crop"])
    box = np.asarray(row["box"], np.float64)
    centre, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    landmarks = np.asarray(row["landmarks"], np.float32).reshape(NUM_LANDMARKS, 3)[:, :2] * float(size.max()) + centre
    to_crop = align(landmarks.astype(np.float32), len(crop))  # (2, 3) crop pixels from picture pixels
    extent = MARGIN * (size if squeezed else np.full(2, size.max()))
    step = extent / px
    first = centre - extent / 2 + step / 2
    to_picture = np.array([[step[0], 0.0, first[0]], [0.0, step[1], first[1]], [0.0, 0.0, 1.0]])
    chip = cv2.warpAffine(crop, to_crop @ to_picture, (px, px), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=border)
    return np.ascontiguousarray(chip.transpose(2, 0, 1), np.float32) / np.float32(255)
