"""Files that mean harm, made by hand: pictures of gigabytes, a million streams, times beyond the end of time."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from stages.encoding import write_mp4

HUGE = 16_000


def jpeg(width: int = 64, height: int = 48, claims: tuple[int, int] | None = None, grey: int = 128) -> bytes:
    """A grey picture; `claims` is the width and height that its header is made to say."""
    ok, data = cv2.imencode(".jpg", np.full((height, width), grey, np.uint8))
    assert ok
    found = bytearray(data.tobytes())
    if claims is not None:
        at = found.index(b"\xff\xc0") + 5
        found[at : at + 4] = struct.pack(">HH", claims[1], claims[0])
    return bytes(found)


def png(width: int, height: int) -> bytes:
    """A real picture of zeros: a few hundred kilobytes that decode to gigabytes."""
    squeeze, row = zlib.compressobj(9), bytes(1 + width)
    pixels = b"".join(squeeze.compress(row) for _ in range(height)) + squeeze.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def gif(width: int, height: int) -> bytes:
    """Two frames in a few bytes."""
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x08\x02\x4c\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF0, 0, 0) + bytes(6) + frame * 2 + b"\x3b"


# --- Matroska ------------------------------------------------------------------------------------------------------


def element(name: str, *payload: bytes) -> bytes:
    """An EBML element; `name` is its id in hex."""
    data = b"".join(payload)
    return bytes.fromhex(name) + struct.pack(">Q", len(data) | 1 << 56) + data


def number(name: str, value: int) -> bytes:
    return element(name, struct.pack(">Q", value))


def track(index: int, codec: str = "V_MJPEG", width: int = 64, height: int = 48, extra: bytes = b"") -> bytes:
    video = element("e0", number("b0", width), number("ba", height))
    return element("ae", number("d7", index), number("73c5", index), number("83", 1), element("86", codec.encode()), video, extra)


def png_track() -> bytes:
    """Track 1, with pictures as in `png`."""
    header = struct.pack("<IiiHH4s", 40, 64, 48, 1, 24, b"MPNG") + bytes(20)
    return track(1, "V_MS/VFW/FOURCC", extra=element("63a2", header))


def cluster(time: int, *frames: bytes, step: int = 40, first: int = 0) -> bytes:
    """Key frames of track 1, `step` apart, in units of the time scale after `time`."""
    blocks = (element("a3", b"\x81" + struct.pack(">h", first + i * step) + b"\x80" + frame) for i, frame in enumerate(frames))
    return element("1f43b675", number("e7", time), *blocks)


def matroska(tracks: Iterable[bytes], clusters: Iterable[bytes], scale_ns: int = 1_000_000, more: bytes = b"") -> bytes:
    head = element("1a45dfa3", element("4282", b"matroska"), number("4287", 4), number("4285", 2))
    info = element("1549a966", number("2ad7b1", scale_ns))
    return head + element("18538067", info, element("1654ae6b", *tracks), more, *clusters)


def motion_jpeg(*frames: bytes, time: int = 0, step: int = 40, scale_ns: int = 1_000_000, width: int = 64, height: int = 48) -> bytes:
    return matroska([track(1, width=width, height=height)], [cluster(time, *frames, step=step)], scale_ns)


def nested_tags(depth: int) -> bytes:
    """A Matroska file whose tags hold tags that hold tags ..."""
    tag = element("67c8", element("45a3", b"T"))
    # From the inside out, a header at a time: each is 8 bytes of length and an id of 2.
    heads, size = [], len(tag)
    for _ in range(depth):
        heads.append(bytes.fromhex("67c8") + struct.pack(">Q", size | 1 << 56))
        size += 10
    tags = element("1254c367", element("7373", b"".join(reversed(heads)) + tag))
    return matroska([track(1)], [cluster(0, *[jpeg()] * 3)], more=tags)


# --- MP4 and QuickTime ---------------------------------------------------------------------------------------------


def box(name: bytes, *payload: bytes) -> bytes:
    data = b"".join(payload)
    return struct.pack(">I", 8 + len(data)) + name + data


def mp4(path: Path, frames: int = 30) -> bytes:
    """A good one without a face, to be bent."""
    write_mp4(path, ((i * 40_000, np.full((48, 64, 3), i, np.uint8)) for i in range(frames)), None, 16_000)
    return path.read_bytes()


def with_box(data: bytes, name: bytes, offset: int, value: bytes) -> bytes:
    """`data` with some bytes of the first box of that name exchanged; `offset` counts from the end of the name."""
    at = data.index(name) + len(name) + offset
    return data[:at] + value + data[at + len(value) :]


def many_traks(count: int) -> bytes:
    return box(b"ftyp", b"isom\0\0\2\0isom") + box(b"moov", box(b"trak", box(b"free")) * count)


def nested_boxes(depth: int, name: bytes = b"moov") -> bytes:
    heads, size = [], 8
    for _ in range(depth):
        heads.append(struct.pack(">I", size) + name)
        size += 8
    return box(b"ftyp", b"isom\0\0\2\0isom") + b"".join(reversed(heads))


# --- Ogg, MPEG-TS, AVI -----------------------------------------------------------------------------------------------


def many_ogg_streams(count: int) -> Iterator[bytes]:
    """Pages that each begin a stream."""
    head = b"\x80theora\x03\x02\x01" + bytes(30)
    for serial in range(count):
        yield b"OggS\0\x02" + bytes(8) + struct.pack("<III", serial, 0, 0) + bytes((1, len(head))) + head


def many_programs(count: int) -> Iterator[bytes]:
    """MPEG-TS: tables that announce streams, over and over, every time others."""
    for i in range(count):
        pmt_pid = 0x20 + i % 0x1000
        yield _ts(0, i, b"\0" + _section(0, struct.pack(">HH", i % 65535 + 1, 0xE000 | pmt_pid), i))
        streams = b"".join(struct.pack(">BHH", 0x1B, 0xE000 | (0x100 + (i * 34 + k) % 0x1E00), 0xF000) for k in range(34))
        yield _ts(pmt_pid, i, b"\0" + _section(2, struct.pack(">HH", 0xE100, 0xF000) + streams, i, program=i % 65535 + 1))


def _section(table: int, payload: bytes, version: int, program: int = 1) -> bytes:
    body = struct.pack(">BHHBBB", table, 0xB000 | (len(payload) + 9), program, 0xC1 | (version % 32) << 1, 0, 0) + payload
    return body + struct.pack(">I", _crc_mpeg(body))


def _ts(pid: int, counter: int, payload: bytes) -> bytes:
    return struct.pack(">BHB", 0x47, 0x4000 | pid, 0x10 | counter % 16) + payload.ljust(184, b"\xff")


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7) & 0xFFFFFFFF if crc & 0x80000000 else crc << 1
        table.append(crc)
    return table


_CRC = _crc_table()


def _crc_mpeg(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc << 8 & 0xFFFFFFFF) ^ _CRC[crc >> 24 ^ byte]
    return crc


def many_avi_streams(count: int) -> bytes:
    picture = struct.pack("<IiiHH4s", 40, 64, 48, 1, 24, b"MJPG") + bytes(20)
    stream = _riff(b"LIST", b"strl" + _riff(b"strh", b"vidsMJPG" + bytes(48)) + _riff(b"strf", picture))
    headers = _riff(b"LIST", b"hdrl" + _riff(b"avih", bytes(56)) + stream * count)
    return _riff(b"RIFF", b"AVI " + headers + _riff(b"LIST", b"movi"))


def _riff(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data


# --- H.264 ---------------------------------------------------------------------------------------------------------


def h264(frames: int = 10, width: int = 64, height: int = 48) -> bytes:
    """A good Annex B stream without B frames."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, height, "yuv420p", Fraction(1, 25)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "threads": "1"}
    grey = av.VideoFrame.from_ndarray(np.full((height, width, 3), 128, np.uint8), format="rgb24")
    data = b""
    for i in range(frames):
        grey.pts = i
        data += b"".join(bytes(packet) for packet in encoder.encode(grey))
    return data + b"".join(bytes(packet) for packet in encoder.encode(None))


def bent_h264(data: bytes, width: int, height: int) -> bytes:
    """The stream with a sequence header that says another size."""
    units = data.split(b"\0\0\1")
    header = bytes((0x67, 66, 0xC0, 62)) + _bits(
        *map(_golomb, (0, 0, 2, 4)), "0", *map(_golomb, (width // 16 - 1, height // 16 - 1)), "1", "1", "0", "0", "1"
    )
    return b"\0\0\1".join(header if unit[:1] == b"\x67" else unit for unit in units)


def _golomb(value: int) -> str:
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits


def _bits(*parts: str) -> bytes:
    text = "".join(parts)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")
