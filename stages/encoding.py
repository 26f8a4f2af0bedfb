"""Encoding: frames and sound to an MP4 file, the same input always to the same bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

_TIME_BASE = Fraction(1, 90_000)
_AUDIO_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Encoding:
    """Settings of x264 and of FFmpeg's AAC encoder; `audio_kbps` None is the encoder's own choice."""

    crf: int = 18
    preset: str = "veryfast"
    gop_frames: int = 250
    audio_kbps: int | None = None


def write_mp4(
    path: Path,
    frames: Iterable[tuple[int, NDArray[np.uint8]]],
    wave: NDArray[np.float32] | None,
    sample_rate_hz: int,
    encoding: Encoding = Encoding(),
) -> None:
    """Writes H.264 and AAC.

    Args:
        path: `.mp4`; replaced.
        frames: (pts_us, (H, W, 3) uint8 RGB) with increasing times; odd sizes lose their last row or column.
        wave: (N,) float32 mono in [-1, 1] from time zero, or None for a file without sound.
        sample_rate_hz: of `wave`.
        encoding: how.
    """
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart", "fflags": "+bitexact"}) as container:
        # One thread: x264 cuts pictures differently for every number of them. No macroblock tree: its assembler gave up to 7
        # different files in 8 runs over the same 40 frames here, from preset veryfast on; without it, or without assembler, one.
        options = {"crf": str(encoding.crf), "preset": encoding.preset, "g": str(encoding.gop_frames), "threads": "1"}
        options["x264-params"] = "mbtree=0"
        video = container.add_stream("libx264", rate=25, options=options)
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = _TIME_BASE
        video.codec_context.thread_count = 1
        audio = container.add_stream("aac", rate=sample_rate_hz, layout="mono") if wave is not None else None
        if audio is not None and encoding.audio_kbps is not None:
            audio.bit_rate = encoding.audio_kbps * 1000
        for pts_us, rgb in frames:
            even = np.ascontiguousarray(rgb[: rgb.shape[0] // 2 * 2, : rgb.shape[1] // 2 * 2])
            if not video.codec_context.is_open:
                video.height, video.width = even.shape[:2]
            frame = av.VideoFrame.from_ndarray(even, format="rgb24")
            frame.pts, frame.time_base = round(pts_us * 9 / 100), _TIME_BASE
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None and wave is not None:
            for start in range(0, len(wave), _AUDIO_BLOCK):
                samples = np.ascontiguousarray(wave[None, start : start + _AUDIO_BLOCK])
                block = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                block.sample_rate, block.pts, block.time_base = sample_rate_hz, start, Fraction(1, sample_rate_hz)
                container.mux(audio.encode(block))
            container.mux(audio.encode(None))
