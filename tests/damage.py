"""Clips that show their frame number, and every kind of harm that is done to them: the damage matrix of tests and benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from schemas.params import DecodeParams
from schemas.reasons import Reason
from stages.contract import MediaError
from stages.decoding import Damage, scan_video
from tests.conftest import inventory_row

NUM_FRAMES, RATE_HZ, GOP_FRAMES = 96, 25, 24
HEIGHT, WIDTH = 144, 192
_BAR_ROWS, _BAR_COLS = 40, WIDTH // 8
_SAMPLE_RATE_HZ = 48_000

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Kind:
    """A codec in a container; `options` are the muxer's."""

    encoder: str
    suffix: str
    options: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        codec = {"libx264": "h264", "libx265": "hevc", "libvpx-vp9": "vp9", "libsvtav1": "av1"}.get(self.encoder, self.encoder)
        return f"{codec}-{self.suffix}" + ("-faststart" if self.options else "")


KINDS = (
    Kind("libx264", "mp4"),
    Kind("libx264", "mp4", (("movflags", "+faststart"),)),
    Kind("libx264", "mkv"),
    Kind("libx264", "ts"),
    Kind("libx264", "avi"),
    Kind("libx265", "mp4"),
    Kind("libx265", "mkv"),
    Kind("libx265", "ts"),
    Kind("libvpx-vp9", "webm"),
    Kind("libvpx-vp9", "mp4"),
    Kind("libsvtav1", "mp4"),
    Kind("libsvtav1", "webm"),
    Kind("mpeg4", "mp4"),
    Kind("mpeg4", "avi"),
    Kind("mpeg4", "mkv"),
)

