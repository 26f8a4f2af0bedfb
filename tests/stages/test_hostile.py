"""What inventory and decoding make of media that mean harm; the whole pipeline is in tests/pipelines/test_hostile.py."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from schemas.params import DecodeParams
from schemas.reasons import Reason
from stages.decoding import Damage, scan_audio, scan_video, stamp_us
from tests import hostile
from tests.conftest import SINGLE_FACE, inventory_row

SMALL = DecodeParams(max_pixels=200 * 200)


def row_of(path: Path, decode: DecodeParams) -> dict[str, object]:
    return dict(inventory_row(path, decode).to_pylist()[0])


def test_a_picture_that_grows_beyond_the_limit_is_a_bad_packet_and_what_came_before_it_counts(tmp_path: Path) -> None:
    path = tmp_path / "grows.mkv"
    pictures = [hostile.png(64, 48)] * 5 + [hostile.png(300, 300)] * 3
    path.write_bytes(hostile.matroska([hostile.png_track()], [hostile.cluster(0, *pictures)]))
    assert row_of(path, SMALL)["outcome"] == "done"
    damage = Damage()
    frames = [frame.rgb().shape[:2] for frame in scan_video(path, 0, 0, SMALL, damage)]
    assert frames == [(48, 64)] * 5
    assert [reason for reason, *_ in damage.failures] == [Reason.BAD_PACKETS]
    assert len(list(scan_video(path, 0, 0, DecodeParams(), Damage()))) == 8


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_video_that_is_simply_large_is_called_so(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"large.{suffix}"
    with av.open(str(SINGLE_FACE.path)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    row = row_of(path, SMALL)
    assert (row["outcome"], row["reason"], row["detail"]) == ("filtered", "too_large", "640x360 pixels")


def test_seven_hundred_bytes_that_ask_for_gigabytes_are_too_large(tmp_path: Path) -> None:
    path = tmp_path / "bomb.h264"
    path.write_bytes(hostile.bent_h264(hostile.h264(), hostile.HUGE, hostile.HUGE))
    assert path.stat().st_size < 1000
    assert row_of(path, DecodeParams())["reason"] == "too_large"
    assert list(scan_audio(path, 0, 10**6, [])) == []


def test_why_a_file_does_not_open_says_nothing_of_where_it_lies(tmp_path: Path) -> None:
    details = set()
    for name in ("a.mp4", "b\x1b[31m.mp4"):
        (tmp_path / name).write_bytes(bytes(1000))
        details.add(row_of(tmp_path / name, SMALL)["detail"])
    assert details == {"Invalid data found when processing input"}


def test_times_that_no_table_can_hold_are_none() -> None:
    base = Fraction(1, 90_000)
    assert stamp_us(-90_000, base) == -1_000_000
    assert stamp_us(2**62, Fraction(1)) is None
    assert stamp_us(-(2**62), Fraction(1)) is None
