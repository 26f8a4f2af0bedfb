"""Why a file, a video or a frame has no label: a closed list, with the outcome each one means."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What became of one video in one stage."""

    DONE = "done"
    FILTERED = "filtered"
    """Final for this fingerprint: there is nothing to label."""
    FAILED = "failed"
    """Worth another try another night."""
    PENDING = "pending"
    """Not its turn yet: still being written, or the night's budget was over."""


class Reason(StrEnum):
    """Reasons that appear in `failures`, in `labels.reason` and in the report."""

    NOT_A_VIDEO = "not_a_video"
    NO_VIDEO_STREAM = "no_video_stream"
    EMPTY_FILE = "empty_file"
    OPEN_FAILED = "open_failed"
    NO_FRAMES = "no_frames"
    BAD_PACKETS = "bad_packets"
    MISSING_FRAMES = "missing_frames"
    TRUNCATED = "truncated"
    HEADER_MISMATCH = "header_mismatch"
    NON_MONOTONE_PTS = "non_monotone_pts"
    TOO_LARGE = "too_large"
    READ_FAILED = "read_failed"
    CHANGED_DURING_READ = "changed_during_read"
    STILL_WRITING = "still_writing"
    DECODER_CRASHED = "decoder_crashed"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    INTERNAL_ERROR = "internal_error"
    NO_FACE = "no_face"
    TRACK_TOO_SHORT = "track_too_short"
    NO_AUDIO = "no_audio"
    AUDIO_STARTS_LATE = "audio_starts_late"
    AUDIO_ENDS_EARLY = "audio_ends_early"
    AUDIO_DAMAGED = "audio_damaged"
    SILENT_AUDIO = "silent_audio"


TRANSIENT = frozenset(
    {
        Reason.READ_FAILED,
        Reason.CHANGED_DURING_READ,
        Reason.DECODER_CRASHED,
        Reason.TIMEOUT,
        Reason.OUT_OF_MEMORY,
        Reason.INTERNAL_ERROR,
    }
)
"""Trouble that may be gone the next time, although the file and the parameters are the same."""

HELP: dict[Reason, str] = {
    Reason.NOT_A_VIDEO: "The file is not a video container that FauScan reads (text, picture, archive, subtitle, playlist).",
    Reason.NO_VIDEO_STREAM: "The container opens but holds no moving picture.",
    Reason.EMPTY_FILE: "The file has no bytes.",
    Reason.OPEN_FAILED: "The name says video, but the container cannot be opened: damaged header, missing index, truncated upload.",
    Reason.NO_FRAMES: "The container opens but not one frame decodes.",
    Reason.BAD_PACKETS: "Some packets did not decode; frames around them are missing or not labelled.",
    Reason.MISSING_FRAMES: "Packets were lost: frames of a constant-rate video are gone, and those up to the next key frame need them.",
    Reason.HEADER_MISMATCH: "The header claims another length, frame count or picture size than the packets have, which were believed.",
    Reason.TRUNCATED: "The file ends before its container says it does.",
    Reason.NON_MONOTONE_PTS: "Frames without a timestamp, or with one that does not increase; they are left out.",
    Reason.TOO_LARGE: "The picture is larger than decode.max_pixels, or the video longer than decode.max_minutes or decode.max_frames.",
    Reason.READ_FAILED: "The file could not be read: permission, or the storage answered with an error.",
    Reason.CHANGED_DURING_READ: "The bytes differ from those that the inventory saw; the next inventory reads the file again.",
    Reason.STILL_WRITING: "The file changed a moment ago (--settle); it is taken when it has been left alone for a while.",
    Reason.DECODER_CRASHED: "The process that worked on this video died of it, twice; it is tried again limits.max_attempts times in all.",
    Reason.TIMEOUT: "The video took longer than limits.timeout_s and limits.timeout_per_s allow.",
    Reason.OUT_OF_MEMORY: "The video took more memory than limits.memory_mb, or the machine had no more.",
    Reason.INTERNAL_ERROR: "FauScan itself failed on this video; logs/runs.jsonl has the traceback, please report it.",
    Reason.NO_FACE: "No face was found in this frame.",
    Reason.TRACK_TOO_SHORT: "The face is on screen for less than the one second that the network looks at.",
    Reason.NO_AUDIO: "The video has no sound track.",
    Reason.AUDIO_STARTS_LATE: "The sound starts after this moment.",
    Reason.AUDIO_ENDS_EARLY: "The sound ended before this moment.",
    Reason.AUDIO_DAMAGED: "The sound at this moment did not decode.",
    Reason.SILENT_AUDIO: "The sound track is (digitally) silent here, so nothing can be said about it.",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """One row of `failures`: trouble with a file, never an exception.

    `frame_from` and `frame_to` are inclusive indices into the decoded frames, null where the trouble has no place.
    `outcome` says what the trouble did to the video: `done` means it was labelled all the same.
    """

    content_id: str | None
    uri: str | None
    stage: str
    reason: Reason
    outcome: Outcome
    detail: str = ""
    frame_from: int | None = None
    frame_to: int | None = None
    attempt: int = 1
