"""Lids redrawn by the iris network: shut eyes shut, all else as the mesh had it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from schemas.params import DecodeParams, FaceParams
from stages.decoding import Damage, scan_video
from stages.face.detector import FaceDetector
from stages.face.eyes import EYES, MAX_FAR_YAW_DEG, MIN_WIDTH_PX, EyeRefiner
from stages.face.mesh import FaceMesh, Region
from stages.sampling import nearest_frames

CLIP = Path(__file__).parents[4] / "shared" / "media" / "pyfeat" / "WolfgangLanger_Pexels.mp4"
SHUT, OPEN = (48, 60, 72, 84), (216, 240, 264, 288)
"""Ticks of the clip: tears behind shut eyes, then an upward look."""
LIDS = sorted(i for eye in EYES for i in eye.lids)
RIGHT, LEFT = EYES

pytestmark = pytest.mark.skipif(not CLIP.exists(), reason="shared media are not here")


class Face(NamedTuple):
    """One tick: (H, W, 3) picture and (468, 3) plain mesh in its pixels."""

    rgb: NDArray[np.uint8]
    landmarks: NDArray[np.float32]


@pytest.fixture(scope="module")
def faces() -> dict[int, Face]:
    detector, mesh = FaceDetector(FaceParams().min_detection_score), FaceMesh()
    found = {}
    for tick, frame in nearest_frames(scan_video(CLIP, 0, 0, DecodeParams(), Damage())):
        if tick in SHUT + OPEN:
            rgb = frame.rgb()
            rough, _ = mesh(rgb, Region.around_detection(detector(rgb)[0]))
            found[tick] = Face(rgb, mesh(rgb, Region.around_mesh(rough))[0])
        if tick > max(OPEN):
            break
    return found


@pytest.fixture(scope="module")
def refine() -> EyeRefiner:
    return EyeRefiner()


def lid_gap(landmarks: NDArray[np.float32], eye: tuple[int, int, int, int]) -> float:
    """Distance of the lids' middles, as a share of the distance of the corners."""
    outer, inner, upper, lower = landmarks[list(eye), :2]
    return float(np.linalg.norm(upper - lower) / np.linalg.norm(outer - inner))


def turned(landmarks: NDArray[np.float32], yaw_deg: float) -> NDArray[np.float32]:
    """The mesh turned to its own left around the vertical axis through its middle."""
    angle = np.radians(yaw_deg)
    turn = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    middle = landmarks.mean(0)
    return ((landmarks - middle) @ turn.T + middle).astype(np.float32)


@pytest.mark.parametrize("eye", [(33, 133, 159, 145), (263, 362, 386, 374)], ids=["right", "left"])
def test_shut_eyes_have_a_clearly_smaller_lid_gap_than_open_ones(
    faces: dict[int, Face], refine: EyeRefiner, eye: tuple[int, int, int, int]
) -> None:
    gap = {tick: lid_gap(refine(*face), eye) for tick, face in faces.items()}
    assert max(gap[tick] for tick in SHUT) < 0.15
    assert min(gap[tick] for tick in OPEN) > 0.2


def test_only_the_x_and_y_of_lids_change(faces: dict[int, Face], refine: EyeRefiner) -> None:
    for face in faces.values():
        before = face.landmarks.copy()
        after = refine(*face)
        assert after.shape == (468, 3) and after.dtype == np.float32
        assert np.array_equal(face.landmarks, before)
        assert np.flatnonzero((after[:, :2] != before[:, :2]).any(1)).tolist() == LIDS
        assert np.array_equal(after[:, 2], before[:, 2])


def test_lids_stay_near_the_eye(faces: dict[int, Face], refine: EyeRefiner) -> None:
    for face in faces.values():
        for eye in EYES:
            width = np.linalg.norm(face.landmarks[eye.inner] - face.landmarks[eye.outer])
            moved = (refine(*face) - face.landmarks)[list(eye.lids)]
            assert np.abs(moved).max() < 0.5 * width


def test_the_two_eyes_are_treated_as_mirror_images(faces: dict[int, Face], refine: EyeRefiner) -> None:
    rgb, landmarks = faces[OPEN[0]]
    mirrored = landmarks.copy()
    mirrored[:, 0] = rgb.shape[1] - 1 - mirrored[:, 0]
    swapped = mirrored.copy()
    for one, other in ((RIGHT, LEFT), (LEFT, RIGHT)):
        points = [one.outer, *one.lower_lid, one.inner, *one.upper_lid], [other.outer, *other.lower_lid, other.inner, *other.upper_lid]
        swapped[points[0]] = mirrored[points[1]]
    after = refine(np.ascontiguousarray(rgb[:, ::-1]), swapped)
    expected = refine(rgb, landmarks)[list(LEFT.lids), 0]
    assert rgb.shape[1] - 1 - after[list(RIGHT.lids), 0] == pytest.approx(expected, abs=0.5)


def test_tiny_eyes_stay_untouched(faces: dict[int, Face], refine: EyeRefiner) -> None:
    rgb, landmarks = faces[OPEN[0]]
    scale = np.float32(0.9 * MIN_WIDTH_PX / max(np.linalg.norm(landmarks[eye.inner, :2] - landmarks[eye.outer, :2]) for eye in EYES))
    small = cv2.resize(rgb, None, fx=float(scale), fy=float(scale), interpolation=cv2.INTER_AREA)
    assert np.array_equal(refine(small, landmarks * scale), landmarks * scale)


@pytest.mark.parametrize(("sign", "far"), [(1, LEFT), (-1, RIGHT)], ids=["to its left", "to its right"])
def test_the_far_eye_of_a_turned_face_stays_untouched(faces: dict[int, Face], refine: EyeRefiner, sign: int, far: tuple[int, ...]) -> None:
    rgb, landmarks = faces[OPEN[0]]
    landmarks = turned(landmarks, sign * (MAX_FAR_YAW_DEG + 15))
    changed = np.flatnonzero((refine(rgb, landmarks) != landmarks).any(1)).tolist()
    near = LEFT if far is RIGHT else RIGHT
    assert changed == sorted(near.lids)


def test_an_eye_beyond_the_picture_gives_finite_points(faces: dict[int, Face], refine: EyeRefiner) -> None:
    rgb, landmarks = faces[OPEN[0]]
    assert np.isfinite(refine(rgb, landmarks - np.float32([10_000, 0, 0]))).all()


def test_the_same_face_gives_the_same_points(faces: dict[int, Face], refine: EyeRefiner) -> None:
    face = faces[OPEN[0]]
    first = refine(*face)
    refine(*faces[SHUT[0]])
    assert np.array_equal(refine(*face), first) and np.array_equal(EyeRefiner()(*face), first)
