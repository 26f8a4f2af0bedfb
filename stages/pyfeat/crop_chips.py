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
from stages.pyfeat.chips import MARGIN, Cut


def chips_of_crops(rows: Sequence[dict[str, Any]], cut: Cut) -> NDArray[np.float32]:
    """(N, 3, px, px) in [0, 1]: chips around the mesh's boxes; what lies outside the crop is black, or mirrored, as outside a picture.

    Args:
        rows: of FACES, backend mesh: box, landmarks, crop.
        cut: which chips.
    """
    return np.stack([_chip(row, cut) for row in rows])


def _chip(row: dict[str, Any], cut: Cut) -> NDArray[np.float32]:
    """A chip is upright in the picture, a crop upright in the face: the stored landmarks say how the one lies in the other."""
    crop = decode_crop(row["crop"])
    box = np.asarray(row["box"], np.float64)
    centre, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    landmarks = np.asarray(row["landmarks"], np.float32).reshape(NUM_LANDMARKS, 3)[:, :2] * float(size.max()) + centre
    to_crop = align(landmarks.astype(np.float32), len(crop))  # (2, 3) crop pixels from picture pixels
    extent = MARGIN * (size if cut.squeezed else np.full(2, size.max()))
    step = extent / cut.px
    first = centre - extent / 2 + step / 2
    to_picture = np.array([[step[0], 0.0, first[0]], [0.0, step[1], first[1]], [0.0, 0.0, 1.0]])
    border = cv2.BORDER_CONSTANT if cut.squeezed else cv2.BORDER_REFLECT_101
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    chip = cv2.warpAffine(crop, to_crop @ to_picture, (cut.px, cut.px), flags=flags, borderMode=border)
    return np.ascontiguousarray(chip.transpose(2, 0, 1), np.float32) / np.float32(255)
