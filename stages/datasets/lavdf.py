"""LAV-DF, and our own forge's output in the same layout: `metadata.json` with spans in seconds."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from schemas.truth import Span
from stages.datasets.contract import OpenFile, Options, Reading, Truth
from stages.datasets.fields import (
    SPLITS,
    RowError,
    as_object,
    flag_of,
    maybe_count,
    maybe_path,
    maybe_seconds,
    maybe_text,
    names,
    one_of,
    path_of,
    scoped,
    shown,
    spans_of,
)
from stages.datasets.gathering import Gathering
from stages.datasets.json_entries import list_entries

NAME = "lavdf"
LAYOUT = "metadata.json or metadata.min.json beside train/, dev/ and test/ with their videos"
SIGNATURES = (r"^((?:.*/)?)(?:train|dev|test)/[^/]+\.mp4\z",)
METADATA = ("metadata.min.json", "metadata.json")
"""The short one is the long one without words and their times."""

_SLACK_S = 1e-6


def keeps(root: str, uris: Collection[str]) -> bool:
    return any(f"{root}{name}" in uris for name in METADATA) and f"{root}plan.json" not in uris


def read(root: str, uris: Collection[str], open_file: OpenFile, options: Options) -> Reading:
    """Truths of the list. See `stages.datasets.read`."""
    return read_as(NAME, root, uris, open_file, options)


def read_as(dataset: str, root: str, uris: Collection[str], open_file: OpenFile, options: Options) -> Reading:
    """The same, under the name of another dataset in this layout."""
    gathering = Gathering(dataset, root, uris)
    metadata = options.metadata or gathering.first_there(*(root + name for name in METADATA)) or root + METADATA[-1]
    for place, value in list_entries(open_file, metadata):
        where = f"{metadata}: {place}"
        try:
            _take(gathering, as_object(value), where)
        except RowError as error:
            gathering.mismatch("row", metadata, f"{where}: {error}")
    return gathering.reading(f"is not in {metadata}")


def _take(gathering: Gathering, entry: dict[str, Any], where: str) -> None:
    file = path_of(entry.get("file"), "file")
    spans = spans_of(entry.get("fake_periods"), "fake_periods")
    audio, visual = flag_of(entry.get("modify_audio"), "modify_audio"), flag_of(entry.get("modify_video"), "modify_video")
    split = one_of(entry.get("split"), "split", SPLITS) if entry.get("split") is not None else None
    original = maybe_path(entry.get("original"), "original")
    duration_s = maybe_seconds(entry.get("duration"), "duration")
    frames = maybe_count(entry.get("video_frames"), "video_frames")
    kind = maybe_text(entry.get("kind"), "kind")
    notes = _notes(entry, spans, audio or visual, split, duration_s)
    # Flags and spans that exclude each other leave nothing to go by.
    is_known = bool(spans) == (audio or visual)
    uri = gathering.root + file
    for note in notes:
        gathering.mismatch("contradiction", uri, f"{where}: {note}")
    own = entry.get("audio_fake_periods"), entry.get("visual_fake_periods")
    audio_spans = spans_of(own[0], "audio_fake_periods") if own[0] is not None else spans if audio else ()
    visual_spans = spans_of(own[1], "visual_fake_periods") if own[1] is not None else spans if visual else ()
    # A clip and all that was made from it show the same person in the same recording. The forge also names who gave a voice or a face.
    group = maybe_text(entry.get("identity"), "identity") or original or file
    donors = [maybe_text(entry.get(name), name) for name in ("donor_identity", "donor_face_identity")]
    channels = maybe_count(entry.get("audio_channels"), "audio_channels")
    hears = is_known and channels != 0
    truth = Truth(
        uri=uri,
        dataset=gathering.dataset,
        fake=(audio or visual) if is_known else None,
        audio_fake=audio if hears else None,
        visual_fake=visual if is_known else None,
        spans=spans if is_known else None,
        audio_spans=audio_spans if hears else None,
        visual_spans=visual_spans if is_known else None,
        methods=names(kind) if kind != "real" else (),
        source=gathering.root + original if original else None,
        identities=scoped(gathering.dataset, [group, *donors]),
        split=split,
        note="; ".join(notes) or None,
    )
    gathering.add(truth, where, frames, None if channels is None else channels > 0)


def _notes(entry: dict[str, Any], spans: tuple[Span, ...], modified: bool, split: str | None, duration_s: float | None) -> list[str]:
    """What does not fit together in an entry."""
    found = []
    count = maybe_count(entry.get("n_fakes"), "n_fakes")
    if count is not None and count != len(spans):
        found.append(f"n_fakes is {count}, but fake_periods has {len(spans)}")
    if modified != bool(spans):
        found.append(
            f"modify_audio or modify_video is {str(modified).lower()}, but fake_periods has {len(spans)} spans; neither is believed"
        )
    end_s = max((end for _, end in spans), default=0.0)
    if duration_s is not None and end_s > duration_s + _SLACK_S:
        found.append(f"a span ends at {end_s:g} s, after the duration of {duration_s:g} s")
    file, original = entry["file"], entry.get("original")
    if modified and not original:
        found.append("a fake without original")
    if original == file:
        found.append("is its own original")
    folder = SPLITS.get(str(file).split("/", 1)[0])
    if split is not None and folder not in {None, split}:
        found.append(f"split is {split}, but the folder is {shown(str(file).split('/', 1)[0])}")
    of_original = SPLITS.get(str(original).split("/", 1)[0]) if original else None
    if split is not None and of_original not in {None, split}:
        found.append(f"split is {split}, but the original's is {of_original}")
    return found
