"""Blend: masks that sit on a face, colours that fit, and the wear of a second-hand picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from stages.face.crop import align
from stages.forge.mesh_warp import Box, aligned_shape

Shape = Literal["face", "below_brows", "centre", "lower"]
SHAPES: tuple[Shape, ...] = ("face", "below_brows", "centre", "lower")
_MAX_GRID = 128
_JPEG = (60, 95)
_EDGE = 0.05  # of the box: the margin that it has around the face


@dataclass(frozen=True, slots=True)
class MaskStyle:
    """One mask for all frames of a span.

    members: which of the 468 points span it; offsets (468, 2) in sides of the upright crop; shrink towards its middle;
    softness: the blur's sigma in sides of the face; ratio: opacity.
    """

    members: NDArray[np.intp]
    offsets: NDArray[np.float64]
    shrink: float
    softness: float
    ratio: float


def draw_mask(landmarks: NDArray[np.float32], rng: Generator, shapes: tuple[Shape, ...] = SHAPES) -> MaskStyle:
    """A mask of random form, softness and opacity for a track.

    Args:
        landmarks: (F, 468, 3) of the track's frames with a face.
        rng: source of everything random.
        shapes: forms to choose from.
    """
    shape = np.mean([aligned_shape(points) for points in landmarks[:: max(1, len(landmarks) // 8)]], axis=0)
    form = shapes[int(rng.integers(len(shapes)))]
    # In the upright crop the eyes' line lies at 0.276 of its side, the brows about 0.1 above, the nose's base at 0.52.
    inside = {
        "face": np.ones(len(shape), bool),
        "below_brows": shape[:, 1] > 0.13,
        "centre": (np.abs(shape[:, 0] - 0.5) < 0.27) & (shape[:, 1] > 0.12) & (shape[:, 1] < 0.86),
        "lower": shape[:, 1] > 0.4,
    }[form]
    softness = float(rng.uniform(0.02, 0.07))
    shrink = float(rng.uniform(0.86, 0.98)) - softness
    ratio = float(rng.choice([0.6, 0.8, 1.0, 1.0, 1.0]))
    return MaskStyle(np.flatnonzero(inside), smooth_offsets(shape, float(rng.uniform(0.0, 0.03)), rng), shrink, softness, ratio)


def smooth_offsets(shape: NDArray[np.float64], strength: float, rng: Generator) -> NDArray[np.float64]:
    """(468, 2) displacements that vary slowly over the face, root mean square `strength` sides of the upright crop.

    Args:
        shape: (468, 2) upright landmarks.
        strength: 0 for none.
        rng: draws four plane waves.
    """
    field = np.zeros_like(shape)
    for _ in range(4):
        wave, phase, direction = rng.normal(0, 5.0, 2), rng.uniform(0, 2 * np.pi), rng.normal(0, 1, 2)
        field += np.cos(shape @ wave + phase)[:, None] * direction
    size = float(np.sqrt((field**2).sum(1).mean()))
    return field * (strength / max(size, 1e-9))


def shift_landmarks(landmarks: NDArray[np.float32], offsets: NDArray[np.float64]) -> NDArray[np.float32]:
    """(468, 3) landmarks moved by offsets given in sides of the upright crop."""
    moved = landmarks.copy()
    moved[:, :2] += (offsets @ np.linalg.inv(align(landmarks, 1)[:, :2]).T).astype(np.float32)
    return moved


def mask_of(landmarks: NDArray[np.float32], style: MaskStyle, box: Box) -> NDArray[np.float32]:
    """(box.height, box.width, 1) float32 in [0, 1]: the hull of the style's points, soft at the edge, zero at the box's own edge."""
    points = shift_landmarks(landmarks, style.offsets)[style.members, :2]
    side = float(np.ptp(landmarks[:, :2], axis=0).max())
    grid = min(1.0, _MAX_GRID / max(box.width, box.height))
    width, height = max(2, round(box.width * grid)), max(2, round(box.height * grid))
    hull = cv2.convexHull(points.astype(np.float32))[:, 0]
    hull = (hull - hull.mean(0)) * style.shrink + hull.mean(0)
    hull = (hull - [box.left, box.top]) * [width / box.width, height / box.height]
    mask = np.zeros((height, width), np.float32)
    cv2.fillConvexPoly(mask, np.round(hull * 16).astype(np.int32), 1.0, lineType=cv2.LINE_AA, shift=4)
    mask = cv2.GaussianBlur(mask, (0, 0), max(0.5, style.softness * side * grid), borderType=cv2.BORDER_REPLICATE)
    if grid < 1:
        mask = cv2.resize(mask, (box.width, box.height), interpolation=cv2.INTER_LINEAR)
    return (mask * np.float32(style.ratio) * _inwards(box.height)[:, None] * _inwards(box.width))[:, :, None]


def _inwards(length: int) -> NDArray[np.float32]:
    """(length,) from 0 at both ends to 1 further in: whatever the mask is, the blend must not end in a line."""
    place = np.arange(length)
    ramp: NDArray[np.float32] = np.clip(np.minimum(place, length - 1 - place) / max(1.0, _EDGE * length), 0, 1).astype(np.float32)
    return ramp


def composite(frame: NDArray[np.uint8], patch: NDArray[np.float32], mask: NDArray[np.float32], box: Box) -> NDArray[np.uint8]:
    """A copy of the frame with the patch blended into the box; pixels with mask 0 stay as they are, to the bit."""
    out = frame.copy()
    here = frame[box.rows, box.columns].astype(np.float32)
    out[box.rows, box.columns] = (here + (patch - here) * mask).round().clip(0, 255).astype(np.uint8)
    return out


@dataclass(frozen=True, slots=True)
class Colours:
    """Mean (3,) and covariance (3, 3) of some pixels."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


