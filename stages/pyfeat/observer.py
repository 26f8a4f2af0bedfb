"""Observer: the faces of one video as py-feat's networks see them, every tick anew, several pictures at a time."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from schemas.params import FaceParams
from schemas.tables import NUM_POINTS
from stages.batches import Batches
from stages.device import resolve_device
from stages.face.observer import Face, Looked, Shown
from stages.face.pose import pose_degrees_68
from stages.face.tracker import BoxTracker, is_usable
from stages.face.tracks import FaceObservation
from stages.pyfeat.adapter import FaceNet, LandmarkNet
from stages.pyfeat.chips import MARGIN, NARROW, cut_chips
from stages.pyfeat.patches import cut_patch, encode_patch

_CPU_PICTURES = 1  # larger batches are slower there: they fall out of the cache


class PyfeatObserver:
    """Holds RetinaFace and the landmark network for many videos.

    Args:
        params: of the stage.
        retinaface: weights of the detector.
        mobilefacenet: weights of the 68 landmarks.

    Raises:
        CheckpointError: a file holds something else.
        ParamsError: the device is not there.
    """

    def __init__(self, params: FaceParams, retinaface: Path, mobilefacenet: Path) -> None:
        self._params = params
        self.device = resolve_device(params.device, "faces.device")
        self._find = FaceNet(retinaface, self.device, params.min_detection_score)
        self._draw = LandmarkNet(mobilefacenet, self.device)
        self._batches = Batches(params.batch_pictures if self.device == "cuda" else _CPU_PICTURES)

    def __call__(self, shown: Iterator[Shown]) -> Iterator[Looked]:
        """One video, in order; looks ahead by a batch of pictures."""
        tracker = BoxTracker(self._params)
        while batch := list(itertools.islice(shown, max(self._batches.size, 1))):
            pictures = [one.frame.rgb() for one in batch]
            seen = self._batches.over(len(pictures), functools.partial(self._see, pictures))
            for one, rgb, (boxes, points) in zip(batch, pictures, itertools.chain.from_iterable(seen), strict=True):
                followed = tracker(one.ticks[0], rgb, boxes, _in_picture(points, boxes))
                yield Looked(one, rgb, [self._face(rgb, face, points[place]) for face, place in followed])

    def _see(self, pictures: list[NDArray[np.uint8]], part: slice) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """For each picture of a part boxes (N, 5) and points (N, 136), in sides of the chip."""
        with torch.inference_mode():
            stack = torch.from_numpy(np.stack(pictures[part])).to(self.device).permute(0, 3, 1, 2)  # (B, 3, H, W) uint8
            stack = stack.to(torch.float32, memory_format=torch.contiguous_format)
            # Points are drawn of those only that can be followed: they cost more than all else about a face.
            found = [
                boxes[[is_usable(box, rgb, self._params) for box in boxes]]
                for boxes, rgb in zip(self._find(stack), pictures[part], strict=True)
            ]
            stack /= 255.0
            chips = [
                cut_chips(picture, torch.from_numpy(boxes[:, :4]).to(self.device), NARROW)
                for picture, boxes in zip(stack, found, strict=True)
                if len(boxes)
            ]
            if not chips:
                return [(boxes, np.zeros((0, 2 * NUM_POINTS), np.float32)) for boxes in found]
            points = self._draw(torch.cat(chips)).float().cpu().numpy()
        return list(zip(found, np.split(points, np.cumsum([len(boxes) for boxes in found])[:-1]), strict=True))

    def _face(self, rgb: NDArray[np.uint8], seen: FaceObservation, points: NDArray[np.float32]) -> Face:
        patch = cut_patch(rgb, seen.box)
        return Face(
            seen,
            None,
            pose_degrees_68(seen.landmarks.astype(np.float64)),
            {
                "picture_width": patch.width,
                "picture_height": patch.height,
                "left": patch.left,
                "top": patch.top,
                "points": points,
                "patch": encode_patch(patch.pixels, self._params.patch_format, self._params.jpeg_quality),
            },
        )


def _in_picture(points: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 68, 2) picture pixels of points in sides of the chip, the box 1.2 times as large."""
    centre, size = (boxes[:, None, :2] + boxes[:, None, 2:4]) / 2, (boxes[:, None, 2:4] - boxes[:, None, :2]) * MARGIN
    return np.asarray(centre + (points.reshape(-1, NUM_POINTS, 2) - 0.5) * size, np.float32)
