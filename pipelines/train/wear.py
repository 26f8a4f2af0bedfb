"""Wear: what cameras, uploads and players do to a picture, so that poor quality is not taken for forgery."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

_SCALE, _BLUR_PX, _NOISE, _JPEG_QUALITY = (0.45, 1.0), (0.0, 1.2), (0.0, 6.0), (35, 96)
_EACH = 0.5  # of the four, in a picture that is worn at all


@dataclass(frozen=True, slots=True)
class Wear:
    """One draw; it holds for all pictures of a stretch, and for both clips of a pair. None leaves a step out."""

    scale: float | None
    blur_px: float | None
    noise: float | None
    jpeg_quality: int | None
    seed: int

    @classmethod
    def draw(cls, rng: Generator, share: float) -> Wear:
        """share: how often there is any wear at all."""
        worn = rng.random() < share
        use = [worn and bool(on) for on in rng.random(4) < _EACH]
        scale, blur, noise = rng.uniform(*_SCALE), rng.uniform(*_BLUR_PX), rng.uniform(*_NOISE)
        quality, seed = int(rng.integers(*_JPEG_QUALITY)), int(rng.integers(2**31))
        return cls(scale if use[0] else None, blur if use[1] else None, noise if use[2] else None, quality if use[3] else None, seed)

    def __call__(self, picture: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
        """picture: (px, px, 3) uint8 RGB, the `number`-th of its stretch; noise differs from one to the next."""
        px = picture.shape[0]
        out = picture
        if self.scale is not None:
            small = max(8, round(px * self.scale))
            out = np.asarray(cv2.resize(cv2.resize(out, (small, small), interpolation=cv2.INTER_AREA), (px, px)), np.uint8)
        if self.blur_px:
            out = np.asarray(cv2.GaussianBlur(out, (0, 0), max(self.blur_px, 0.1)), np.uint8)
        if self.noise is not None:
            grain = np.random.default_rng([self.seed, number]).standard_normal(out.shape, np.float32) * self.noise
            out = np.clip(out + grain, 0, 255).astype(np.uint8)
        if self.jpeg_quality is not None:
            _, data = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, self.jpeg_quality])
            decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
            if decoded is None:
                raise RuntimeError("OpenCV could not decode what it encoded")
            out = np.asarray(decoded, np.uint8)
        return out
