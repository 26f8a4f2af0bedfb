"""Tracker: one number for one face, from its first to its last tick in a shot, across short gaps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from schemas.params import FaceParams
from stages.face.detector import Detection, FaceDetector, iou
from stages.face.mesh import FaceMesh, Region
from stages.face.tracks import FaceObservation, Track, Tracks, centre_of, is_inside

__all__ = ["BoxTracker", "FaceObservation", "FaceTracker", "is_usable"]

_SAME_PLACE_IOU = 0.3
_MAX_STEP = 0.6  # face sides that a face may move from one tick to the next
_THOROUGH_EVERY = 5  # detections: a small face in a wide picture is found within a second


class FaceTracker:
    """Follows every face of one video by its mesh; call it tick by tick."""

    def __init__(self, detector: FaceDetector, mesh: FaceMesh, params: FaceParams) -> None:
        self._detector, self._mesh, self._params = detector, mesh, params
        self._tracks = Tracks(params)
        self._num_detections = 0
        self._next_detection = 0

    def __call__(self, tick: int, rgb: NDArray[np.uint8]) -> list[FaceObservation]:
        """The faces in a (H, W, 3) picture, by track number. Ticks must increase."""
        if self._tracks.begin(tick, rgb):
            self._next_detection = tick
        seen = self._follow(tick, rgb)
        if tick >= self._next_detection:
            seen += self._detect(tick, rgb)
            self._next_detection = tick + self._params.detect_every_ticks
        return sorted(seen, key=lambda o: o.track)

    def _follow(self, tick: int, rgb: NDArray[np.uint8]) -> list[FaceObservation]:
        seen: list[FaceObservation] = []
        for track in list(self._tracks.active):
            landmarks, presence = self._mesh(rgb, Region.around_mesh(track.landmarks))
            box = _box_of(landmarks)
            moved = float(np.abs(centre_of(box) - centre_of(track.box)).max()) / max(track.side, 1.0)
            clash = any(iou(box, o.box) > 0.5 for o in seen)
            if presence < self._params.min_presence or moved > _MAX_STEP or clash or not is_inside(box, rgb):
                self._tracks.lose(track)
                self._next_detection = tick
                continue
            seen.append(self._tracks.update(track, tick, rgb, landmarks, box, presence))
        return seen

    def _detect(self, tick: int, rgb: NDArray[np.uint8]) -> list[FaceObservation]:
        new: list[FaceObservation] = []
        thorough = self._num_detections % _THOROUGH_EVERY == 0
        self._num_detections += 1
        for detection in self._detector(rgb, thorough):
            if len(self._tracks.active) >= self._params.max_faces:
                break
            if float((detection.box[2:] - detection.box[:2]).max()) < self._params.min_face_px:
                continue
            if any(_covers(track.box, detection) for track in self._tracks.active):
                continue
            fitted = self._fit(rgb, detection)
            if fitted is None:
                continue
            landmarks, presence = fitted
            box = _box_of(landmarks)
            if any(iou(track.box, box) > _SAME_PLACE_IOU for track in self._tracks.active):
                continue
            track = self._tracks.appear(tick, rgb, landmarks, box)
            new.append(self._tracks.update(track, tick, rgb, landmarks, box, presence))
        return new

    def _fit(self, rgb: NDArray[np.uint8], detection: Detection) -> tuple[NDArray[np.float32], float] | None:
        landmarks, presence = self._mesh(rgb, Region.around_detection(detection))
        if presence < self._params.min_presence:
            return None
        # A second look from the first one's own region: the detector's square is off by a few per cent.
        landmarks, presence = self._mesh(rgb, Region.around_mesh(landmarks))
        if presence < self._params.min_presence or not is_inside(_box_of(landmarks), rgb):
            return None
        return landmarks, presence


class BoxTracker:
    """Gives numbers to faces that a detector finds on every tick."""

    def __init__(self, params: FaceParams) -> None:
        self._params = params
        self._tracks = Tracks(params)

    def __call__(
        self, tick: int, rgb: NDArray[np.uint8], boxes: NDArray[np.float32], points: NDArray[np.float32]
    ) -> list[tuple[FaceObservation, int]]:
        """The faces that are followed, by track number, each with its row in `boxes`. Ticks must increase.

        Args:
            tick: on the 25 Hz clock.
            rgb: (H, W, 3) picture.
            boxes: (N, 5) left, top, right, bottom, score, strongest first.
            points: (N, 68, 2) landmarks in picture pixels.
        """
        self._tracks.begin(tick, rgb)
        usable = [i for i in range(len(boxes)) if is_usable(boxes[i], rgb, self._params) and np.isfinite(points[i]).all()]
        followed = self._pair(usable, boxes)
        for track in list(self._tracks.active):
            if not any(track is other for other in followed.values()):
                self._tracks.lose(track)
        seen = []
        for i in usable:
            if i not in followed:
                if len(self._tracks.active) >= self._params.max_faces:
                    continue
                followed[i] = self._tracks.appear(tick, rgb, points[i], boxes[i, :4])
            track = followed[i]
            seen.append((self._tracks.update(track, tick, rgb, points[i], boxes[i, :4], float(boxes[i, 4])), i))
        return sorted(seen, key=lambda pair: pair[0].track)

    def _pair(self, usable: Sequence[int], boxes: NDArray[np.float32]) -> dict[int, Track]:
        """Rows of `boxes` with the active tracks that they continue, the largest overlap first."""
        candidates = [(iou(track.box, boxes[i, :4]), i, track) for i in usable for track in self._tracks.active]
        candidates.sort(key=lambda c: (-c[0], c[1], c[2].number))
        pairs: dict[int, Track] = {}
        for overlap, i, track in candidates:
            if overlap > _SAME_PLACE_IOU and i not in pairs and not any(track is other for other in pairs.values()):
                pairs[i] = track
        return pairs


def is_usable(box: NDArray[np.float32], rgb: NDArray[np.uint8], params: FaceParams) -> bool:
    """Whether a detector's box, (>= 4,), is large enough and far enough in the picture for a face that is followed."""
    return float((box[2:4] - box[:2]).max()) >= params.min_face_px and is_inside(box[:4], rgb)


def _box_of(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([landmarks[:, :2].min(0), landmarks[:, :2].max(0)])


def _covers(box: NDArray[np.float32], detection: Detection) -> bool:
    centre = centre_of(detection.box)
    return bool(np.all(centre > box[:2]) and np.all(centre < box[2:])) or iou(box, detection.box) > _SAME_PLACE_IOU
