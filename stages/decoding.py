"""Decoding: packets in, frames and samples out, with every damaged packet seen and reported."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.container
import av.error
import numpy as np
from numpy.typing import NDArray

from schemas.params import DecodeParams
from schemas.reasons import Outcome, Reason
from schemas.timebase import pts_to_us
from stages.contract import MediaError
from stages.damage import ByteRanges, PacketLog, Watch
from stages.damage import Damage as Damage  # noqa: PLC0414 - whoever scans needs one
from stages.matroska import damaged_ranges
from stages.timestamps import InOrder, Ranks

# Demuxers that we let FFmpeg use. Playlists (hls, concat, dash) can name other files and hosts, picture and
# text demuxers turn a .png or .txt into a "video": none of them is here.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpeg", "mpegts", "mpegvideo", "flv", "live_flv", "asf", "ogg",
    "mxf", "h264", "hevc", "ivf", "obu", "m4v", "dv", "rm", "nut", "gxf", "wtv", "swf", "nsv",
    "wav", "mp3", "flac", "aac", "ac3", "aiff", "caf", "amr", "au",
)  # fmt: skip
_FLUSHES = 32
_CHUNK_HEAD_BYTES = 40  # between two packets of an AVI: chunk and list headers, a padding byte
_FURTHEST_US = 1 << 61  # seventy thousand years
_OPTIONS = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"}


TROUBLE = (av.error.FFmpegError, OSError, ValueError, IndexError)
"""What PyAV raises over damaged media. IndexError: a stream that a damaged file announces late, for which PyAV has no object."""


def open_container(path: Path, max_pixels: int = DecodeParams().max_pixels) -> av.container.InputContainer:
    """Opens a media file that may be hostile.

    Args:
        path: a local file.
        max_pixels: larger pictures are not decoded to find out what is in the file: 700 bytes can ask for gigabytes.

    Raises:
        TROUBLE: not one of `CONTAINERS`, damaged, or unreadable.
    """
    # "file:" keeps names such as "concat:a|b" or "http:..." from being taken for protocols.
    options = _OPTIONS | {"max_pixels": str(max_pixels)}
    return av.open(f"file:{path}", mode="r", options=options, metadata_errors="replace")


@dataclass(slots=True)
class VideoFrame:
    """One decoded frame of the source.

    `index` counts decoded frames from 0; `pts_us` is on the common timeline; `suspect` is true between a damaged
    packet and the next key frame, where the picture may be wrong although the decoder says nothing. The last word has
    `Damage.spoiled`, when the scan is over.
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


_VERIFIED = frozenset({"h264", "vp9", "av1"})
"""Codecs whose decoders notice damage soon and mostly (benchmarks/damage.json): with others, an error condemns its group of pictures."""

_ONE_FRAME_A_PACKET = frozenset({"h264", "hevc", "vp9", "av1", "mpeg4"})
_NO_PICTURE_BYTES = 16  # MPEG-4 fills its rate with packets that say "as before"
_DENSE = frozenset({"h264", "hevc", "vp9", "av1", "mpeg4"})
"""Codecs whose packets hold no long runs of zeros: H.264 and HEVC forbid them, the others' entropy coders don't produce them."""
_ZEROS = bytes(32)
_REORDERED = frozenset({"h264", "hevc"})  # their parsers know no presentation times that AVI could be given
_EIGHT_BITS = frozenset({"yuv420p", "yuv422p", "yuv440p", "yuv444p", "gbrp"})
_VP9_SYNC = b"\x49\x83\x42"


def scan_video(path: Path, origin_us: int, rotation_deg: int, params: DecodeParams, damage: Damage) -> Iterator[VideoFrame]:
    """Every decodable frame in presentation order, with strictly increasing `pts_us`.

    Args:
        path: a local file.
        origin_us: start of the common timeline in the container's time.
        rotation_deg: counter-clockwise turn that makes the picture upright.
        params: limits.
        damage: filled when the scan is over; it may then name frames that were not `suspect` when they were handed out.

    Raises:
        MediaError: the file does not open, has no video, or its pictures are too large.
    """
    with open_for_scan(path, params.max_pixels) as container:
        stream = _video_stream(container)
        _refuse_large(stream.codec_context, params)
        codec = stream.codec_context.codec.canonical_name
        log = PacketLog(
            Watch(
                whole_gops=codec not in _VERIFIED,
                one_to_one=codec in _ONE_FRAME_A_PACKET,
                has_times=container.format.name != "avi",
                may_lose_packets="mov" not in container.format.name,
            )
        )
        order = InOrder()
        whole = True
        for index, (packet, picture, pts_us) in enumerate(order.of(_pictures(container, stream, path, log, params))):
            if index >= params.max_frames:
                damage.failures.append((Reason.TOO_LARGE, index, None, f"more than {params.max_frames} frames"))
                whole = False
                break
            log.handed_out(packet, pts_us)
            yield VideoFrame(index, pts_us - origin_us, log.is_spoiled(packet), picture, rotation_deg)
        log.judge(damage, whole, stream.frames)
        order.judge(damage)


