from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest

from schemas.params import DecodeParams, FaceParams
from schemas.reasons import Reason
from stages.audio import Audio
from stages.contract import as_frame
from stages.damage import Damage, PacketLog, Watch
from stages.faces import Faces
from tests.conftest import inventory_row, media
from tests.damage import HARMS, KINDS, NUM_FRAMES, Kind, Seen, Tally, is_wrong, look, number_of, patched, pictures, write_clip

BY_NAME = {kind.name: kind for kind in KINDS}
Clips = Callable[[str], tuple[Path, Seen]]

# Of all frames that damaged copies give out, the share that may be wrong and unmarked when single bytes are flipped. Zero where a
# checksum (FFmpeg's Matroska) or the decoder (AV1) sees everything. HEVC's decoder sees next to nothing, and nobody else would.
UNSEEN_FLIPS = {"mkv": 0.0, "av1": 0.0, "vp9": 0.005, "mpeg4": 0.01, "h264": 0.03, "hevc": 0.35}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Undamaged clips by name, made when they are first asked for, and what is seen in them."""
    folder, made = tmp_path_factory.mktemp("clips"), dict[str, tuple[Path, Seen]]()

    def get(name: str) -> tuple[Path, Seen]:
        if name not in made:
            kind = BY_NAME[name]
            path = write_clip(folder / f"{name}.{kind.suffix}", kind)
            made[name] = path, look(path)
        return made[name]

    return get


def harmed(clips: Clips, name: str, harm: str, seed: int, folder: Path) -> tuple[Seen, Seen]:
    """(what is seen in a damaged copy, what is seen in the original)."""
    path, whole = clips(name)
    copy = folder / f"copy{path.suffix}"
    copy.write_bytes(HARMS[harm](path.read_bytes(), seed))
    return look(copy), whole


@pytest.mark.parametrize("name", BY_NAME)
def test_an_undamaged_file_has_good_frames_only_and_not_one_failure(clips: Clips, name: str) -> None:
    _, seen = clips(name)
    assert seen.reasons == set()
    assert [number for _, _, number, _ in seen.frames] == list(range(NUM_FRAMES))
    assert [reason for *_, reason in seen.frames] == [None] * NUM_FRAMES
    assert np.abs(np.diff([time for time, *_ in seen.frames]) - 40_000).max() <= 1_000


@pytest.mark.parametrize("name", BY_NAME)
def test_a_truncated_file_has_a_reason_and_no_wrong_frame_without_a_mark(clips: Clips, name: str, tmp_path: Path) -> None:
    for harm in ("cut at 10 %", "cut at 60 %", "cut at 99 %"):
        seen, whole = harmed(clips, name, harm, 0, tmp_path)
        tally = Tally()
        tally.add(seen, whole.truth())
        assert tally.unmarked == 0
        assert seen.reasons & {"truncated", "open_failed", "bad_packets"}, harm


@pytest.mark.slow
@pytest.mark.parametrize("name", BY_NAME)
def test_flipped_bytes_leave_no_more_unmarked_wrong_frames_than_the_codec_hides(clips: Clips, name: str, tmp_path: Path) -> None:
    tally, frames = Tally(), 0
    for harm in ("1 byte", "60 bytes", "4000 bytes"):
        for seed in range(5):
            seen, whole = harmed(clips, name, harm, seed, tmp_path)
            tally.add(seen, whole.truth())
            frames += len(seen.frames)
            assert seen.frames or seen.reasons
    codec, container = name.split("-")[:2]
    assert tally.unmarked <= UNSEEN_FLIPS.get(container, UNSEEN_FLIPS[codec]) * frames


@pytest.mark.parametrize("name", BY_NAME)
def test_a_lost_block_is_seen_in_every_codec_and_container(clips: Clips, name: str, tmp_path: Path) -> None:
    tally = Tally()
    for seed in range(4):
        seen, whole = harmed(clips, name, "4 kB zeros", seed, tmp_path)
        tally.add(seen, whole.truth())
        assert seen.reasons
    assert tally.unmarked == 0


@pytest.mark.parametrize("name", BY_NAME)
def test_bytes_that_were_never_received_are_seen(clips: Clips, name: str, tmp_path: Path) -> None:
    tally, frames = Tally(), 0
    for seed in range(4):
        seen, whole = harmed(clips, name, "12 kB gone", seed, tmp_path)
        tally.add(seen, whole.truth())
        frames += len(seen.frames)
        assert seen.reasons
    assert tally.unmarked <= (0.03 * frames if name == "h264-mp4-faststart" else 0)  # there, everything behind the cut is mistaken


def test_failures_give_the_range_of_the_frames_that_are_not_labelled(clips: Clips, tmp_path: Path) -> None:
    seen, _ = harmed(clips, "h264-mp4", "4 kB zeros", 3, tmp_path)
    told = {i for _, low, high, _ in seen.failures if low is not None and high is not None for i in range(low, high + 1)}
    marked = {i for i, (*_, reason) in enumerate(seen.frames) if reason}
    assert marked and marked <= told
    assert 0 < len(marked) < len(seen.frames)


@pytest.mark.parametrize(
    ("name", "lost"), [("vp9-webm", (30, 42)), ("av1-webm", (30, 42)), ("h264-mkv", (31, 43)), ("mpeg4-mkv", (31, 43))]
)
def test_packets_that_never_got_into_the_file_are_missing_frames(tmp_path: Path, clips: Clips, name: str, lost: tuple[int, int]) -> None:
    _, whole = clips(name)
    path = write_clip(tmp_path / f"a.{BY_NAME[name].suffix}", BY_NAME[name], keep=lambda packet: not lost[0] <= packet < lost[1])
    seen, truth = look(path), whole.truth()
    assert seen.row["outcome"] == "done"
    assert seen.reasons & {"missing_frames", "bad_packets"}
    assert not [time for time, picture, _, reason in seen.frames if reason is None and is_wrong(picture, truth.get(time))]
    assert all(reason is None for time, _, _, reason in seen.frames if time < 850_000 or time > 2_000_000)


def test_a_hole_that_ends_at_a_key_frame_spoils_nothing(tmp_path: Path, clips: Clips) -> None:
    path = write_clip(tmp_path / "a.webm", BY_NAME["vp9-webm"], keep=lambda packet: not 36 <= packet < 48)
    seen = look(path)
    assert seen.failures == [(Reason.MISSING_FRAMES, 36, 36, "about 12 frames (0.52 s) are missing before it")]
    assert all(reason is None for *_, reason in seen.frames)


@pytest.mark.parametrize("name", ["h264-mkv", "vp9-webm", "h264-mp4", "mpeg4-mkv"])
def test_an_undamaged_file_of_variable_rate_has_no_failure(tmp_path: Path, name: str) -> None:
    kind = BY_NAME[name]
    steps = np.random.default_rng(5).choice([20, 33, 40, 67, 400], NUM_FRAMES, p=[0.2, 0.3, 0.3, 0.15, 0.05])
    times = [0, *np.cumsum(steps)[:-1].tolist()]
    seen = look(write_clip(tmp_path / f"a.{kind.suffix}", kind, times_ms=times, sound_s=times[-1] / 1000))
    assert seen.reasons == set()
    assert seen.row["is_vfr"]
    assert [number for _, _, number, _ in seen.frames] == list(range(NUM_FRAMES))
    assert np.abs(np.array([time for time, *_ in seen.frames]) / 1000 - np.array(times)).max() <= 1


def test_a_still_of_some_seconds_in_an_mp4_is_no_hole(tmp_path: Path) -> None:
    times = [40 * i + (3_000 if i > 30 else 0) for i in range(NUM_FRAMES)]
    assert look(write_clip(tmp_path / "a.mp4", BY_NAME["h264-mp4"], times_ms=times)).reasons == set()


@pytest.mark.parametrize(("share", "reasons"), [(0.0, {"empty_file"}), (0.005, {"open_failed"})])
def test_empty_files_and_bare_headers(tmp_path: Path, clips: Clips, share: float, reasons: set[str]) -> None:
    for name in ("h264-mp4", "h264-mkv", "vp9-webm", "mpeg4-avi"):
        path, _ = clips(name)
        copy = tmp_path / f"a{path.suffix}"
        copy.write_bytes(path.read_bytes()[: round(path.stat().st_size * share)])
        seen = look(copy)
        assert seen.row["outcome"] == "failed"
        assert seen.reasons <= reasons | {"no_frames"}


def test_a_wrong_extension_changes_nothing(tmp_path: Path, clips: Clips) -> None:
    path, whole = clips("vp9-webm")
    copy = tmp_path / "a.avi"
    copy.write_bytes(path.read_bytes())
    seen = look(copy)
    assert seen.reasons == set()
    assert [number for _, _, number, _ in seen.frames] == [number for _, _, number, _ in whole.frames]


def test_sound_alone_and_sound_with_a_cover_are_no_video(tmp_path: Path) -> None:
    for cover in (False, True):
        path = tmp_path / f"{cover}.mp4"
        with av.open(str(path), "w") as container:
            sound = container.add_stream("aac", rate=48_000, layout="mono")
            if cover:
                picture = container.add_stream("mjpeg", rate=1)
                picture.width, picture.height, picture.pix_fmt = 192, 144, "yuvj420p"
                picture.disposition = av.stream.Disposition.attached_pic
                for packet in picture.encode(av.VideoFrame.from_ndarray(pictures(1)[0], format="rgb24")) + picture.encode(None):
                    container.mux(packet)
            block = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            block.sample_rate = 48_000
            for packet in sound.encode(block) + sound.encode(None):
                container.mux(packet)
        seen = look(path)
        assert (seen.row["outcome"], seen.row["reason"]) == ("filtered", "no_video_stream")


def test_a_mute_video_is_whole(tmp_path: Path) -> None:
    seen = look(write_clip(tmp_path / "a.mp4", BY_NAME["h264-mp4"], sound_s=None))
    assert seen.reasons == set()
    assert not seen.row["has_audio"]


def test_sound_that_is_shorter_than_the_video_has_a_reason_on_every_tick_without_it(tmp_path: Path) -> None:
    from schemas.params import AudioParams

    path = write_clip(tmp_path / "a.mp4", BY_NAME["h264-mp4"], sound_s=2.0)
    reasons = as_frame(Audio(AudioParams())(inventory_row(path), media(path)).rows)["reason"].to_list()
    assert reasons[:49] == [None] * 49
    assert set(reasons[52:]) == {"audio_ends_early"}


def _timecode_of_block(data: bytes, number: int, shift: int) -> bytes:
    """Shifts the time of the `number`-th block of the first cluster of a WebM, in ms, within its two bytes."""
    at = data.index(b"\x1f\x43\xb6\x75")
    for _ in range(number):
        at = data.index(b"\xa3", at + 1)
        while data[at + 1] & 0xF0 != 0x40 or data[at + 3] != 0x81:
            at = data.index(b"\xa3", at + 1)
    place = at + 4
    value = int.from_bytes(data[place : place + 2], "big", signed=True) + shift
    return data[:place] + value.to_bytes(2, "big", signed=True) + data[place + 2 :]


@pytest.mark.parametrize("shift", [-400, 5_000])
def test_a_frame_whose_time_jumps_is_left_out_and_its_neighbours_stay(tmp_path: Path, clips: Clips, shift: int) -> None:
    path, whole = clips("vp9-webm")
    copy = tmp_path / "a.webm"
    copy.write_bytes(_timecode_of_block(path.read_bytes(), 12, shift))
    seen, truth = look(copy), whole.truth()
    good = [time for time, picture, _, reason in seen.frames if reason is None and not is_wrong(picture, truth.get(time))]
    assert "non_monotone_pts" in seen.reasons
    assert len(good) == NUM_FRAMES - 1
    assert len(good) == sum(reason is None for *_, reason in seen.frames)


def test_a_raw_stream_without_timestamps_has_a_reason(tmp_path: Path) -> None:
    assert look(write_clip(tmp_path / "a.h264", Kind("libx264", "h264"), sound_s=None)).reasons


@pytest.mark.parametrize(("length_ms", "reason"), [(40_000.0, "truncated"), (500.0, "header_mismatch")])
def test_a_header_that_claims_another_length(tmp_path: Path, clips: Clips, length_ms: float, reason: str) -> None:
    path, whole = clips("vp9-webm")
    copy = tmp_path / "a.webm"
    copy.write_bytes(patched(path.read_bytes(), b"\x44\x89", 1, struct.pack(">d", length_ms)))
    seen = look(copy)
    assert (seen.row["outcome"], seen.row["reason"]) == ("done", reason)
    assert all(reason is None for *_, reason in seen.frames)
    assert len(seen.frames) == len(whole.frames)


def test_an_index_that_claims_fewer_frames_than_the_times_do(tmp_path: Path, clips: Clips) -> None:
    path, _ = clips("h264-mp4")
    copy = tmp_path / "a.mp4"
    copy.write_bytes(patched(path.read_bytes(), b"stsz", 8, (50).to_bytes(4, "big")))
    seen = look(copy)
    assert (seen.row["reason"], seen.row["detail"]) == ("truncated", "50 of 96 frames are there")
    # FFmpeg gives up the edit list of such a file: pictures come in order, but their times are two frames late against the sound.
    numbers = [number for _, _, number, _ in seen.frames]
    assert len(numbers) == 50
    assert numbers == sorted(numbers)


def test_a_header_that_claims_another_size_is_not_believed(tmp_path: Path, clips: Clips) -> None:
    path, whole = clips("h264-mp4")
    copy = tmp_path / "a.mp4"
    copy.write_bytes(patched(path.read_bytes(), b"avc1", 24, (96).to_bytes(2, "big") * 2))
    seen = look(copy)
    assert (seen.row["outcome"], seen.row["width"], seen.row["height"]) == ("done", 192, 144)
    assert len(seen.frames) == len(whole.frames)


def test_an_avi_that_holds_more_frames_than_it_says(tmp_path: Path, clips: Clips) -> None:
    path, _ = clips("mpeg4-avi")
    copy = tmp_path / "a.avi"
    copy.write_bytes(patched(path.read_bytes(), b"vids", 28, (40).to_bytes(4, "little")))
    assert look(copy).row["reason"] == "header_mismatch"


@pytest.mark.slow
def test_damaged_frames_are_in_the_frames_table_with_their_reason_and_have_no_face(tmp_path: Path, clips: Clips) -> None:
    path, whole = clips("mpeg4-mp4")
    copy = tmp_path / "a.mp4"
    copy.write_bytes(HARMS["1 byte"](path.read_bytes(), 1))
    result = Faces(DecodeParams(), FaceParams())(inventory_row(copy), media(copy))
    frames = as_frame(result.side["frames"])
    assert frames["reason"].drop_nulls().unique().to_list() == ["bad_packets"]
    assert 0 < frames["reason"].null_count() < frames.height == len(whole.frames)
    rows = [f for f in result.failures if f.reason == Reason.BAD_PACKETS]
    assert all(frames.filter(pl.col("frame_index").is_between(f.frame_from, f.frame_to))["reason"].null_count() == 0 for f in rows)
    bad = frames.filter(pl.col("reason").is_not_null())["frame_index"].to_list()
    assert as_frame(result.rows).filter(pl.col("frame_index").is_in(bad)).is_empty()


WATCH = Watch(whole_gops=False, one_to_one=True, has_times=True, may_lose_packets=False)


def judged(watch: Watch, packets: list[tuple[int, bool]], bad: dict[int, str], order: list[int]) -> Damage:
    """Packets (pts in frames, key) in decoding order; frames come out in `order`, by packet."""
    log, damage = PacketLog(watch), Damage()
    for pts, key in packets:
        log.packet(pts * 40_000, key)
        if log.last in bad:
            log.bad(log.last, bad[log.last])
    for packet in order:
        log.shown(packet, packets[packet][1], is_corrupt=False, is_interlaced=False)
        log.handed_out(packet, packets[packet][0] * 40_000)
    log.judge(damage, whole=True, claimed=0)
    return damage


# I0 P3 B1 B2 | I6 (leading: B4 B5) P9 B7 B8
OPEN = [(0, True), (3, False), (1, False), (2, False), (6, True), (4, False), (5, False), (9, False), (7, False), (8, False)]


def test_damage_spoils_what_is_decoded_after_it_up_to_the_next_key_frame_and_its_leading_pictures() -> None:
    damage = judged(WATCH, OPEN, {2: "bad"}, [0, 3, 1, 5, 6, 4, 8, 9, 7])
    # By packet: 0 is good, 2 is lost, 3 was decoded after it; 1 (shown third) before it; 5 and 6 lean on the group before.
    assert sorted(damage.spoiled) == [1, 3, 4]
    assert damage.failures == [(Reason.BAD_PACKETS, 1, 1, "1 bad packets: bad"), (Reason.BAD_PACKETS, 3, 4, "1 bad packets: bad")]


def test_where_the_decoder_sees_little_the_whole_group_is_spoiled() -> None:
    watch = Watch(whole_gops=True, one_to_one=True, has_times=True, may_lose_packets=False)
    damage = judged(watch, OPEN, {2: "bad"}, [0, 3, 1, 5, 6, 4, 8, 9, 7])
    assert sorted(damage.spoiled) == [0, 1, 2, 3, 4]


def test_a_packet_that_shows_nothing_is_damage_unless_it_comes_before_the_first_frame() -> None:
    packets = [(i, i in {0, 4}) for i in range(8)]
    assert sorted(judged(WATCH, packets, {}, [0, 1, 3, 4, 5, 6, 7]).spoiled) == [2]
    assert judged(WATCH, packets, {}, [4, 5, 6, 7]).failures == []


def test_the_number_of_a_picture_is_legible() -> None:
    assert [number_of(picture) for picture in pictures(5)] == [0, 1, 2, 3, 4]
