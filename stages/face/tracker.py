"""Tracker: one number for one face, from its first to its last tick in a shot, across short gaps."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from schemas.params import FaceParams
from stages.face.crop import cut_out
from stages.face.cuts import CutDetector
from stages.face.detector import Detection, FaceDetector, iou
from stages.face.mesh import FaceMesh, Region

_LOOK_PX = 32  # side of the picture by which a face is recognised after a gap
_SAME_LOOK = 0.6  # cosine of two looks that may be the same person; measured: same 0.75-0.99, other 0.0-0.55
_SAME_PLACE_IOU = 0.3
_MAX_STEP = 0.6  # face sides that a face may move from one tick to the next
_LOOK_MEMORY = 0.9
_THOROUGH_EVERY = 5  # detections: a small face in a wide picture is found within a second


@dataclass(slots=True)
class FaceObservation:
    """One face at one tick: landmarks (468, 3) in picture pixels, box (4,) around them, presence in [0, 1]."""

    track: int
    landmarks: NDArray[np.float32]
    box: NDArray[np.float32]
    presence: float


@dataclass(slots=True)
class _Track:
    number: int
    landmarks: NDArray[np.float32]
    box: NDArray[np.float32]
    look: NDArray[np.float32]
    last_tick: int

    @property
    def side(self) -> float:
        return float((self.box[2:] - self.box[:2]).max())


class FaceTracker:
    """Follows every face of one video; call it tick by tick."""

    def __init__(self, detector: FaceDetector, mesh: FaceMesh, params: FaceParams) -> None:
        self._detector, self._mesh, self._params = detector, mesh, params
        self._is_cut = CutDetector(params.cut_threshold)
        self._active: list[_Track] = []
        self._lost: list[_Track] = []
        self._num_tracks = 0
        self._num_detections = 0
        self._next_detection = 0

    def __call__(self, tick: int, rgb: NDArray[np.uint8]) -> list[FaceObservation]:
        """The faces in a (H, W, 3) picture, by track number. Ticks must increase."""
        if self._is_cut(rgb):
            self._active, self._lost, self._next_detection = [], [], tick
        # A hole in the stream ends a track like a face that is away for as long.
        self._lost += [t for t in self._active if tick - t.last_tick > self._params.max_gap_ticks]
        self._active = [t for t in self._active if tick - t.last_tick <= self._params.max_gap_ticks]
        self._lost = [t for t in self._lost if tick - t.last_tick <= self._params.max_gap_ticks]
        seen = self._follow(tick, rgb)
        if tick >= self._next_detection:
            seen += self._detect(tick, rgb)
            self._next_detection = tick + self._params.detect_every_ticks
        return sorted(seen, key=lambda o: o.track)

    def _follow(self, tick: int, rgb: NDArray[np.uint8]) -> list[FaceObservation]:
        seen: list[FaceObservation] = []
        for track in list(self._active):
            landmarks, presence = self._mesh(rgb, Region.around_mesh(track.landmarks))
            box = _box_of(landmarks)
            moved = float(np.abs(_centre(box) - _centre(track.box)).max()) / max(track.side, 1.0)
            clash = any(iou(box, o.box) > 0.5 for o in seen)
            if presence < self._params.min_presence or moved > _MAX_STEP or clash or not _inside(box, rgb):
                self._active.remove(track)
                self._lost.append(track)
                self._next_detection = tick
                continue
            seen.append(self._update(track, tick, rgb, landmarks, box, presence))
        return seen

    def _detect(self, tick: int, rgb: NDArray[np.uint8]) -> list[FaceObservation]:
        new: list[FaceObservation] = []
        thorough = self._num_detections % _THOROUGH_EVERY == 0
        self._num_detections += 1
        for detection in self._detector(rgb, thorough):
            if len(self._active) >= self._params.max_faces:
                break
            if float((detection.box[2:] - detection.box[:2]).max()) < self._params.min_face_px:
                continue
            if any(_covers(track.box, detection) for track in self._active):
                continue
            fitted = self._fit(rgb, detection)
            if fitted is None:
                continue
            landmarks, presence = fitted
            box = _box_of(landmarks)
            if any(iou(track.box, box) > _SAME_PLACE_IOU for track in self._active):
                continue
            track = self._recognise(tick, rgb, landmarks, box)
            self._active.append(track)
            new.append(self._update(track, tick, rgb, landmarks, box, presence))
        return new

    def _fit(self, rgb: NDArray[np.uint8], detection: Detection) -> tuple[NDArray[np.float32], float] | None:
        landmarks, presence = self._mesh(rgb, Region.around_detection(detection))
        if presence < self._params.min_presence:
            return None
        # A second look from the first one's own region: the detector's square is off by a few per cent.
        landmarks, presence = self._mesh(rgb, Region.around_mesh(landmarks))
        if presence < self._params.min_presence or not _inside(_box_of(landmarks), rgb):
            return None
        return landmarks, presence

    def _recognise(self, tick: int, rgb: NDArray[np.uint8], landmarks: NDArray[np.float32], box: NDArray[np.float32]) -> _Track:
        """The lost track that this face continues, or a new one."""
        look = _look(rgb, landmarks)
        best, best_likeness = None, _SAME_LOOK
        for track in self._lost:
            gap = tick - track.last_tick
            ratio = float((box[2:] - box[:2]).max()) / max(track.side, 1.0)
            distance = float(np.linalg.norm(_centre(box) - _centre(track.box))) / max(track.side, 1.0)
            likeness = float(look @ track.look)
            if 0.5 < ratio < 2.0 and distance < 1.0 + 0.1 * gap and likeness > best_likeness:
                best, best_likeness = track, likeness
        if best is not None:
            self._lost.remove(best)
            return best
        self._num_tracks += 1
        return _Track(self._num_tracks - 1, landmarks, box, look, tick)

    def _update(
        self, track: _Track, tick: int, rgb: NDArray[np.uint8], landmarks: NDArray[np.float32], box: NDArray[np.float32], presence: float
    ) -> FaceObservation:
        if tick % self._params.detect_every_ticks == 0:
            mixed = _LOOK_MEMORY * track.look + (1 - _LOOK_MEMORY) * _look(rgb, landmarks)
            track.look = (mixed / max(float(np.linalg.norm(mixed)), 1e-6)).astype(np.float32)
        track.landmarks, track.box, track.last_tick = landmarks, box, tick
        return FaceObservation(track.number, landmarks, box, presence)


def _box_of(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([landmarks[:, :2].min(0), landmarks[:, :2].max(0)])


def _centre(box: NDArray[np.float32]) -> NDArray[np.float32]:
    return ((box[:2] + box[2:]) / 2).astype(np.float32)


def _covers(box: NDArray[np.float32], detection: Detection) -> bool:
    centre = _centre(detection.box)
    return bool(np.all(centre > box[:2]) and np.all(centre < box[2:])) or iou(box, detection.box) > _SAME_PLACE_IOU


def _inside(box: NDArray[np.float32], rgb: NDArray[np.uint8]) -> bool:
    """Whether most of the box lies in the picture: a mesh can drift off the edge and stay sure of itself."""
    size = np.array([rgb.shape[1], rgb.shape[0]], np.float32)
    visible = np.prod(np.maximum(np.minimum(box[2:], size) - np.maximum(box[:2], 0), 0))
    return bool(np.isfinite(box).all() and visible >= 0.5 * np.prod(box[2:] - box[:2]))


def _look(rgb: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """(1024,) unit vector: the aligned face in grey, without its mean."""
    grey = cv2.cvtColor(cut_out(rgb, landmarks, 2 * _LOOK_PX), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_LOOK_PX, _LOOK_PX), interpolation=cv2.INTER_AREA).astype(np.float32).reshape(-1)
    small -= small.mean()
    return small / max(float(np.linalg.norm(small)), 1e-6)
