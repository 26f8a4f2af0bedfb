"""Inventory: what every file of an archive is, from its bytes and its packets."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.params import DecodeParams
from schemas.reasons import Outcome, Reason
from schemas.tables import LISTING, MEDIA
from stages import versions
from stages.contract import MediaError, OpenMedia, StageResult, table_from_columns
from stages.decoding import TROUBLE, one_line, open_container, stamp_us, video_stream
from stages.lengths import missing_bytes

INPUT, OUTPUT, VERSION = LISTING, MEDIA, versions.INVENTORY

_READ_BYTES = 1 << 20
_WHOLE_SHARE = 0.98  # containers miscount by a frame or two
_LONGER_SHARE, _LENGTH_SLACK_US = 0.05, 500_000
_CLAIMS_LENGTH = frozenset({"mov", "matroska", "flv", "asf"})  # of the others FFmpeg guesses the length, from the packets or the bit rate
_VFR_SPREAD = 0.1  # frame distances that differ by more than a tenth of their median
VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        "mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "mpeg", "ts", "mts", "m2ts", "flv", "wmv", "asf", "ogv",
        "3gp", "3g2", "mxf", "vob", "h264", "hevc", "ivf", "dv",
    )
)  # fmt: skip
"""Names that promise a video: when such a file does not open it has failed, any other file is simply not a video."""


class Inventory:
    """Hashes and probes files."""

    def __init__(self, decode: DecodeParams) -> None:
        self._decode = decode

    def __call__(self, listing: pa.Table, open_media: OpenMedia) -> StageResult:
        """One row of MEDIA for each row of LISTING, whatever the file is; `unit` is left null."""
        rows = []
        for file in listing.to_pylist():
            row: dict[str, Any] = dict.fromkeys(MEDIA.names) | {"uri": file["uri"], "size_bytes": file["size_bytes"]}
            try:
                with open_media(file["uri"]) as path:
                    row["content_id"] = content_id_of(path)
                    row |= self._probe(path, file["uri"])
            except MediaError as error:
                row |= {"outcome": error.outcome.value, "reason": error.reason.value, "detail": error.detail}
            rows.append(row)
        columns = {name: [row[name] for row in rows] for name in MEDIA.names}
        return StageResult(table_from_columns(columns, MEDIA), frames_seen=len(rows))

    def close(self) -> None:
        """Nothing to give back."""

    def _probe(self, path: Path, uri: str) -> dict[str, Any]:
        if path.stat().st_size == 0:
            raise MediaError(Reason.EMPTY_FILE, "0 bytes")
        try:
            container = open_container(path, self._decode.max_pixels)
        except TROUBLE as error:
            if Path(uri).suffix.lower() in VIDEO_SUFFIXES:
                raise MediaError(Reason.OPEN_FAILED, one_line(error)) from None
            raise MediaError(Reason.NOT_A_VIDEO, "no video container", Outcome.FILTERED) from None
        with container:
            return self._describe(container, _first_look(path, self._decode.max_pixels), missing_bytes(path))

    def _describe(self, container: Any, look: _Look, missing: int) -> dict[str, Any]:
        video = video_stream(container)
        if video is None:
            raise MediaError(Reason.NO_VIDEO_STREAM, f"{container.format.name}: no moving picture", Outcome.FILTERED)
        context = video.codec_context
        if context.width * context.height > self._decode.max_pixels:
            raise MediaError(Reason.TOO_LARGE, f"{context.width}x{context.height} pixels", Outcome.FILTERED)
        audio = container.streams.audio[0] if container.streams.audio else None
        times, trouble = _packet_times(container, video, audio)
        if not times.video_pts:
            raise MediaError(Reason.NO_FRAMES, trouble or "no packet of the video stream has a timestamp")
        trouble = trouble or (f"{missing} bytes are missing at its end" if missing else None)
        reason, detail = _disagreement(container, video, times, look) if not trouble else (Reason.TRUNCATED, trouble)
        pts = np.unique(np.array(times.video_pts, np.int64))
        steps = np.diff(pts)
        step = int(np.median(steps)) if len(steps) else 40_000
        origin = min([int(pts[0]), *([times.audio_start_us] if times.audio_start_us is not None else [])])
        span_us = int(pts[-1] - pts[0])
        # One absurd timestamp must not ask for a terabyte of ticks later on.
        if int(pts[-1]) - origin > self._decode.max_minutes * 60e6:
            detail = f"{(int(pts[-1]) - origin) / 60e6:,.0f} minutes by its timestamps; decode.max_minutes is {self._decode.max_minutes:g}"
            raise MediaError(Reason.TOO_LARGE, detail, Outcome.FILTERED)
        row = {
            "outcome": Outcome.DONE.value,
            "reason": reason.value if reason else None,
            "detail": detail,
            "container": container.format.name,
            "video_codec": context.codec.canonical_name,
            "width": look.width or context.width,
            "height": look.height or context.height,
            "rotation_deg": look.rotation_deg,
            "frame_rate": round((len(pts) - 1) * 1e6 / span_us, 6) if span_us > 0 else None,
            "is_vfr": bool(len(steps) and np.abs(steps - step).max() > max(_VFR_SPREAD * step, 1_500)),
            "num_packets": len(times.video_pts),
            "origin_us": origin,
            "duration_us": int(pts[-1]) - origin + step,
            "has_audio": audio is not None and times.audio_start_us is not None,
        }
        if row["has_audio"] and audio is not None and times.audio_start_us is not None:
            row |= {
                "audio_codec": audio.codec_context.name,
                "audio_rate_hz": audio.codec_context.sample_rate,
                "audio_channels": audio.codec_context.channels,
                "audio_start_us": times.audio_start_us - origin,
                "audio_end_us": times.audio_end_us - origin,
            }
        return row


@dataclass(slots=True)
class _PacketTimes:
    """Timestamps in microseconds of container time. The container's own claims of length and rate are not used."""

    video_pts: list[int] = field(default_factory=list)
    num_packets: int = 0
    audio_start_us: int | None = None
    audio_end_us: int = 0
    end_us: int = 0  # of the last packet of any stream


