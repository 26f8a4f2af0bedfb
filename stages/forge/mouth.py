"""Mouth replay: the mouth of another moment of the same talker, laid over this one's."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from stages.face.crop import align
from stages.face.pose import pose_degrees
from stages.forge.blend import Wear, colours_of, composite, draw_wear, relight, wear_out
from stages.forge.footage import Footage
from stages.forge.mesh_warp import Box, aligned_shape

_MOUTH_CENTRE = (0.5, 0.68)  # of the aligned crop's side
_REACH = 1.15  # radii: where the soft edge ends
_MIN_PX = 8
_MIN_APART_S = 0.3
_LIPS = (13, 14, 61, 291, 0, 17)
_CANDIDATES = 12


@dataclass(frozen=True, slots=True)
class MouthStyle:
    """An ellipse in the upright crop: half axes and width of its soft edge in sides; how much light is adapted; wear; opacity."""

    radius_x: float = 0.26
    radius_y: float = 0.2
    softness: float = 0.25
    light: float = 0.6
    ratio: float = 1.0
    wear: Wear = Wear(1.0, 0, 0.0, 0.0)  # noqa: RUF009 (frozen)


def draw_style(rng: Generator) -> MouthStyle:
    """A random style; the mouth itself always lies inside."""
    return MouthStyle(
        radius_x=float(rng.uniform(0.22, 0.31)),
        radius_y=float(rng.uniform(0.17, 0.24)),
        softness=float(rng.uniform(0.15, 0.4)),
        light=float(rng.uniform(0.2, 1.0)),
        ratio=float(rng.choice([0.85, 1.0, 1.0, 1.0])),
        wear=draw_wear(rng, most=1.8),
    )


def replay_mouth(
    target: NDArray[np.uint8],
    target_landmarks: NDArray[np.float32],
    source: NDArray[np.uint8],
    source_landmarks: NDArray[np.float32],
    style: MouthStyle = MouthStyle(),
    rng: Generator | None = None,
) -> NDArray[np.uint8]:
    """The target picture with the source picture's mouth.

    Args:
        target: (H, W, 3) uint8.
        target_landmarks: (468, 3) in its pixels.
        source: (H, W, 3) uint8, another moment of the same person.
        source_landmarks: (468, 3) in its pixels.
        style: of the mask and the wear.
        rng: for the noise of the wear.
    """
    box = _mouth_box(target_landmarks, style, target.shape[1], target.shape[0])
    if box is None:
        return target
    patch, mask = _laid_over(target_landmarks, source, source_landmarks, style, box)
    below = target[box.rows, box.columns].astype(np.float32)
    firm = (mask > 0.2 * style.ratio).astype(np.float32)
    # The same skin in the same room: only the mean is matched, an open mouth may be darker.
    shift = 0.5 * (colours_of(below, firm).mean - colours_of(patch, firm).mean)
    lit = relight(patch + shift.astype(np.float32), below, firm, style.light)
    return composite(target, wear_out(lit, style.wear, rng or np.random.default_rng(0)), mask, box)


def mouth_replay(footage: Footage, chosen: NDArray[np.bool_], rng: Generator) -> list[NDArray[np.uint8]] | None:
    """The footage's frames with mouths of another of its times where chosen; the others are the same objects.

    Args:
        footage: with landmarks wherever `chosen`.
        chosen: (F,) frames to forge, in one or more stretches.
        rng: draws style and times.

    Returns:
        None when there is no other time far enough away.
    """
    style = draw_style(rng)
    faces = np.flatnonzero(footage.has_face)
    out = list(footage.frames)
    places = np.flatnonzero(chosen)
    for part in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1):
        taken = _other_time(footage, part, faces, rng)
        if taken is None:
            return None
        for i, j in zip(part.tolist(), taken.tolist(), strict=True):
            out[i] = replay_mouth(footage.frames[i], footage.landmarks[i], footage.frames[j], footage.landmarks[j], style, rng)
    return out


def _other_time(footage: Footage, part: NDArray[np.intp], faces: NDArray[np.intp], rng: Generator) -> NDArray[np.intp] | None:
    """Frames, as many as `part`, in their own order and never near the frame that they replace.

    Among some draws the one is kept whose heads lie most alike and whose lips differ most.
    """
    apart = max(3, round(_MIN_APART_S / footage.frame_s))
    if len(faces) <= 2 * apart:
        return None
    lips = np.stack([aligned_shape(footage.landmarks[i])[list(_LIPS)].reshape(-1) for i in faces])
    pose = pose_degrees(footage.landmarks[faces].astype(np.float64))
    here = np.searchsorted(faces, part)
    best, best_score = None, -np.inf
    for _ in range(_CANDIDATES):
        shift = int(rng.integers(apart, len(faces) - apart + 1))
        there = (here + shift) % len(faces)  # beyond the end it goes on at the start
        score = float(np.abs(lips[there] - lips[here]).mean()) * 100 - 0.15 * float(np.abs(pose[there] - pose[here]).mean())
        if score > best_score:
            best, best_score = faces[there], score
    return best


def _mouth_box(landmarks: NDArray[np.float32], style: MouthStyle, width: int, height: int) -> Box | None:
    """The box that holds all of the ellipse, as far as it lies in the picture."""
    reach = np.array([style.radius_x, style.radius_y]) * _REACH
    corners = np.array(_MOUTH_CENTRE) + reach * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    inverse = np.linalg.inv(_square(align(landmarks, 1)))
    there = corners @ inverse[:2, :2].T + inverse[:2, 2]
    left, top = np.clip(np.floor(there.min(0)).astype(int), 0, [width, height])
    right, bottom = np.clip(np.ceil(there.max(0)).astype(int) + 1, 0, [width, height])
    return Box(int(left), int(top), int(right), int(bottom)) if right - left >= _MIN_PX and bottom - top >= _MIN_PX else None


def _laid_over(
    target_landmarks: NDArray[np.float32], source: NDArray[np.uint8], source_landmarks: NDArray[np.float32], style: MouthStyle, box: Box
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Patch (h, w, 3) and mask (h, w, 1) of the box: the source by the similarity that lays nose and eyes over each other."""
    to_crop = _square(align(target_landmarks, 1))
    to_box = np.array([[1, 0, -box.left], [0, 1, -box.top], [0, 0, 1]], np.float64)
    onto = to_box @ np.linalg.inv(to_crop) @ _square(align(source_landmarks, 1))
    size = (box.width, box.height)
    patch = cv2.warpAffine(source, onto[:2], size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101).astype(np.float32)
    y, x = np.mgrid[box.top : box.bottom, box.left : box.right].astype(np.float64)
    u = to_crop[0, 0] * x + to_crop[0, 1] * y + to_crop[0, 2]
    v = to_crop[1, 0] * x + to_crop[1, 1] * y + to_crop[1, 2]
    distance = np.hypot((u - _MOUTH_CENTRE[0]) / style.radius_x, (v - _MOUTH_CENTRE[1]) / style.radius_y)
    ramp = np.clip((_REACH - distance) / style.softness, 0, 1)
    mask = (ramp * ramp * (3 - 2 * ramp) * style.ratio).astype(np.float32)
    return patch, mask[:, :, None]


def _square(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.vstack([affine, [0.0, 0.0, 1.0]])
