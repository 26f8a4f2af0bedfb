"""LAV-DF: a row of its metadata for each video, with the keys of the release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stages.exports.names import safe_suffix
from stages.exports.videos import streams_of, total_spans

_RATE_HZ = 16_000


def file_names(videos: Sequence[dict[str, Any]]) -> list[str]:
    """`<split>/<six digits>.mp4` for each video: numbers are unique over the export, in order of the uris."""
    return [f"{video['split']}/{number:06d}{safe_suffix(video['uri']) or '.mp4'}" for number, video in enumerate(videos)]


def record(video: dict[str, Any], file: str, files: dict[str, str]) -> dict[str, Any]:
    """One entry of `metadata.json`.

    Args:
        video: of `videos_of`.
        file: what the video is called in the export.
        files: from uri to the name in the export, of all videos.

    Returns:
        The keys of the release in its order. `timestamps` and `transcript` are empty: nobody knows the words. `duration` is that
        of the pictures, without the release's 0.128 s. `video_frames` counts packets, `audio_frames` samples at 16 kHz.
    """
    audio, visual = streams_of(video)
    spans = total_spans(video)
    return {
        "file": file,
        "n_fakes": len(spans),
        "fake_periods": spans,
        "timestamps": [],
        "duration": (video["duration_us"] or 0) / 1e6,
        "transcript": "",
        "original": files.get(video["source"] or "") if video["fake"] else None,
        "modify_video": visual,
        "modify_audio": audio,
        "split": video["split"],
        "video_frames": video["num_packets"] or 0,
        "audio_channels": video["audio_channels"] or 0,
        "audio_frames": audio_samples(video),
    }


def short(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry of `metadata.min.json`, which has neither timestamps nor transcript."""
    return {key: value for key, value in entry.items() if key not in {"timestamps", "transcript"}}


def audio_samples(video: dict[str, Any]) -> int:
    """Length of the sound, in samples at 16 kHz."""
    if video["audio_start_us"] is None or video["audio_end_us"] is None:
        return 0
    return round((video["audio_end_us"] - video["audio_start_us"]) * _RATE_HZ / 1e6)
