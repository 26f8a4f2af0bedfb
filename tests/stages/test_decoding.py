from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from schemas.params import DecodeParams
from schemas.reasons import Reason
from stages.contract import MediaError
from stages.decoding import Damage, scan_audio, scan_video
from stages.encoding import write_mp4
from tests.conftest import FACE_NOFACE, NO_FACE, SINGLE_FACE, WOLFGANG, Clip


def numbered(count: int, size: tuple[int, int] = (96, 128)) -> list[np.ndarray]:
    """Frames that show their number as eight grey bars."""
    frames = []
    for i in range(count):
        picture = np.zeros((*size, 3), np.uint8)
        for bit in range(8):
            picture[:, bit * 16 : bit * 16 + 16] = 220 if i >> bit & 1 else 30
        frames.append(picture)
    return frames


def number_of(picture: np.ndarray) -> int:
    return sum(1 << bit for bit in range(8) if picture[:, bit * 16 + 4 : bit * 16 + 12].mean() > 125)


def clip_at(path: Path, rate: float, count: int = 120) -> Path:
    write_mp4(path, ((round(i * 1e6 / rate), f) for i, f in enumerate(numbered(count))), None, 16_000)
    return path


@pytest.mark.parametrize("clip", [SINGLE_FACE, NO_FACE, FACE_NOFACE, WOLFGANG], ids=lambda c: c.path.name)
def test_every_frame_of_a_sound_file_comes_out_once_and_in_order(clip: Clip) -> None:
    damage = Damage()
    times = [f.pts_us for f in scan_video(clip.path, 0, 0, DecodeParams(), damage)]
    assert len(times) == clip.frames
    assert (np.diff(times) > 0).all()
    assert damage.failures == []


@pytest.mark.parametrize("rate", [23.976, 25.0, 29.97, 50.0])
def test_times_come_from_the_container_not_from_a_rate(tmp_path: Path, rate: float) -> None:
    path = clip_at(tmp_path / "a.mp4", rate)
    for frame in scan_video(path, 0, 0, DecodeParams(), Damage()):
        assert frame.index == number_of(frame.rgb())
        assert abs(frame.pts_us - frame.index * 1e6 / rate) < 20


def test_flipped_bytes_are_seen_and_the_frames_after_them_are_suspect(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    data = bytearray(WOLFGANG.path.read_bytes())
    rng = np.random.default_rng(7)
    for place in rng.integers(len(data) // 4, len(data) * 3 // 4, 60):
        data[place] ^= 0xFF
    path.write_bytes(data)
    damage = Damage()
    frames = [(f.index, f.suspect) for f in scan_video(path, 0, 0, DecodeParams(), damage)]
    assert any(reason == Reason.BAD_PACKETS for reason, *_ in damage.failures)
    assert any(suspect for _, suspect in frames)
    assert [i for i, _ in frames] == list(range(len(frames)))


def test_a_truncated_file_gives_the_frames_that_are_there(tmp_path: Path) -> None:
    whole = clip_at(tmp_path / "a.mp4", 25.0, 200)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 7 // 10])
    damage = Damage()
    frames = [(f.index, f.pts_us, f.rgb()) for f in scan_video(cut, 0, 0, DecodeParams(), damage)]
    assert 50 < len(frames) < 200
    assert all(number_of(rgb) == round(pts_us / 40_000) for index, pts_us, rgb in frames if index not in damage.spoiled)


@pytest.mark.parametrize(
    "data", [b"", b"not a video", b"\x00" * 4096, b"#EXTM3U\nhttp://127.0.0.1/a.ts\n", b"ffconcat version 1.0\nfile a\n"]
)
def test_what_is_no_video_does_not_open(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    with pytest.raises(MediaError) as caught:
        list(scan_video(path, 0, 0, DecodeParams(), Damage()))
    assert caught.value.reason == Reason.OPEN_FAILED


def test_a_picture_larger_than_allowed_is_refused() -> None:
    with pytest.raises(MediaError, match="640x360 pixels"):
        list(scan_video(SINGLE_FACE.path, 0, 0, DecodeParams(max_pixels=1000), Damage()))


def test_frames_beyond_the_limit_are_reported() -> None:
    damage = Damage()
    assert len(list(scan_video(SINGLE_FACE.path, 0, 0, DecodeParams(max_frames=10), damage))) == 10
    assert damage.failures == [(Reason.TOO_LARGE, 10, None, "more than 10 frames")]


@pytest.mark.parametrize(("rotation", "turns"), [(0, 0), (90, 1), (180, 2), (270, 3)])
def test_rotation_makes_the_picture_upright(tmp_path: Path, rotation: int, turns: int) -> None:
    path = clip_at(tmp_path / "a.mp4", 25.0, 1)
    plain = next(iter(scan_video(path, 0, 0, DecodeParams(), Damage()))).rgb()
    turned = next(iter(scan_video(path, 0, rotation, DecodeParams(), Damage()))).rgb()
    assert (turned == np.rot90(plain, turns)).all()


def test_the_origin_is_taken_off_every_time() -> None:
    plain = [f.pts_us for f in scan_video(SINGLE_FACE.path, 0, 0, DecodeParams(), Damage())]
    moved = [f.pts_us for f in scan_video(SINGLE_FACE.path, -500_000, 0, DecodeParams(), Damage())]
    assert [b - a for a, b in zip(plain, moved, strict=True)] == [500_000] * 72


def test_two_equal_channels_are_as_loud_as_one(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(8_000) / 16_000)).astype(np.float32)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="stereo")
        block = av.AudioFrame.from_ndarray(
            (np.stack([tone, tone], 1).reshape(1, -1) * 32767).astype(np.int16), format="s16", layout="stereo"
        )
        block.sample_rate = 16_000
        container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    mono = np.concatenate([b.mono for b in scan_audio(path, 0, 10**9, [])])
    assert np.abs(mono - tone).max() < 1e-3


def test_sound_that_starts_late_says_when() -> None:
    first = next(iter(scan_audio(FACE_NOFACE.path, 0, 10**9, [])))
    assert first.pts_us == pytest.approx(107_164 / 44_100 * 1e6, abs=1_000)
