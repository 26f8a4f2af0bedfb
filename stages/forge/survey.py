"""Survey: what a source offers a forger: where its main face is, what it looks like, and whether somebody is heard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fauforensics.frontend import SAMPLE_RATE_HZ
from schemas.params import DecodeParams, FaceParams
from schemas.reasons import Reason
from stages.audio import read_track
from stages.contract import MediaError
from stages.decoding import Damage, scan_audio, scan_video
from stages.face.crop import cut_out
from stages.face.detector import FaceDetector
from stages.face.mesh import FaceMesh
from stages.face.tracker import FaceTracker
from stages.forge.audio_kinds import heard
from stages.forge.footage import Timing

_LOOK_PX, _LOOK_CROP_PX = 40, 160
_FINE_PX, _COARSE_PX = 3.0, 24.0  # of a 160 px crop: pores and light fall out, features stay
_LOOK_EVERY = 5


@dataclass(slots=True)
class Survey:
    """One source.

    pts_us (N,) of every frame looked at; landmarks (N, 468, 3) float32 of the main face in source pixels, NaN without;
    look (1600,) float32 unit vector; face_px mean side of the face; heard_share share of time in which sound is loud enough.
    """

    pts_us: NDArray[np.int64]
    landmarks: NDArray[np.float32]
    look: NDArray[np.float32]
    face_px: float
    width: int
    height: int
    heard_share: float


class Surveyor:
    """Holds the face networks for many sources."""

    def __init__(self) -> None:
        self._params = FaceParams()
        self._detector, self._mesh = FaceDetector(self._params.min_detection_score), FaceMesh()

    def __call__(self, path: Path, timing: Timing, look_s: float) -> Survey:
        """Looks at the first `look_s` seconds.

        Raises:
            MediaError: not decodable, or no face in it.
        """
        tracker = FaceTracker(self._detector, self._mesh, self._params)
        times: list[int] = []
        seen: list[dict[int, NDArray[np.float32]]] = []
        crops: dict[int, list[NDArray[np.uint8]]] = {}
        width = height = 0
        for frame in scan_video(path, timing.origin_us, timing.rotation_deg, DecodeParams(), Damage()):
            if frame.pts_us > look_s * 1e6:
                break
            if frame.suspect:
                continue
            rgb = frame.rgb()
            height, width = rgb.shape[:2]
            here = {o.track: o.landmarks for o in tracker(frame.index, rgb)}
            if frame.index % _LOOK_EVERY == 0:
                for track, landmarks in here.items():
                    crops.setdefault(track, []).append(cut_out(rgb, landmarks, _LOOK_CROP_PX))
            times.append(frame.pts_us)
            seen.append(here)
        if not times:
            raise MediaError(Reason.NO_FRAMES, "no undamaged frame")
        # The main face: seen longest, largest.
        weight: dict[int, float] = {}
        for here in seen:
            for track, landmarks in here.items():
                weight[track] = weight.get(track, 0.0) + float(np.ptp(landmarks[:, 0]))
        usable = [track for track in weight if track in crops]
        if not usable:
            raise MediaError(Reason.NO_FACE, f"in none of {len(times)} frames")
        main = max(usable, key=lambda track: (weight[track], -track))
        landmarks = np.full((len(times), 468, 3), np.nan, np.float32)
        for i, here in enumerate(seen):
            if main in here:
                landmarks[i] = here[main]
        sides = np.ptp(landmarks[np.isfinite(landmarks[:, 0, 0])][:, :, :2], axis=1).max(1)
        share = self._heard(path, timing)
        return Survey(np.array(times, np.int64), landmarks, look_of(crops[main]), float(sides.mean()), width, height, share)

    def _heard(self, path: Path, timing: Timing) -> float:
        length = round(timing.duration_us * SAMPLE_RATE_HZ / 1e6)
        track = read_track(scan_audio(path, timing.origin_us, timing.duration_us, []), length)
        return 0.0 if track is None else float(heard(track.wave, SAMPLE_RATE_HZ).mean())


def look_of(crops: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """(1600,) unit vector: the mean aligned face in grey, between pores and lighting.

    Args:
        crops: (160, 160, 3) uint8 each, aligned.
    """
    mean = np.mean([crop.astype(np.float32) for crop in crops], axis=0)
    grey = cv2.cvtColor(mean.round().astype(np.uint8), cv2.COLOR_RGB2GRAY).astype(np.float32)
    band = cv2.GaussianBlur(grey, (0, 0), _FINE_PX) - cv2.GaussianBlur(grey, (0, 0), _COARSE_PX)
    small = cv2.resize(band, (_LOOK_PX, _LOOK_PX), interpolation=cv2.INTER_AREA).reshape(-1)
    small = small - small.mean()
    look: NDArray[np.float32] = (small / max(float(np.linalg.norm(small)), 1e-6)).astype(np.float32)
    return look
