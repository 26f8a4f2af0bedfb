"""Matroska: which stretches of a file break its own checksums or its structure."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import BinaryIO

_EBML, _SEGMENT, _CLUSTER, _TRACKS = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0x1654AE6B
_INFO, _SEEK, _CUES, _TAGS, _CHAPTERS, _ATTACHMENTS, _VOID, _CRC = (
    0x1549A966, 0x114D9B74, 0x1C53BB6B, 0x1254C367, 0x1043A770, 0x1941A469, 0xEC, 0xBF,
)  # fmt: skip
_LEVEL_1 = frozenset({_CLUSTER, _TRACKS, _INFO, _SEEK, _CUES, _TAGS, _CHAPTERS, _ATTACHMENTS, _VOID, _CRC})
_CLUSTER_BYTES = _CLUSTER.to_bytes(4, "big")
_CRC_ELEMENT = b"\xbf\x84"  # a checksum is the first child of its element, and four bytes long
_READ_BYTES = 1 << 20


def damaged_ranges(path: Path) -> list[tuple[int, int]]:
    """Byte ranges (start, stop) of clusters whose CRC-32 is wrong, or where no element of the file format stands.

    Many writers (FFmpeg among them, except for WebM) put a checksum into every cluster, and FFmpeg's reader never looks at it.
    A wrong checksum of the track headers, on which every picture depends, condemns the whole file. A file without checksums
    gives only what is wrong with its structure; one that ends early is not damaged for it.
    """
    size = path.stat().st_size
    found: list[tuple[int, int]] = []
    with path.open("rb") as file:
        head = _element(file, 0)
        if head is None or head[0] != _EBML or head[2] is None:
            return []
        segment = _element(file, head[2])
        if segment is None or segment[0] != _SEGMENT:
            return []
        place = segment[1]
        while place < size:
            element = _element(file, place)
            if element is None or element[0] not in _LEVEL_1:
                stop = _next_cluster(file, place + 1, size)
                # What follows the segment is another one, or nothing that a player reads.
                if segment[2] is not None and place >= segment[2]:
                    break
                found.append((place, stop))
                place = stop
                continue
            kind, start, stop_or_none = element
            if stop_or_none is None:  # live: the length was never filled in, and the next element follows somewhere within
                place = _next_cluster(file, place + 4, size)
                continue
            stop = stop_or_none
            if stop > size:  # the file ends here, unless it is the length that is wrong
                following = _next_cluster(file, place + 4, size)
                if following < size:
                    found.append((place, following))
                place = following
                continue
            if not _checksum_holds(file, start, stop):
                if kind == _TRACKS:
                    return [(0, size)]
                following = _element(file, stop)  # type: ignore[assignment]
                if stop < size and (following is None or following[0] not in _LEVEL_1):  # type: ignore[index]
                    stop = _next_cluster(file, place + 4, size)
                found.append((place, stop))
            place = stop
    return found


def _element(file: BinaryIO, place: int) -> tuple[int, int, int | None] | None:
    """(id, start of its content, end of it or None where it is unknown) of the element at `place`; None where there is none."""
    file.seek(place)
    head = file.read(12)
    if not head or not head[0]:
        return None
    id_bytes = 9 - head[0].bit_length()
    if id_bytes > 4 or len(head) <= id_bytes or not head[id_bytes]:
        return None
    length_bytes = 9 - head[id_bytes].bit_length()
    if len(head) < id_bytes + length_bytes:
        return None
    mask = (1 << 7 * length_bytes) - 1
    length = int.from_bytes(head[id_bytes : id_bytes + length_bytes], "big") & mask
    start = place + id_bytes + length_bytes
    return int.from_bytes(head[:id_bytes], "big"), start, None if length == mask else start + length


def _checksum_holds(file: BinaryIO, start: int, stop: int) -> bool:
    """Whether the element's CRC-32 is that of its content; an element without one holds."""
    file.seek(start)
    head = file.read(6)
    if stop - start < len(head) or head[:2] != _CRC_ELEMENT:
        return True
    crc, left = 0, stop - start - 6
    while left > 0 and (block := file.read(min(left, _READ_BYTES))):
        crc = zlib.crc32(block, crc)
        left -= len(block)
    return crc == int.from_bytes(head[2:], "little")


def _next_cluster(file: BinaryIO, place: int, size: int) -> int:
    """Where the next cluster begins, at `place` or later; `size` if none does."""
    tail = b""
    file.seek(place)
    while block := file.read(_READ_BYTES):
        at = (tail + block).find(_CLUSTER_BYTES)
        if at >= 0:
            return place - len(tail) + at
        place += len(block)
        tail = (tail + block)[-3:]
    return size