def colours_of(pixels: NDArray[np.float32], mask: NDArray[np.float32]) -> Colours:
    """The colours of pixels (H, W, 3) under a mask (H, W, 1)."""
    weights = mask[:, :, 0].astype(np.float64)
    weights = weights / max(float(weights.sum()), 1e-9)
    mean = np.einsum("hw,hwc->c", weights, pixels)
    apart = (pixels - mean).reshape(-1, 3)
    return Colours(mean, (apart * weights.reshape(-1, 1)).T @ apart)


def mean_colours(several: Sequence[Colours]) -> Colours:
    """Their averages."""
    return Colours(np.mean([c.mean for c in several], axis=0), np.mean([c.covariance for c in several], axis=0))


def colour_map(given: Colours, wanted: Colours) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrix (3, 3) and offset (3,) that turn the given colours into the wanted ones with the least change.

    The linear optimal transport between two normal distributions (Pitie and Kokaram 2007): unlike a gain for each channel it
    also takes the blue out of a donor's eyes where the target film is grey. No direction is stretched beyond 1.8.
    """
    noise = np.eye(3) * 4.0
    root, inverse = _root(given.covariance + noise)
    middle, _ = _root(root @ (wanted.covariance + noise) @ root)
    values, vectors = np.linalg.eigh(inverse @ middle @ inverse)
    matrix = (vectors * np.clip(values, 0.0, 1.8)) @ vectors.T
    return matrix, wanted.mean - matrix @ given.mean


def recolour(patch: NDArray[np.float32], mapping: tuple[NDArray[np.float64], NDArray[np.float64]]) -> NDArray[np.float32]:
    """The patch (H, W, 3) after a `colour_map`."""
    matrix, offset = (part.astype(np.float32) for part in mapping)
    return patch @ matrix.T + offset


def _root(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values, vectors = np.linalg.eigh(matrix)
    roots = np.sqrt(np.maximum(values, 1e-9))
    return (vectors * roots) @ vectors.T, (vectors / roots) @ vectors.T


def relight(patch: NDArray[np.float32], frame_part: NDArray[np.float32], mask: NDArray[np.float32], strength: float) -> NDArray[np.float32]:
    """The patch with the slow shades of the picture below it, as far as the mask reaches (a two-band Laplacian blend).

    Args:
        patch: (H, W, 3).
        frame_part: (H, W, 3) what lies there.
        mask: (H, W, 1), where the two are compared.
        strength: 0 none, 1 all.
    """
    if strength <= 0:
        return patch
    small = (max(8, patch.shape[1] // 4), max(8, patch.shape[0] // 4))
    weight = cv2.resize(mask, small, interpolation=cv2.INTER_AREA)[:, :, None]
    difference = cv2.resize(frame_part - patch, small, interpolation=cv2.INTER_AREA) * weight
    sigma = 0.12 * max(small)
    spread = cv2.GaussianBlur(difference, (0, 0), sigma) / np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma)[:, :, None], 1e-3)
    shade = cv2.resize(spread, (patch.shape[1], patch.shape[0]), interpolation=cv2.INTER_LINEAR)
    lit: NDArray[np.float32] = patch + np.float32(strength) * shade
    return lit


@dataclass(frozen=True, slots=True)
class Wear:
    """What a picture suffered before it was pasted: shrunk by a factor, JPEG quality (0: none), noise sigma, sharpening."""

    shrink: float
    jpeg: int
    noise: float
    sharpen: float


def draw_wear(rng: Generator, most: float = 2.2) -> Wear:
    """A random history; about a third of all draws have almost none."""
    worn = rng.random() > 0.35
    return Wear(
        shrink=float(rng.uniform(1.0, most)) if worn and rng.random() < 0.7 else 1.0,
        jpeg=int(rng.integers(*_JPEG)) if rng.random() < 0.3 else 0,
        noise=float(rng.uniform(0.5, 3.0)) if rng.random() < 0.3 else 0.0,
        sharpen=float(rng.uniform(0.3, 1.2)) if rng.random() < 0.25 else 0.0,
    )


def wear_out(patch: NDArray[np.float32], wear: Wear, rng: Generator) -> NDArray[np.float32]:
    """The patch (H, W, 3) after its history; only the noise differs from call to call."""
    size = (patch.shape[1], patch.shape[0])
    if wear.shrink > 1.05:
        small = (max(4, round(size[0] / wear.shrink)), max(4, round(size[1] / wear.shrink)))
        patch = cv2.resize(cv2.resize(patch, small, interpolation=cv2.INTER_AREA), size, interpolation=cv2.INTER_CUBIC)
    if wear.sharpen:
        patch = patch + np.float32(wear.sharpen) * (patch - cv2.GaussianBlur(patch, (0, 0), 1.2))
    if wear.noise:
        patch = patch + rng.normal(0, wear.noise, patch.shape).astype(np.float32)
    if wear.jpeg:
        _, data = cv2.imencode(".jpg", patch.round().clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, wear.jpeg])
        patch = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.float32)
    return patch
