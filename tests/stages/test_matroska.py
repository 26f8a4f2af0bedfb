from __future__ import annotations

from pathlib import Path

import pytest

from stages.matroska import damaged_ranges
from tests.conftest import SINGLE_FACE
from tests.damage import KINDS, write_clip

CLUSTER, TRACKS = b"\x1f\x43\xb6\x75", b"\x16\x54\xae\x6b"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Matroska with a checksum in each of several clusters."""
    return write_clip(tmp_path_factory.mktemp("clip") / "a.mkv", next(kind for kind in KINDS if kind.name == "h264-mkv")).read_bytes()


def found(tmp_path: Path, data: bytes) -> list[tuple[int, int]]:
    path = tmp_path / "a.mkv"
    path.write_bytes(data)
    return damaged_ranges(path)


def clusters(data: bytes) -> list[int]:
    places = [data.index(CLUSTER)]
    while (at := data.find(CLUSTER, places[-1] + 1)) >= 0:
        places.append(at)
    return [place for place in places if place > data.rindex(TRACKS)]


def with_byte(data: bytes, place: int, value: int) -> bytes:
    return data[:place] + bytes([value]) + data[place + 1 :]


def test_a_sound_file_has_no_damaged_range(tmp_path: Path, clip: bytes) -> None:
    assert found(tmp_path, clip) == []
    assert damaged_ranges(SINGLE_FACE.path) == []  # not Matroska at all


def test_every_flipped_byte_in_a_cluster_condemns_the_cluster_and_no_other(tmp_path: Path, clip: bytes) -> None:
    places = clusters(clip)
    for place in range(places[1] + 16, places[2], 997):
        assert found(tmp_path, with_byte(clip, place, clip[place] ^ 1)) == [(places[1], places[2])]


def test_a_wrong_length_condemns_up_to_the_next_cluster(tmp_path: Path, clip: bytes) -> None:
    places = clusters(clip)
    for value in (clip[places[1] + 5] ^ 0x80, 0x01):
        ranges = found(tmp_path, with_byte(clip, places[1] + 5, value))
        assert ranges[0] == (places[1], places[2])
        assert len(ranges) == 1


def test_an_overwritten_cluster_head_is_passed_over(tmp_path: Path, clip: bytes) -> None:
    places = clusters(clip)
    assert found(tmp_path, with_byte(clip, places[1], 0)) == [(places[1], places[2])]


def test_damaged_track_headers_condemn_everything(tmp_path: Path, clip: bytes) -> None:
    place = clip.rindex(TRACKS) + 40  # the index at the front names it, too
    assert found(tmp_path, with_byte(clip, place, clip[place] ^ 1)) == [(0, len(clip))]


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.7, 0.99])
def test_a_file_that_ends_early_is_not_damaged_for_it(tmp_path: Path, clip: bytes, share: float) -> None:
    assert found(tmp_path, clip[: round(len(clip) * share)]) == []
