"""Lengths: whether a file is as long as its container says, from the outermost headers alone."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_BOXES = frozenset({b"ftyp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"uuid", b"udta", b"meta", b"sidx", b"styp", b"mfra"})
_SEGMENT = b"\x18\x53\x80\x67"
_HEAD_BYTES = 256
_TS_SYNC = 0x47


def missing_bytes(path: Path) -> int:
    """How many bytes an MP4, Matroska, AVI or MPEG-TS file lacks at its end by its own account; 0 where it lacks none or gives none."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        if head[4:8] in _BOXES:
            return max(0, _end_of_boxes(file, size) - size)
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return max(0, _end_of_segment(head) - size)
    if head[:4] == b"RIFF":
        length = int.from_bytes(head[4:8], "little")
        # Recorders that are killed leave 0 or the largest number; larger files than that go on in further parts.
        return max(0, length + 8 - size) if 0 < length < 0x7FFFFFFF else 0
    for packet, sync in ((188, 0), (192, 4)):
        if len(head) > sync + packet and head[sync] == head[sync + packet] == _TS_SYNC:
            return -size % packet
    return 0


def _end_of_boxes(file: BinaryIO, size: int) -> int:
    """Where the last box of an MP4 ends; what follows a box that nobody knows is not looked at."""
    place = 0
    while place + 8 <= size:
        file.seek(place)
        head = file.read(16)
        if head[4:8] not in _BOXES:
            break
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0: to the end of the file
            break
        place += length
    return place


def _end_of_segment(head: bytes) -> int:
    """Where the Matroska segment ends, 0 where its length was never filled in."""
    at = head.find(_SEGMENT) + len(_SEGMENT)
    if at < len(_SEGMENT) or at >= len(head) or not head[at]:
        return 0
    length_bytes = 9 - head[at].bit_length()
    mask = (1 << 7 * length_bytes) - 1
    length = int.from_bytes(head[at : at + length_bytes], "big") & mask
    return 0 if length == mask else at + length_bytes + length
