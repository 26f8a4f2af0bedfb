"""AV-Deepfake1M: a metadata entry for each video, with the keys of the release."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from stages.exports.lavdf import audio_samples
from stages.exports.names import safe_name, safe_suffix
from stages.exports.videos import stream_spans, streams_of, total_spans

_VOXCELEB = re.compile(r"id\d+")
_FIRST_NUMBER = 100_000  # VoxCeleb2 has five digits

SUBSETS = {"train": "train", "dev": "val", "test": "test"}
_STEMS = {
    (False, False): "real",
    (True, False): "real_video_fake_audio",
    (False, True): "fake_video_real_audio",
    (True, True): "fake_video_fake_audio",
}
"""By (audio, visual): which streams are fake."""
_TYPES = {(False, False): "real", (True, False): "audio_modified", (False, True): "visual_modified", (True, True): "both_modified"}


def file_names(videos: Sequence[dict[str, Any]]) -> list[str]:
    """`<person>/<real video>/<five digits>/<type>.mp4` below the subset's folder; the digits tell videos of one type apart.

    A person is called as in VoxCeleb2, which readers of the release rely on: by an own id of that kind, or by a number above those.
    """
    names, taken = [], dict[tuple[str, str, str], int]()
    people = {name: f"id{_FIRST_NUMBER + number}" for number, name in enumerate(sorted({_person(video) for video in videos}))}
    for video in videos:
        own = _person(video).rpartition(":")[2]
        person = own if _VOXCELEB.fullmatch(own) else people[_person(video)]
        taken_from = safe_name((video["source"] if video["fake"] else None) or video["uri"])
        stem = _STEMS[streams_of(video)]
        key = (person, taken_from, stem)
        taken[key] = taken.get(key, -1) + 1
        names.append(f"{person}/{taken_from}/{taken[key]:05d}/{stem}{safe_suffix(video['uri']) or '.mp4'}")
    return names


def _person(video: dict[str, Any]) -> str:
    """Somebody unknown is a person of their own for each real video."""
    return str(video["identities"][0] if video["identities"] else (video["source"] if video["fake"] else None) or video["uri"])


def record(video: dict[str, Any], file: str, files: dict[str, str]) -> dict[str, Any]:
    """One entry; arguments as for `lavdf.record`.

    `audio_model` is null: our methods are not names of that list. `fake_segments` is the truth of the whole, and the segments of
    a stream that is real are empty.
    """
    streams = streams_of(video)
    return {
        "file": file,
        "original": files.get(video["source"] or "") if video["fake"] else None,
        "split": SUBSETS[video["split"]],
        "modify_type": _TYPES[streams],
        "audio_model": None,
        "fake_segments": total_spans(video),
        "audio_fake_segments": stream_spans(video, "audio"),
        "visual_fake_segments": stream_spans(video, "visual"),
        "video_frames": video["num_packets"] or 0,
        "audio_frames": audio_samples(video),
    }
