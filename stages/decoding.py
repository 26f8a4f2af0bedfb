"""Decoding: packets in, frames and samples out, with every damaged packet seen and reported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import av.error
import numpy as np
from numpy.typing import NDArray

from schemas.params import DecodeParams
from schemas.reasons import Failure, Outcome, Reason
from schemas.timebase import pts_to_us
from stages.contract import MediaError

# Demuxers that we let FFmpeg use. Playlists (hls, concat, dash) can name other files and hosts, picture and
# text demuxers turn a .png or .txt into a "video": none of them is here.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpeg", "mpegts", "mpegvideo", "flv", "live_flv", "asf", "ogg",
    "mxf", "h264", "hevc", "ivf", "obu", "m4v", "dv", "rm", "nut", "gxf", "wtv", "swf", "nsv",
    "wav", "mp3", "flac", "aac", "ac3", "aiff", "caf", "amr", "au",
)  # fmt: skip
_FURTHEST_US = 1 << 61  # seventy thousand years
_OPTIONS = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"}


def open_container(path: Path, max_pixels: int = DecodeParams().max_pixels) -> av.container.InputContainer:
    """Opens a media file that may be hostile.

    Args:
        path: a local file.
        max_pixels: larger pictures are not decoded to find out what is in the file: 700 bytes can ask for gigabytes.

    Raises:
        av.error.FFmpegError, OSError, ValueError: not one of `CONTAINERS`, damaged, or unreadable.
    """
    # "file:" keeps names such as "concat:a|b" or "http:..." from being taken for protocols.
    options = _OPTIONS | {"max_pixels": str(max_pixels)}
    return av.open(f"file:{path}", mode="r", options=options, metadata_errors="replace")


@dataclass(slots=True)
class VideoFrame:
    """One decoded frame of the source.

    `index` counts decoded frames from 0; `pts_us` is on the common timeline; `suspect` is true between a damaged
    packet and the next key frame, where the picture may be wrong although the decoder says nothing.
    """

    index: int
    pts_us: int
    suspect: bool
    picture: av.VideoFrame
    rotation_deg: int

    def rgb(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8, upright."""
        pixels = self.picture.to_ndarray(format="rgb24")
        turns = (self.rotation_deg // 90) % 4
        return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


@dataclass(slots=True)
class Damage:
    """Trouble met while scanning one stream, as frame ranges."""

    failures: list[tuple[Reason, int | None, int | None, str]] = field(default_factory=list)

    def as_failures(self, content_id: str, uri: str, stage: str) -> list[Failure]:
        """Rows of `failures`; the video itself is still `done`."""
        return [
            Failure(content_id, uri, stage, reason, Outcome.DONE, detail, frame_from, frame_to)
            for reason, frame_from, frame_to, detail in self.failures
        ]


def scan_video(path: Path, origin_us: int, rotation_deg: int, params: DecodeParams, damage: Damage) -> Iterator[VideoFrame]:
    """Every decodable frame in presentation order, with strictly increasing `pts_us`.

    Args:
        path: a local file.
        origin_us: start of the common timeline in the container's time.
        rotation_deg: counter-clockwise turn that makes the picture upright.
        params: limits.
        damage: filled while the scan goes on.

    Raises:
        MediaError: the file does not open, has no video, or its pictures are too large.
    """
    with open_for_scan(path, params.max_pixels) as container:
        stream = _video_stream(container)
        context = stream.codec_context
        context.thread_count = 1
        context.options = {"err_detect": "explode", "max_pixels": str(params.max_pixels)}
        if context.width * context.height > params.max_pixels:
            raise MediaError(Reason.TOO_LARGE, f"{context.width}x{context.height} pixels", Outcome.FILTERED)
        base = stream.time_base
        index, last_us, bad_packets, suspect_from = 0, None, 0, None
        dropped, dropped_from = 0, 0
        for item in _decode(container, stream):
            if isinstance(item, str):
                bad_packets += 1
                suspect_from = index if suspect_from is None else suspect_from
                continue
            if item.width * item.height > params.max_pixels:
                raise MediaError(Reason.TOO_LARGE, f"{item.width}x{item.height} pixels", Outcome.FILTERED)
            pts_us = None if item.pts is None or base is None else stamp_us(item.pts, base)
            pts_us = None if pts_us is None else pts_us - origin_us
            if pts_us is None or (last_us is not None and pts_us <= last_us):
                dropped_from = index if dropped == 0 else dropped_from
                dropped += 1
                continue
            if index >= params.max_frames:
                damage.failures.append((Reason.TOO_LARGE, index, None, f"more than {params.max_frames} frames"))
                break
            if suspect_from is not None and item.key_frame and not item.is_corrupt:
                damage.failures.append((Reason.BAD_PACKETS, suspect_from, max(suspect_from, index - 1), f"{bad_packets} bad packets"))
                suspect_from, bad_packets = None, 0
            if item.is_corrupt and suspect_from is None:
                suspect_from = index
            yield VideoFrame(index, pts_us, suspect_from is not None, item, rotation_deg)
            index, last_us = index + 1, pts_us
        if suspect_from is not None:
            damage.failures.append((Reason.BAD_PACKETS, suspect_from, max(suspect_from, index - 1), f"{bad_packets} bad packets"))
        if dropped:
            damage.failures.append((Reason.NON_MONOTONE_PTS, dropped_from, None, f"{dropped} frames left out"))


def open_for_scan(path: Path, max_pixels: int = DecodeParams().max_pixels) -> av.container.InputContainer:
    """`open_container`, with its errors as a `MediaError`."""
    try:
        return open_container(path, max_pixels)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError(Reason.OPEN_FAILED, one_line(error)) from None


def _video_stream(container: av.container.InputContainer) -> av.VideoStream:
    stream = video_stream(container)
    if stream is None:
        raise MediaError(Reason.NO_VIDEO_STREAM, "no moving picture", Outcome.FILTERED)
    return stream


def video_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """The first stream with moving pictures; cover art is not one."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic and stream.codec_context is not None:
            return stream
    return None


def stamp_us(pts: int, base: Fraction) -> int | None:
    """A stream's timestamp in microseconds, None for one so far away that it is none: the tables have 64 bits."""
    at_us = pts_to_us(pts, base.numerator, base.denominator)
    return at_us if abs(at_us) < _FURTHEST_US else None


def _decode(container: av.container.InputContainer, stream: Any) -> Iterator[Any]:
    """Frames, and a line of text for each packet that did not decode."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.error.FFmpegError, OSError, ValueError) as error:
            yield one_line(error)
            # The demuxer has given up; what the decoder still holds comes out with an empty packet.
            try:
                yield from stream.decode(None)
            except (av.error.FFmpegError, OSError, ValueError) as flush_error:
                yield one_line(flush_error)
            return
        try:
            if packet.is_corrupt:
                yield "the container marks the packet as damaged"
            yield from packet.decode()
        except (av.error.FFmpegError, OSError, ValueError) as error:
            yield one_line(error)


def one_line(error: Exception) -> str:
    """What went wrong, without the file's name: the tables hold no path of this machine, and that of a remote file's copy is random."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:200]


_MIN_RATE_HZ, _MAX_RATE_HZ = 1_000, 768_000
_MAX_LEVEL = 4.0  # float samples may pass full scale, not by a thousand


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """Consecutive samples: mono (N,) float32 in [-1, 1], starting at `pts_us` on the common timeline."""

    pts_us: int
    rate_hz: int
    mono: NDArray[np.float32]


def scan_audio(path: Path, origin_us: int, end_us: int, damage: list[str]) -> Iterator[AudioBlock]:
    """Every decodable block of the first audio stream up to `end_us`, in order.

    Channels are averaged here: libswresample's own downmix to float is 1.414 times too loud.

    Raises:
        MediaError: the file does not open.
    """
    with open_for_scan(path) as container:
        if not container.streams.audio:
            return
        stream = container.streams.audio[0]
        stream.codec_context.thread_count = 1
        base = stream.time_base
        for item in _decode(container, stream):
            if isinstance(item, str):
                damage.append(item)
                continue
            at_us = None if item.pts is None or base is None else stamp_us(item.pts, base)
            if at_us is None or not _MIN_RATE_HZ <= item.sample_rate <= _MAX_RATE_HZ:
                damage.append(f"a block without a timestamp, or of {item.sample_rate} Hz")
                continue
            pts_us = at_us - origin_us
            if pts_us > end_us:
                return
            yield AudioBlock(pts_us, item.sample_rate, _mono(item))


def _mono(frame: av.AudioFrame) -> NDArray[np.float32]:
    samples = frame.to_ndarray()  # (channels, N) planar, (1, N * channels) packed
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if np.issubdtype(samples.dtype, np.unsignedinteger):
        half = 1 << (8 * samples.dtype.itemsize - 1)
        scaled = (samples.astype(np.float32) - half) / half
    elif np.issubdtype(samples.dtype, np.integer):
        scaled = samples.astype(np.float32) / float(1 << (8 * samples.dtype.itemsize - 1))
    else:
        scaled = samples.astype(np.float32)
    mono: NDArray[np.float32] = np.nan_to_num(scaled.mean(0), nan=0.0, posinf=0.0, neginf=0.0).clip(-_MAX_LEVEL, _MAX_LEVEL)
    return mono
