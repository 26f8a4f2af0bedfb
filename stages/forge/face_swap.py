"""Face swap: another person's face, drawn onto this one's mesh, coloured and lit like it."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from stages.face.crop import align
from stages.forge.blend import (
    Colours,
    MaskStyle,
    colour_map,
    colours_of,
    composite,
    draw_mask,
    draw_wear,
    mask_of,
    mean_colours,
    recolour,
    relight,
    wear_out,
)
from stages.forge.footage import Footage
from stages.forge.mesh_warp import Box, MeshWarp, aligned_shape, face_box

# Lips, lids, brows, nose and cheeks: what an expression and a turn of the head move.
_EXPRESSIVE = (13, 14, 61, 291, 78, 308, 0, 17, 159, 145, 386, 374, 33, 263, 70, 300, 105, 334, 1, 4, 152, 10, 234, 454, 50, 280)
_JUMP_COST = 0.35  # of the usual spread of shapes: a donor frame is left for another only where it clearly pays
_SAMPLES = 6


def face_swap(footage: Footage, donor: Footage, chosen: NDArray[np.bool_], rng: Generator) -> list[NDArray[np.uint8]]:
    """The footage's frames with the donor's face where chosen; the others are the same objects.

    Args:
        footage: with landmarks wherever `chosen`.
        donor: another person, at least one frame with landmarks.
        chosen: (F,) frames to forge.
        rng: draws mask, wear, how much of the donor's own proportions is kept, and how far colours are adapted.
    """
    track = footage.landmarks[footage.has_face]
    donors = np.flatnonzero(donor.has_face)
    warp = MeshWarp(track)
    mask_style, wear = draw_mask(track, rng, ("face", "below_brows", "centre")), draw_wear(rng)
    own_shape, light, colour = float(rng.uniform(0, 0.25)), float(rng.uniform(0.35, 1.0)), float(rng.uniform(0.8, 1.0))
    places = np.flatnonzero(chosen)
    taken = donors[match_frames(track, donor.landmarks[donors])[np.searchsorted(np.flatnonzero(footage.has_face), places)]]
    pasted: list[tuple[int, Box, NDArray[np.float32], NDArray[np.float32]]] = []
    for i, j in zip(places.tolist(), taken.tolist(), strict=True):
        frame, target, source = footage.frames[i], footage.landmarks[i], donor.landmarks[j]
        box = face_box(target, frame.shape[1], frame.shape[0])
        if box is None:
            continue
        patch = warp(donor.frames[j], source, _towards(target, source, own_shape), box)
        pasted.append((i, box, patch, mask_of(target, mask_style, box)))
    theirs, ours = _colours(pasted, footage, mask_style)
    mapping = colour_map(theirs, ours)
    out = list(footage.frames)
    for i, box, patch, mask in pasted:
        below = footage.frames[i][box.rows, box.columns].astype(np.float32)
        fitted = patch + np.float32(colour) * (recolour(patch, mapping) - patch)
        fitted = wear_out(relight(fitted, below, mask, light), wear, rng)
        out[i] = composite(footage.frames[i], fitted, mask, box)
    return out


def match_frames(targets: NDArray[np.float32], donors: NDArray[np.float32]) -> NDArray[np.intp]:
    """(F,) for each target frame the donor frame of like expression and pose, without needless jumps (dynamic programming).

    Args:
        targets: (F, 468, 3) of a whole track: what is usual for this person is taken from it.
        donors: (D, 468, 3).
    """
    ours, theirs = _expressions(targets), _expressions(donors)
    # Each person against their own mean: a wide mouth must not be taken for a smile.
    distance = np.linalg.norm((ours - ours.mean(0))[:, None] - (theirs - theirs.mean(0))[None], axis=2)  # (F, D)
    jump = _JUMP_COST * float(np.median(distance)) if distance.size else 0.0
    steps = np.abs(np.subtract.outer(np.arange(len(donors)), np.arange(len(donors))))
    moving = np.where(steps <= 1, 0.0, np.where(steps <= 3, 0.5 * jump, jump))  # (from, to)
    total = distance[0]
    came_from = np.zeros(distance.shape, np.intp)
    for f in range(1, len(distance)):
        paths = total[:, None] + moving
        came_from[f] = paths.argmin(0)
        total = paths.min(0) + distance[f]
    chosen = np.empty(len(distance), np.intp)
    chosen[-1] = int(total.argmin())
    for f in range(len(distance) - 1, 0, -1):
        chosen[f - 1] = came_from[f, chosen[f]]
    return chosen


def _expressions(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.stack([aligned_shape(points)[list(_EXPRESSIVE)].reshape(-1) for points in landmarks])


def _towards(target: NDArray[np.float32], source: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """The target's mesh, moved by a share towards the source's own proportions at the target's place."""
    onto = np.linalg.inv(np.vstack([align(target, 1), [0, 0, 1]])) @ np.vstack([align(source, 1), [0, 0, 1]])
    moved = target.copy()
    laid = source[:, :2].astype(np.float64) @ onto[:2, :2].T + onto[:2, 2]
    moved[:, :2] += (share * (laid - target[:, :2])).astype(np.float32)
    return moved


def _colours(
    pasted: list[tuple[int, Box, NDArray[np.float32], NDArray[np.float32]]], footage: Footage, style: MaskStyle
) -> tuple[Colours, Colours]:
    """Colours of the patches and of what lies below them, over a few frames: constant, so that nothing flickers."""
    theirs, ours = [], []
    for i, box, patch, mask in pasted[:: max(1, len(pasted) // _SAMPLES)]:
        firm = (mask > 0.5 * style.ratio).astype(np.float32)
        theirs.append(colours_of(patch, firm))
        ours.append(colours_of(footage.frames[i][box.rows, box.columns].astype(np.float32), firm))
    if not theirs:
        theirs = ours = [Colours(np.zeros(3), np.eye(3))]
    return mean_colours(theirs), mean_colours(ours)
