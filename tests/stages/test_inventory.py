from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from schemas.params import DecodeParams
from stages.encoding import write_mp4
from stages.inventory import content_id_of
from tests.conftest import FACE_NOFACE, NO_FACE, SINGLE_FACE, WOLFGANG, Clip, inventory_row


@pytest.mark.parametrize("clip", [SINGLE_FACE, NO_FACE, FACE_NOFACE, WOLFGANG], ids=lambda c: c.path.name)
def test_knows_what_a_real_file_is(clip: Clip) -> None:
    row = inventory_row(clip.path).to_pylist()[0]
    assert row["outcome"] == "done"
    assert row["num_packets"] == clip.frames
    assert row["frame_rate"] == pytest.approx(clip.rate, abs=0.02)
    assert row["is_vfr"] is clip.is_vfr
    assert row["origin_us"] == 0
    assert row["has_audio"]
    assert row["content_id"] == content_id_of(clip.path)


def test_sound_that_starts_late_is_on_the_common_timeline() -> None:
    assert inventory_row(FACE_NOFACE.path).to_pylist()[0]["audio_start_us"] == pytest.approx(2_430_000, abs=40_000)


@pytest.mark.parametrize(
    ("name", "data", "outcome", "reason"),
    [
        ("a.mp4", b"", "failed", "empty_file"),
        ("a.txt", b"hello", "filtered", "not_a_video"),
        ("a.mp4", b"hello world, this is no video", "failed", "open_failed"),
        ("a.m3u8", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "filtered", "not_a_video"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(64), "filtered", "not_a_video"),
    ],
)
def test_other_files_have_a_reason(tmp_path: Path, name: str, data: bytes, outcome: str, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    row = inventory_row(path).to_pylist()[0]
    assert (row["outcome"], row["reason"]) == (outcome, reason)
    assert row["content_id"] == content_id_of(path)


def test_a_video_without_sound(tmp_path: Path) -> None:
    path = tmp_path / "mute.mp4"
    write_mp4(path, ((i * 40_000, np.full((64, 64, 3), i, np.uint8)) for i in range(30)), None, 16_000)
    row = inventory_row(path).to_pylist()[0]
    assert row["outcome"] == "done"
    assert not row["has_audio"]
    assert row["audio_codec"] is None
    assert row["duration_us"] == pytest.approx(30 * 40_000, abs=100)


def test_timestamps_beyond_the_limit_make_a_video_too_large_not_the_memory() -> None:
    row = inventory_row(SINGLE_FACE.path, decode=DecodeParams(max_minutes=0.03)).to_pylist()[0]
    assert (row["outcome"], row["reason"]) == ("filtered", "too_large")
    assert "decode.max_minutes is 0.03" in row["detail"]


def test_the_same_bytes_have_the_same_id(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mov"):
        (tmp_path / name).write_bytes(SINGLE_FACE.path.read_bytes())
    assert content_id_of(tmp_path / "a.mp4") == content_id_of(tmp_path / "b.mov")


def test_a_truncated_file_says_how_much_is_there(tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    data = tmp_path / "whole.mp4"
    write_mp4(
        data, ((i * 40_000, np.random.default_rng(i).integers(0, 255, (64, 64, 3), dtype=np.uint8)) for i in range(100)), None, 16_000
    )
    path.write_bytes(data.read_bytes()[: data.stat().st_size * 6 // 10])
    row = inventory_row(path).to_pylist()[0]
    assert (row["outcome"], row["reason"]) == ("done", "truncated")
