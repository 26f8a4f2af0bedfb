"""A stretch of a real talking face, read once."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from schemas.params import DecodeParams
from stages.forge.footage import Footage, Timing, read_footage
from stages.forge.survey import Surveyor


def _clip(name: str) -> Path:
    spec = importlib.util.find_spec("feat")
    assert spec is not None and spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations)), "tests", "data", name)


def _footage(name: str, length_s: float) -> Footage:
    assert DecodeParams()  # the defaults are what a forger reads with
    timing = Timing(0, 0, 2_400_000)
    found = Surveyor()(_clip(name), timing, length_s)
    return read_footage(_clip(name), timing, found.pts_us, found.landmarks, 0.0, length_s, 0.75)


@pytest.fixture(scope="session")
def talker() -> Footage:
    """1.5 s of one face, 480 x 270."""
    footage = _footage("single_face.mp4", 1.5)
    assert footage.has_face.all() and len(footage.frames) == 45
    return footage


@pytest.fixture(scope="session")
def other() -> Footage:
    """Another person."""
    footage = _footage("WolfgangLanger_Pexels.mp4", 1.0)
    assert np.mean(footage.has_face) > 0.9
    return footage
