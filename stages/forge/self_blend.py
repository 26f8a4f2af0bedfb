"""Self-blend: the face pasted over itself, a little warped, recoloured or worn (after Shiohara and Yamasaki 2022)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from stages.forge.blend import composite, draw_mask, draw_wear, mask_of, shift_landmarks, smooth_offsets, wear_out
from stages.forge.footage import Footage
from stages.forge.mesh_warp import MeshWarp, aligned_shape, face_box

_WARP = (0.004, 0.02)  # root mean square, in sides of the upright crop: 0.6 to 3 px of 160
_SHIFT, _TURN, _GROW = 0.012, 0.025, 0.025  # translation in sides, rotation in radians, relative size


def self_blend(footage: Footage, chosen: NDArray[np.bool_], rng: Generator) -> list[NDArray[np.uint8]]:
    """The footage's frames with the face blended over itself where chosen; the others are the same objects.

    Args:
        footage: with landmarks wherever `chosen`.
        chosen: (F,) frames to forge. All of them get the same warp, colours, mask and wear.
        rng: draws those.
    """
    track = footage.landmarks[footage.has_face]
    warp, mask_style, wear = MeshWarp(track), draw_mask(track, rng), draw_wear(rng)
    offsets = _offsets(np.mean([aligned_shape(points) for points in track], axis=0), rng)
    colour = _Colour(rng)
    out = list(footage.frames)
    for i in np.flatnonzero(chosen).tolist():
        frame, target = footage.frames[i], footage.landmarks[i]
        box = face_box(target, frame.shape[1], frame.shape[0])
        if box is None:
            continue
        patch = warp(frame, shift_landmarks(target, offsets), target, box)
        patch = wear_out(colour(patch), wear, rng)
        out[i] = composite(frame, patch, mask_of(target, mask_style, box), box)
    return out


def _offsets(shape: NDArray[np.float64], rng: Generator) -> NDArray[np.float64]:
    """(468, 2) in sides of the upright crop: a bend, a shift, a turn and a change of size."""
    centred = shape - shape.mean(0)
    turned = rng.uniform(-_TURN, _TURN) * centred[:, ::-1] * [-1, 1]
    grown = rng.uniform(-_GROW, _GROW) * centred
    return smooth_offsets(shape, float(rng.uniform(*_WARP)), rng) + rng.uniform(-_SHIFT, _SHIFT, 2) + turned + grown


class _Colour:
    """A change of gain, offset, saturation and hue: one of strengths from hardly to plainly visible."""

    def __init__(self, rng: Generator) -> None:
        strength = rng.uniform(0.25, 1.0)
        self._gain = 1 + rng.uniform(-0.12, 0.12, 3) * strength
        self._offset = rng.uniform(-14, 14, 3) * strength
        self._saturation = 1 + rng.uniform(-0.25, 0.25) * strength

    def __call__(self, patch: NDArray[np.float32]) -> NDArray[np.float32]:
        middle = patch.mean((0, 1))
        grey = cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY)[:, :, None]
        saturated = grey + (patch - grey) * self._saturation
        changed: NDArray[np.float32] = ((saturated - middle) * self._gain + middle + self._offset).clip(0, 255).astype(np.float32)
        return changed
