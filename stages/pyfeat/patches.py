"""Patches: the part of a picture that py-feat's chips of one face are cut from, so that they can be cut again, to the bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.faces import decode_crop
from stages.pyfeat.chips import MARGIN, Cut, cut_chips

_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
"""Fast: half the time of the default level."""
# An older OpenCV tries all filters on every line: 1.6 times the time, here and where they are read, and larger.
if hasattr(cv2, "IMWRITE_PNG_FILTER"):
    _PNG += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]

_BEYOND = 3
"""Pixels around the square: both cutters interpolate between neighbours, and the narrow one is off by up to one."""


@dataclass(frozen=True, slots=True)
class Patch:
    """pixels (h, w, 3) uint8 RGB, at (left, top) of a picture of (width, height); box (4,) of the face in the picture."""

    pixels: NDArray[np.uint8]
    left: int
    top: int
    width: int
    height: int
    box: NDArray[np.float32]


def cut_patch(rgb: NDArray[np.uint8], box: NDArray[np.float32]) -> Patch:
    """All pixels that either chip of a face can touch: the square one mirrors what it lacks outside the picture.

    Args:
        rgb: (H, W, 3).
        box: (4,) left, top, right, bottom; at least half of it in the picture.
    """
    size = np.array([rgb.shape[1], rgb.shape[0]])
    centre, side = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max()) * MARGIN
    low, high = np.floor(centre - side / 2) - _BEYOND, np.ceil(centre + side / 2) + _BEYOND
    mirrored_low, mirrored_high = np.maximum(-low, 0) + _BEYOND, np.maximum(high - size, 0) + _BEYOND
    low, high = np.where(high > size, np.minimum(low, size - mirrored_high), low), np.where(low < 0, np.maximum(high, mirrored_low), high)
    left, top = np.clip(low, 0, size - 1).astype(int).tolist()
    right, bottom = np.clip(high, [left + 1, top + 1], size).astype(int).tolist()
    return Patch(rgb[top:bottom, left:right], left, top, int(size[0]), int(size[1]), box)


def encode_patch(pixels: NDArray[np.uint8], kind: Literal["png", "jpeg"], jpeg_quality: int) -> bytes:
    """A `patch` cell."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    if kind == "png":
        ok, data = cv2.imencode(".png", bgr, _PNG)
    else:
        ok, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])
    if not ok:
        raise RuntimeError("OpenCV could not encode a patch")
    return bytes(data.tobytes())


def patch_of_row(row: dict[str, Any]) -> Patch:
    """row: of PATCHES, with the `box` of FACES."""
    return Patch(
        decode_crop(row["patch"]), row["left"], row["top"], row["picture_width"], row["picture_height"], np.asarray(row["box"], np.float32)
    )


def chips_of(patches: list[Patch], cut: Cut, device: str) -> Tensor:
    """(N, 3, px, px) chips, equal to those of the whole pictures.

    py-feat's arithmetic depends on the picture's size, so each patch lies where it was, in a canvas of that size; the rest of
    the canvas is never looked at.
    """
    canvases: dict[tuple[int, int], Tensor] = {}
    chips = []
    with torch.inference_mode():
        for patch in patches:
            size = (patch.height, patch.width)
            if size not in canvases:
                canvases[size] = torch.zeros(3, *size, device=device)
            height, width = patch.pixels.shape[:2]
            pixels = torch.from_numpy(np.ascontiguousarray(patch.pixels)).to(device).permute(2, 0, 1).float() / 255.0
            part = canvases[size][:, patch.top : patch.top + height, patch.left : patch.left + width]
            part.copy_(pixels)
            chips.append(cut_chips(canvases[size], torch.from_numpy(patch.box)[None].to(device), cut))
    return torch.cat(chips)
