"""Random access: a few frames out of the middle of a video, by decord where it tells the truth and by PyAV elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from schemas.params import DecodeParams
from stages.decoding import Damage, scan_video

_TOLERANCE_S = 0.002  # decord keeps timestamps in float32 seconds
_FAULTS = 2  # decord conceals damaged frames up to this many, and then says so
_MAGIC_BYTES = 12


def read_frames(
    path: Path, frame_index: Sequence[int], pts_us: Sequence[int], origin_us: int, rotation_deg: int, decode: DecodeParams
) -> dict[int, NDArray[np.uint8]]:
    """Frames by their index in the source.

    Args:
        path: a local file.
        frame_index: which frames, counted as `stages.decoding.scan_video` counts them.
        pts_us: the times at which the scan saw them; a reader that disagrees is not believed.
        origin_us: start of the common timeline, in the container's time.
        rotation_deg: counter-clockwise turn that makes the picture upright.
        decode: limits for the sequential reader.

    Returns:
        (H, W, 3) uint8 RGB, upright, for each index. A frame that no reader gives back is missing.

    Raises:
        MediaError: the file does not open.
    """
    wanted = dict(sorted(zip(frame_index, pts_us, strict=True)))
    quick = _by_decord(path, wanted, origin_us)
    if quick is not None:
        return quick
    found = {}
    last = max(wanted, default=-1)
    for frame in scan_video(path, origin_us, rotation_deg, decode, Damage()):
        if frame.index in wanted and frame.pts_us == wanted[frame.index]:
            found[frame.index] = frame.rgb()
        if frame.index >= last:
            break
    return found


def _by_decord(path: Path, wanted: dict[int, int], origin_us: int) -> dict[int, NDArray[np.uint8]] | None:
    """The frames, or None where decord is not here, fails, or disagrees with the scan about their times.

    On cuts by stream copy, MPEG-TS and AVI with B-frames decord returns wrong pictures and at most logs a line; their
    timestamps give them away. On MPEG program streams (all GRID clips) the pictures are wrong and the timestamps right,
    so only containers with an index of their frames are given to it at all. The reader is dropped after each read: its
    read-ahead has no limit.
    """
    if not _has_index(path):
        return None
    try:
        import decord  # noqa: PLC0415 - optional: no wheel outside x86-64 Linux
    except (ImportError, OSError):
        return None
    indices = list(wanted)
    try:
        decord.logging.set_level(decord.logging.QUIET)
        reader = decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1, fault_tol=_FAULTS)
        if not indices or indices[-1] >= len(reader):
            return None if indices else {}
        stamps = np.asarray(reader.get_frame_timestamp(indices), np.float64)[:, 0]
        expected = np.array([wanted[i] for i in indices], np.float64) / 1e6
        off = stamps - expected
        # decord counts from the container's zero, the scan from the start of the common timeline.
        if stamps[0] < 0 or (np.diff(stamps) <= 0).any() or np.abs(off - origin_us / 1e6).max() > _TOLERANCE_S:
            return None
        pictures = reader.get_batch(indices).asnumpy()
    except (decord.DECORDError, RuntimeError, IndexError, ValueError):
        return None
    return dict(zip(indices, pictures, strict=True))


def _has_index(path: Path) -> bool:
    """Whether the first bytes are those of MP4/QuickTime or Matroska/WebM; a name proves nothing."""
    with path.open("rb") as file:
        head = file.read(_MAGIC_BYTES)
    return head[4:8] == b"ftyp" or head[:4] == b"\x1a\x45\xdf\xa3"