@dataclass(frozen=True, slots=True)
class _Look:
    """What only a decoded frame tells. `rotation_deg`: counter-clockwise, what makes the picture upright, right angles only."""

    rotation_deg: int = 0
    width: int | None = None  # null where no frame decodes
    height: int | None = None


def _disagreement(container: Any, video: Any, times: _PacketTimes, look: _Look) -> tuple[Reason | None, str | None]:
    """What the container's header claims and its packets deny. The packets are believed; a header that claims nothing never lies."""
    if times.num_packets < _WHOLE_SHARE * video.frames:
        return Reason.TRUNCATED, f"{times.num_packets} of {video.frames} frames are there"
    if _CLAIMS_LENGTH & set(container.format.name.split(",")) and container.duration:
        short_us = container.duration - times.end_us
        if short_us > max(_LENGTH_SLACK_US, (1 - _WHOLE_SHARE) * container.duration):
            return Reason.TRUNCATED, f"ends at {times.end_us / 1e6:.2f} s of {container.duration / 1e6:.2f}"
        if -short_us > max(_LENGTH_SLACK_US, _LONGER_SHARE * container.duration):
            return Reason.HEADER_MISMATCH, f"the header says {container.duration / 1e6:.2f} s, the packets last {times.end_us / 1e6:.2f}"
    if video.frames and times.num_packets > (1 + _LONGER_SHARE) * video.frames:
        return Reason.HEADER_MISMATCH, f"the header says {video.frames} frames, there are {times.num_packets} packets"
    claimed = (video.codec_context.width, video.codec_context.height)
    if look.width is not None and (look.width, look.height) != claimed:
        return Reason.HEADER_MISMATCH, f"the header says {claimed[0]}x{claimed[1]} pixels, the first frame has {look.width}x{look.height}"
    return None, None


def _packet_times(container: Any, video: Any, audio: Any) -> tuple[_PacketTimes, str | None]:
    times = _PacketTimes()
    try:
        for packet in container.demux():
            # MPEG-4 in AVI has no pts of its own: decoding order is then the best that there is.
            stamp = packet.pts if packet.pts is not None else packet.dts
            if packet.size == 0:
                continue
            is_video, is_audio = packet.stream.index == video.index, audio is not None and packet.stream.index == audio.index
            times.num_packets += is_video
            base = packet.time_base
            start_us = None if stamp is None or base is None else stamp_us(stamp, base)
            if start_us is None:
                continue
            end_us = start_us + (stamp_us(packet.duration or 0, base) or 0)
            if not packet.is_discard:
                times.end_us = max(times.end_us, end_us)
            if is_video and not packet.is_discard:
                times.video_pts.append(start_us)
            elif is_audio:
                # Encoder delay sits before zero and is cut off by the decoder.
                start_us = max(start_us, 0) if start_us > -200_000 else start_us
                times.audio_start_us = start_us if times.audio_start_us is None else min(times.audio_start_us, start_us)
                times.audio_end_us = max(times.audio_end_us, end_us)
    except IndexError:
        pass  # the file is over, see TROUBLE
    except TROUBLE as error:
        return times, one_line(error)
    return times, None


def _first_look(path: Path, max_pixels: int) -> _Look:
    """Decodes one frame.

    The file is opened once more for it: going back in a container that was half read loses packets in MPEG streams.
    """
    try:
        with open_container(path, max_pixels) as container:
            video = video_stream(container)
            if video is not None:
                video.codec_context.options = {"max_pixels": str(max_pixels)}
            for frame in container.decode(video) if video is not None else ():
                return _Look(int(round(frame.rotation / 90) * 90) % 360, frame.width, frame.height)
    except TROUBLE:
        pass
    return _Look()


def content_id_of(path: Path) -> str:
    """BLAKE2b-128 of a file's bytes, as 32 hex digits."""
    hasher = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            hasher.update(block)
    return hasher.hexdigest()
