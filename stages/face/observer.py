"""Observer: what a backend sees in a video's pictures, one after the other; and the backend of the mesh."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.params import FaceParams
from stages.decoding import VideoFrame
from stages.face.detector import FaceDetector
from stages.face.eyes import EyeRefiner
from stages.face.mesh import FaceMesh
from stages.face.pose import pose_degrees
from stages.face.tracker import FaceTracker
from stages.face.tracks import FaceObservation


@dataclass(slots=True)
class Shown:
    """A frame and the ticks that it stands for: more than one where the source is slow."""

    ticks: list[int]
    frame: VideoFrame


@dataclass(slots=True)
class Face:
    """One face: what the tracker saw, the landmarks to store, (468, 3) in picture pixels or None, pitch, yaw and roll in degrees.

    `patch` are cells of PATCHES, where the backend makes that table.
    """

    seen: FaceObservation
    landmarks: NDArray[np.float32] | None
    pose_deg: NDArray[np.float64]
    patch: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Looked:
    """A frame, its (H, W, 3) picture and the faces in it, by track number."""

    shown: Shown
    rgb: NDArray[np.uint8]
    faces: list[Face]


Observer = Callable[[Iterator[Shown]], Iterator[Looked]]
"""Called once for each video."""


class MeshObserver:
    """Holds the detector, the mesh network and that of the lids for many videos."""

    def __init__(self, params: FaceParams) -> None:
        self._params = params
        self._detector = FaceDetector(params.min_detection_score)
        self._mesh = FaceMesh()
        self._refine_eyes = EyeRefiner()

    def __call__(self, shown: Iterator[Shown]) -> Iterator[Looked]:
        """One video, in order."""
        tracker = FaceTracker(self._detector, self._mesh, self._params)
        for one in shown:
            rgb = one.frame.rgb()
            yield Looked(one, rgb, [self._face(rgb, seen) for seen in tracker(one.ticks[0], rgb)])

    def _face(self, rgb: NDArray[np.uint8], seen: FaceObservation) -> Face:
        """Crop, pose and box stay with the tracker's own landmarks, which lids don't touch."""
        return Face(seen, self._refine_eyes(rgb, seen.landmarks), pose_degrees(seen.landmarks.astype(np.float64)))
