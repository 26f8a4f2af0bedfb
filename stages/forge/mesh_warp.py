"""Mesh warp: one face's pixels drawn onto another face's mesh, triangle by triangle."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay  # type: ignore[import-untyped]

from stages.face.crop import align

_MAX_GRID = 176  # sides of the map that is computed; larger faces get it enlarged, which a map bears and a picture would not
_MIN_AREA = 0.05  # pixels of the grid: a triangle seen edge-on has no inverse
_SHIFT = 4  # fractional bits of OpenCV's polygon corners
_MARGIN = 0.06  # of the face's side, around it


@dataclass(frozen=True, slots=True)
class Box:
    """A stretch of the picture: columns left to right, rows top to bottom, ends exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def rows(self) -> slice:
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        return slice(self.left, self.right)

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


def face_box(landmarks: NDArray[np.float32], width: int, height: int) -> Box | None:
    """The box around a face, as far as it lies in a picture of this size; None when hardly any of it does."""
    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    margin = float((high - low).max()) * _MARGIN
    left, top = np.clip(np.floor(low - margin).astype(int), 0, [width, height])
    right, bottom = np.clip(np.ceil(high + margin).astype(int), 0, [width, height])
    return Box(int(left), int(top), int(right), int(bottom)) if right - left >= 16 and bottom - top >= 16 else None


def aligned_shape(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """(468, 2) landmarks turned upright, the crop's side as the unit."""
    affine = align(landmarks, 1)
    return landmarks[:, :2].astype(np.float64) @ affine[:, :2].T + affine[:, 2]


class MeshWarp:
    """Warps between meshes with one triangulation for a whole track, so that neighbouring frames are cut alike."""

    def __init__(self, landmarks: NDArray[np.float32]) -> None:
        """landmarks: (F, 468, 3) of a track, NaN frames left out; their mean upright shape is triangulated (Delaunay)."""
        shape = np.mean([aligned_shape(points) for points in landmarks], axis=0)
        self._triangles: NDArray[np.intp] = Delaunay(shape).simplices.astype(np.intp)

    def __call__(
        self, picture: NDArray[np.uint8], source: NDArray[np.float32], target: NDArray[np.float32], box: Box
    ) -> NDArray[np.float32]:
        """(box.height, box.width, 3) float32: the source face where the target face is.

        Args:
            picture: (H, W, 3) that holds the source face.
            source: (468, >=2) in its pixels.
            target: (468, 3) in the pixels of the picture that is painted on; z decides what hides what on a turned head.
            box: of that picture. Outside the mesh the warp goes on as the affine map that fits best, so that nothing is black.
        """
        shrink = min(1.0, _MAX_GRID / max(box.width, box.height))
        width, height = max(2, round(box.width * shrink)), max(2, round(box.height * shrink))
        scale = np.array([width / box.width, height / box.height])
        points = (target[:, :2].astype(np.float64) - [box.left, box.top] + 0.5) * scale - 0.5
        maps = self._maps(points, source[:, :2].astype(np.float64), target[:, 2], width, height)
        # Only the part that is looked at: remap is limited to 32767 pixels and reads faster from a small picture.
        low = np.clip(np.floor(maps.min((0, 1))).astype(int) - 2, 0, [picture.shape[1] - 2, picture.shape[0] - 2])
        high = np.clip(np.ceil(maps.max((0, 1))).astype(int) + 3, low + 2, [picture.shape[1], picture.shape[0]])
        part = picture[low[1] : high[1], low[0] : high[0]].astype(np.float32)
        maps = (maps - low).astype(np.float32)
        if shrink < 1:
            maps = cv2.resize(maps, (box.width, box.height), interpolation=cv2.INTER_LINEAR)
        warped: NDArray[np.float32] = cv2.remap(part, maps[:, :, 0], maps[:, :, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        return warped

    def _maps(
        self, points: NDArray[np.float64], source: NDArray[np.float64], depth: NDArray[np.float32], width: int, height: int
    ) -> NDArray[np.float64]:
        """(height, width, 2) where in the source each pixel of the grid comes from."""
        corners = points[self._triangles]  # (T, 3, 2)
        ones = np.ones((*corners.shape[:2], 1))
        square = np.concatenate([corners, ones], axis=2)  # rows x, y, 1
        area = np.abs(np.linalg.det(square)) / 2
        order = np.argsort(-depth[self._triangles].mean(1), kind="stable")  # far ones first
        order = order[area[order] > _MIN_AREA]
        affine = np.empty((len(corners) + 1, 3, 2))
        affine[0] = np.linalg.lstsq(np.hstack([points, np.ones((len(points), 1))]), source, rcond=None)[0]
        affine[1:][order] = np.linalg.solve(square[order], source[self._triangles[order]])
        index = np.zeros((height, width), np.int32)
        fixed = np.round(corners * (1 << _SHIFT)).astype(np.int32)
        for triangle in order.tolist():
            cv2.fillConvexPoly(index, fixed[triangle], triangle + 1, shift=_SHIFT)
        y, x = np.mgrid[0:height, 0:width].astype(np.float64)
        chosen = affine[index]  # (height, width, 3, 2)
        maps: NDArray[np.float64] = x[:, :, None] * chosen[:, :, 0] + y[:, :, None] * chosen[:, :, 1] + chosen[:, :, 2]
        return maps
