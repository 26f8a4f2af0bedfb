"""Clips that show their frame number, and every kind of harm that is done to them: the damage matrix of tests and benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

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
    "mpeg4": {"global_quality": "590", "bf": "2", "flags": "+qscale"},
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
        settings = own | {"g": str(GOP_FRAMES), "flags": "+bitexact" + own.get("flags", "")}
        video = container.add_stream(kind.encoder, rate=RATE_HZ, options=settings)
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = "yuv420p"
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
