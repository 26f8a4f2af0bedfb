"""Random access gives the frames that the scan saw, whatever decord believes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from schemas.params import DecodeParams
from stages import random_access
from stages.contract import MediaError
from stages.decoding import Damage, scan_video
from stages.random_access import read_frames
from tests.conftest import SHARED, SINGLE_FACE, needs_shared

FROM, TO = 20, 26


def scanned(path: Path, origin_us: int = 0) -> dict[int, tuple[int, np.ndarray]]:
    frames = scan_video(path, origin_us, 0, DecodeParams(), Damage())
    return {f.index: (f.pts_us, f.rgb()) for f in frames if FROM <= f.index < TO}


def assert_same(path: Path) -> None:
    seen = scanned(path)
    got = read_frames(path, list(seen), [pts for pts, _ in seen.values()], 0, 0, DecodeParams())
    assert got.keys() == seen.keys()
    for index, (_, rgb) in seen.items():
        assert np.array_equal(got[index], rgb)


def test_mp4_by_decord_is_what_the_scan_saw(monkeypatch):
    def no_scan(*_args):
        raise AssertionError("decord should have read this")

    seen = scanned(SINGLE_FACE.path)
    monkeypatch.setattr(random_access, "scan_video", no_scan)
    got = read_frames(SINGLE_FACE.path, list(seen), [pts for pts, _ in seen.values()], 0, 0, DecodeParams())
    assert all(np.array_equal(got[i], rgb) for i, (_, rgb) in seen.items())


@needs_shared
def test_mpeg_program_streams_are_not_given_to_decord():
    """decord 0.6 returns other frames than asked for, under timestamps that look right (11 of 11 GRID clips)."""
    assert_same(SHARED / "media" / "grid" / "bbaf2n.mpg")


def test_a_reader_that_disagrees_about_times_is_not_believed(monkeypatch):
    calls = []
    real_scan = scan_video
    monkeypatch.setattr(random_access, "scan_video", lambda *a: calls.append(1) or real_scan(*a))
    seen = scanned(SINGLE_FACE.path, origin_us=7_000)
    got = read_frames(SINGLE_FACE.path, list(seen), [pts + 5_000 for pts, _ in seen.values()], 7_000, 0, DecodeParams())
    assert calls and got == {}  # times that no frame has: nothing is better than something wrong


def test_nothing_asked_nothing_read():
    assert read_frames(SINGLE_FACE.path, [], [], 0, 0, DecodeParams()) == {}


def test_a_truncated_file_gives_what_is_left_of_it_or_says_so(tmp_path):
    cut = tmp_path / "cut.mp4"
    data = SINGLE_FACE.path.read_bytes()
    cut.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(MediaError):  # its index was at the end
        read_frames(cut, [0, 1], [0, 33_333], 0, 0, DecodeParams())
