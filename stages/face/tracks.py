"""Tracks: which faces of one video are alive, which are lost, and whether a face that appears is one of those."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from schemas.params import FaceParams
from stages.face.crop import cut_out
from stages.face.cuts import CutDetector

_LOOK_PX = 32  # side of the picture by which a face is recognised after a gap
_SAME_LOOK = 0.6  # cosine of two looks that may be the same person; measured: same 0.75-0.99, other 0.0-0.55
_LOOK_MEMORY = 0.9


@dataclass(slots=True)
class FaceObservation:
    """One face at one tick: landmarks (468, 3) or (68, 2) in picture pixels, box (4,) around them, presence in [0, 1]."""

    track: int
    landmarks: NDArray[np.float32]
    box: NDArray[np.float32]
    presence: float


@dataclass(slots=True)
class Track:
    """A face that is or was followed, as it was last seen."""

    number: int
    landmarks: NDArray[np.float32]
    box: NDArray[np.float32]
    look: NDArray[np.float32]
    last_tick: int

    @property
    def side(self) -> float:
        return float((self.box[2:] - self.box[:2]).max())


class Tracks:
    """The tracks of one video."""

    def __init__(self, params: FaceParams) -> None:
        self._params = params
        self._is_cut = CutDetector(params.cut_threshold)
        self.active: list[Track] = []
        self._lost: list[Track] = []
        self._num_tracks = 0

    def begin(self, tick: int, rgb: NDArray[np.uint8]) -> bool:
        """A new tick, ticks must increase: ends what is too old. Whether a new shot begins, which ends all."""
        is_cut = self._is_cut(rgb)
        if is_cut:
            self.active, self._lost = [], []
        # A hole in the stream ends a track like a face that is away for as long.
        self._lost += [t for t in self.active if tick - t.last_tick > self._params.max_gap_ticks]
        self.active = [t for t in self.active if tick - t.last_tick <= self._params.max_gap_ticks]
        self._lost = [t for t in self._lost if tick - t.last_tick <= self._params.max_gap_ticks]
        return is_cut

    def lose(self, track: Track) -> None:
        """The face is not where it was; it may come back."""
        self.active.remove(track)
        self._lost.append(track)

    def appear(self, tick: int, rgb: NDArray[np.uint8], landmarks: NDArray[np.float32], box: NDArray[np.float32]) -> Track:
        """The lost track that a face continues, or a new one; it is active from now on."""
        track = self._recognise(tick, rgb, landmarks, box)
        self.active.append(track)
        return track

    def update(
        self, track: Track, tick: int, rgb: NDArray[np.uint8], landmarks: NDArray[np.float32], box: NDArray[np.float32], presence: float
    ) -> FaceObservation:
        """The face is seen."""
        if tick % self._params.detect_every_ticks == 0:
            mixed = _LOOK_MEMORY * track.look + (1 - _LOOK_MEMORY) * _look(rgb, landmarks)
            track.look = (mixed / max(float(np.linalg.norm(mixed)), 1e-6)).astype(np.float32)
        track.landmarks, track.box, track.last_tick = landmarks, box, tick
        return FaceObservation(track.number, landmarks, box, presence)

    def _recognise(self, tick: int, rgb: NDArray[np.uint8], landmarks: NDArray[np.float32], box: NDArray[np.float32]) -> Track:
        look = _look(rgb, landmarks)
        best, best_likeness = None, _SAME_LOOK
        for track in self._lost:
            gap = tick - track.last_tick
            ratio = float((box[2:] - box[:2]).max()) / max(track.side, 1.0)
            distance = float(np.linalg.norm(centre_of(box) - centre_of(track.box))) / max(track.side, 1.0)
            likeness = float(look @ track.look)
            if 0.5 < ratio < 2.0 and distance < 1.0 + 0.1 * gap and likeness > best_likeness:
                best, best_likeness = track, likeness
        if best is not None:
            self._lost.remove(best)
            return best
        self._num_tracks += 1
        return Track(self._num_tracks - 1, landmarks, box, look, tick)


def centre_of(box: NDArray[np.float32]) -> NDArray[np.float32]:
    """(2,) middle of a box."""
    return ((box[:2] + box[2:]) / 2).astype(np.float32)


def is_inside(box: NDArray[np.float32], rgb: NDArray[np.uint8]) -> bool:
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