_ENCODER_OPTIONS = {
    "libx264": {"crf": "23", "preset": "veryfast", "bf": "2", "x264-params": "mbtree=0", "threads": "1"},
    "libx265": {"crf": "25", "preset": "ultrafast", "x265-params": f"pools=1:frame-threads=1:log-level=none:bframes=2:keyint={GOP_FRAMES}"},
    "libvpx-vp9": {"crf": "32", "b": "0", "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "16", "auto-alt-ref": "1"},
    "libsvtav1": {"crf": "30", "preset": "8", "svtav1-params": "lp=1"},
    "mpeg4": {"bf": "2"},
}


def pictures(count: int = NUM_FRAMES, height: int = HEIGHT, width: int = WIDTH) -> list[Picture]:
    """(H, W, 3) each: the frame's number as eight grey bars above a texture that moves."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(30, 225, (height // 8 + 8, width // 8 + 8)).astype(np.float32)
    texture = np.kron(coarse, np.ones((8, 8), np.float32))
    smooth = np.cumsum(np.cumsum(np.pad(texture, ((5, 0), (5, 0))), 0), 1)
    texture = (smooth[5:, 5:] - smooth[:-5, 5:] - smooth[5:, :-5] + smooth[:-5, :-5]) / 25
    frames = []
    for i in range(count):
        down, right = round(16 + 14 * np.sin(i / 7)), round(16 + 14 * np.cos(i / 5))
        picture = texture[down : down + height, right : right + width].copy()
        picture += rng.normal(0, 4, picture.shape)
        bar = width // 8
        for bit in range(8):
            picture[: height // 4, bit * bar : (bit + 1) * bar] = 210 if i >> bit & 1 else 40
        frames.append(np.repeat(picture.clip(0, 255).astype(np.uint8)[:, :, None], 3, 2))
    return frames


def number_of(picture: Picture) -> int:
    """The number that a frame shows."""
    if min(picture.shape[:2]) < 64:
        return -1
    bar, rows = picture.shape[1] // 8, picture.shape[0] // 4
    return sum(1 << bit for bit in range(8) if picture[4 : rows - 4, bit * bar + 4 : (bit + 1) * bar - 4].mean() > 125)


def write_clip(
    path: Path,
    kind: Kind,
    times_ms: Iterable[int] | None = None,
    keep: Callable[[int], bool] = lambda packet: True,
    sound_s: float | None = NUM_FRAMES / RATE_HZ,
    frames: list[Picture] | None = None,
) -> Path:
    """Writes a clip with video (and a tone of `sound_s`), always the same bytes.

    Args:
        path: replaced; its suffix says the container.
        kind: codec and muxer options.
        times_ms: of the frames; default is every 40 ms.
        keep: whether a video packet, by its number in decoding order, gets into the file.
        sound_s: length of the tone, None for no sound track.
        frames: pictures; default `pictures()`.
    """
    frames = pictures() if frames is None else frames
    times = [i * 1000 // RATE_HZ for i in range(len(frames))] if times_ms is None else list(times_ms)
    options = {"fflags": "+bitexact"} | dict(kind.options)
    with av.open(str(path), "w", options=options) as container:
        own = _ENCODER_OPTIONS[kind.encoder]
        settings = own | {"g": str(GOP_FRAMES), "flags": "+bitexact"}
        video = container.add_stream(kind.encoder, rate=RATE_HZ, options=settings)
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = "yuv420p"
        if kind.encoder == "mpeg4":
            video.bit_rate = 250_000
        video.codec_context.thread_count = 1
        if times_ms is not None:
            video.codec_context.time_base = Fraction(1, 1000)
        audio = None
        if sound_s is not None:
            name = "libopus" if kind.suffix == "webm" else "aac"
            audio = container.add_stream(name, rate=_SAMPLE_RATE_HZ, layout="mono")
        sound = _tone(sound_s or 0.0)
        count = 0
        for time_ms, picture in zip(times, frames, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            base = Fraction(1, 1000) if times_ms is not None else Fraction(1, RATE_HZ)
            frame.pts, frame.time_base = round(time_ms / 1000 / base), base
            for packet in video.encode(frame):
                if keep(count):
                    container.mux(packet)
                count += 1
            while audio is not None and (block := next(sound, None)) is not None:
                container.mux(audio.encode(block))
                if block.pts / _SAMPLE_RATE_HZ * 1000 > time_ms:
                    break
        for packet in video.encode(None):
            if keep(count):
                container.mux(packet)
            count += 1
        if audio is not None:
            for block in sound:
                container.mux(audio.encode(block))
            container.mux(audio.encode(None))
    return path


def _tone(length_s: float) -> Iterator[av.AudioFrame]:
    wave = (0.3 * np.sin(2 * np.pi * 440 * np.arange(round(length_s * _SAMPLE_RATE_HZ)) / _SAMPLE_RATE_HZ)).astype(np.float32)
    for start in range(0, len(wave), 960):
        block = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave[None, start : start + 960]), format="flt", layout="mono")
        block.sample_rate, block.pts, block.time_base = _SAMPLE_RATE_HZ, start, Fraction(1, _SAMPLE_RATE_HZ)
        yield block


def truncated(data: bytes, share: float) -> bytes:
    """The beginning of the file."""
    return data[: round(len(data) * share)]


def flipped(data: bytes, count: int, seed: int) -> bytes:
    """`count` bytes in the middle nine tenths of the file get another value: packets, and little of the headers."""
    rng = np.random.default_rng(seed)
    harmed = bytearray(data)
    for place in rng.integers(len(data) // 20, len(data) * 19 // 20, count):
        harmed[place] ^= int(rng.integers(1, 256))
    return bytes(harmed)


def zeroed(data: bytes, length: int, seed: int) -> bytes:
    """One block of a disk comes back as zeros."""
    start = int(np.random.default_rng(seed).integers(len(data) // 5, len(data) * 4 // 5))
    return data[:start] + bytes(length) + data[start + length :]


def cut_out(data: bytes, length: int, seed: int) -> bytes:
    """Bytes in the middle were never received, and what follows moved up."""
    start = int(np.random.default_rng(seed).integers(len(data) // 5, len(data) * 3 // 5))
    return data[:start] + data[start + length :]


HARMS: dict[str, Callable[[bytes, int], bytes]] = {
    "cut at 10 %": lambda data, _: truncated(data, 0.10),
    "cut at 60 %": lambda data, _: truncated(data, 0.60),
    "cut at 99 %": lambda data, _: truncated(data, 0.99),
    "1 byte": lambda data, seed: flipped(data, 1, seed),
    "60 bytes": lambda data, seed: flipped(data, 60, seed),
    "4000 bytes": lambda data, seed: flipped(data, 4000, seed),
    "4 kB zeros": lambda data, seed: zeroed(data, 4096, seed),
    "12 kB gone": lambda data, seed: cut_out(data, 12_032, seed),
}
"""What is done to a file's bytes; the second argument seeds it."""


def blocks(picture: Picture) -> NDArray[np.float32]:
    """(H / 16, W / 16) mean grey of (H, W) or (H, W, 3) pixels: what differs here is seen."""
    grey = picture if picture.ndim == 2 else picture.mean(2)
    size = (max(1, grey.shape[1] // 16), max(1, grey.shape[0] // 16))
    return np.asarray(cv2.resize(grey.astype(np.float32), size, interpolation=cv2.INTER_AREA))


VISIBLE = 8.0
"""Grey levels out of 255, in the mean of a block of 16 x 16."""


def is_wrong(seen: NDArray[np.float32], truth: NDArray[np.float32] | None) -> bool:
    """Whether a frame is not the one that the undamaged file has at that time, or differs visibly from it."""
    return truth is None or seen.shape != truth.shape or bool(np.abs(seen - truth).max() > VISIBLE)


@dataclass
class Seen:
    """What FauScan makes of a file: inventory row, (container time in us, blocks, number, reason) of each frame, failures."""

    row: dict[str, object]
    frames: list[tuple[int, NDArray[np.float32], int, Reason | None]]
    failures: list[tuple[Reason, int | None, int | None, str]]
    error: MediaError | None = None

    @property
    def reasons(self) -> set[str]:
        """Every reason that the file has anywhere."""
        own = {str(self.row["reason"])} if self.row["reason"] else set()
        return own | {failure[0].value for failure in self.failures} | ({self.error.reason.value} if self.error else set())

    def truth(self) -> dict[int, NDArray[np.float32]]:
        """Pictures by time: what the damaged copies are held against."""
        return {time: picture for time, picture, _, _ in self.frames}


def look(path: Path) -> Seen:
    """Inventory, then a scan of every frame."""
    row = inventory_row(path).to_pylist()[0]
    seen = Seen(row, [], [])
    if row["outcome"] != "done":
        return seen
    damage = Damage()
    frames = []
    try:
        for frame in scan_video(path, row["origin_us"], 0, DecodeParams(), damage):
            rgb = frame.rgb()
            frames.append((frame.pts_us + row["origin_us"], blocks(rgb), number_of(rgb)))
    except MediaError as error:
        seen.error = error
    seen.failures = damage.failures
    seen.frames = [(*frame, damage.spoiled.get(i)) for i, frame in enumerate(frames)]
    return seen


@dataclass
class Tally:
    """Frames of damaged copies: wrong ones, those of them without a mark, good ones that are lost (marked, or not there)."""

    wrong: int = 0
    unmarked: int = 0
    lost: int = 0
    refused: int = 0
    silent: int = 0
    """Files with a wrong or missing frame and not one reason."""

    def add(self, seen: Seen, truth: dict[int, NDArray[np.float32]]) -> None:
        """Counts one copy."""
        wrong = [is_wrong(picture, truth.get(time)) for time, picture, _, _ in seen.frames]
        good = sum(not bad and reason is None for bad, (_, _, _, reason) in zip(wrong, seen.frames, strict=True))
        self.wrong += sum(wrong)
        self.unmarked += sum(bad and reason is None for bad, (_, _, _, reason) in zip(wrong, seen.frames, strict=True))
        self.lost += len(truth) - sum(wrong) - good if seen.frames else 0
        self.refused += not seen.frames
        self.silent += not seen.reasons and good < len(truth)


def patched(data: bytes, after: bytes, offset: int, value: bytes, which: int = 0) -> bytes:
    """Overwrites bytes `offset` behind the `which`-th occurrence of a box name or element id."""
    at = -1
    for _ in range(which + 1):
        at = data.index(after, at + 1)
    place = at + len(after) + offset
    return data[:place] + value + data[place + len(value) :]