def _pictures(
    container: av.container.InputContainer, stream: Any, path: Path, log: PacketLog, params: DecodeParams
) -> Iterator[tuple[int, av.VideoFrame, int | None]]:
    """(packet, picture, container time in microseconds) as the decoder gives them out; `log` hears of every packet and error."""
    context = _decoder(stream, params.max_pixels)
    by_libvpx = context is not stream.codec_context
    ranks = Ranks() if container.format.name == "avi" and stream.codec_context.codec.canonical_name in _REORDERED else None
    broken = ByteRanges(damaged_ranges(path) if "matroska" in container.format.name else [])
    base = stream.time_base
    dense = stream.codec_context.codec.canonical_name in _DENSE
    for packet in _packets(container, stream, log):
        if packet is not None:
            stamp = packet.pts if packet.pts is not None else packet.dts
            pts_us = None if stamp is None or base is None or packet.is_discard else stamp_us(stamp, base)
            data = bytes(packet)
            is_key = packet.is_keyframe and not (by_libvpx and data[1:4] != _VP9_SYNC)
            packet.opaque = log.packet(pts_us, is_key, shows=len(data) > _NO_PICTURE_BYTES)
            if dense and _ZEROS in data:
                log.bad(log.last, "a stretch of zeros, which the codec never writes")
            elif packet.is_corrupt:
                log.bad(log.last, "the container marks the packet as damaged")
            elif packet.pos in broken:
                log.bad(log.last, "the container's checksum is wrong here")
            if ranks is not None:
                ranks.packet(pts_us)
        try:
            pictures = context.decode(packet)
        except EOFError:
            return  # nothing is left in it
        except TROUBLE as error:
            log.bad(log.last, one_line(error))
            continue
        for picture in pictures:
            _refuse_large(picture, params)
            number = picture.opaque if isinstance(picture.opaque, int) else log.last
            is_key = log.is_key(number) if by_libvpx else bool(picture.key_frame)
            log.shown(number, is_key, picture.is_corrupt, picture.interlaced_frame)
            pts_us = None if picture.pts is None or base is None else stamp_us(picture.pts, base)
            yield number, picture, pts_us if ranks is None else ranks.shown(number, is_key)


def _packets(container: av.container.InputContainer, stream: Any, log: PacketLog) -> Iterator[av.Packet | None]:
    """The stream's packets, then None so often that a decoder that stumbles gives out what it still holds."""
    in_file_order = container.format.name == "avi"
    end = 0
    try:
        for packet in container.demux(() if in_file_order else stream):
            if in_file_order and packet.pos is not None:
                if 0 < end < packet.pos - _CHUNK_HEAD_BYTES:
                    log.skipped()
                end = max(end, packet.pos + packet.size)
            if packet.size and packet.stream.index == stream.index:
                yield packet
    except IndexError:
        pass  # the file is over, see TROUBLE
    except TROUBLE as error:
        log.packet(None, is_key=False)
        log.bad(log.last, one_line(error))
    for _ in range(_FLUSHES):
        yield None


def _decoder(stream: Any, max_pixels: int) -> Any:
    """The stream's decoder, one thread, told to complain.

    VP9 goes to libvpx where it can: it finds nearly every flipped byte, FFmpeg's own decoder none; it is 0 to 12 % slower.
    """
    context = stream.codec_context
    codec = context.codec.canonical_name
    if codec == "vp9" and context.pix_fmt in _EIGHT_BITS:
        with contextlib.suppress(ValueError):  # an FFmpeg without libvpx
            context = av.CodecContext.create("libvpx-vp9", "r")
    context.thread_count = 1
    context.copy_opaque = True
    # Picture hashes, where a stream has them, are compared with crccheck.
    context.options = {"err_detect": "explode+crccheck+bitstream+buffer", "max_pixels": str(max_pixels)}
    if codec == "av1":
        # libdav1d looks at the padding behind each tile's symbols only when it is strict; then it found every flipped byte of ours.
        context.options |= {"strict": "strict"}
    return context


def _refuse_large(picture: Any, params: DecodeParams) -> None:
    if picture.width * picture.height > params.max_pixels:
        raise MediaError(Reason.TOO_LARGE, f"{picture.width}x{picture.height} pixels", Outcome.FILTERED)


def open_for_scan(path: Path, max_pixels: int = DecodeParams().max_pixels) -> av.container.InputContainer:
    """`open_container`, with its errors as a `MediaError`."""
    try:
        return open_container(path, max_pixels)
    except TROUBLE as error:
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
        except TROUBLE as error:
            yield one_line(error)
            # The demuxer has given up; what the decoder still holds comes out with an empty packet.
            try:
                yield from stream.decode(None)
            except TROUBLE as flush_error:
                yield one_line(flush_error)
            return
        try:
            if packet.is_corrupt:
                yield "the container marks the packet as damaged"
            yield from packet.decode()
        except TROUBLE as error:
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
