"""AV-Deepfake1M and AV-Deepfake1M++: big lists with spans for each stream, some of them in the stream that can't have any."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from schemas.errors import TruthError
from schemas.truth import Span
from stages.datasets.contract import OpenFile, Options, Reading, Truth
from stages.datasets.fields import (
    SPLITS,
    RowError,
    as_object,
    maybe_count,
    maybe_path,
    maybe_text,
    names,
    one_of,
    path_of,
    scoped,
    shown,
    spans_of,
)
from stages.datasets.gathering import Gathering, is_video
from stages.datasets.json_entries import list_entries, single_value, text_lines

NAME, NAME_PLUSPLUS = "avdeepfake1m", "avdeepfake1mpp"
LAYOUT = "train_metadata.json or val_metadata.json beside train/ and val/ (or data/) with <id>/<youtube>/<clip>/real.mp4 and its fakes"
LAYOUT_PLUSPLUS = "the same with vox_celeb_2/, lrs3/ and silent_videos/ below train/ and val/, and testA/, testB/"
_STEMS = "(?:real|real_video_fake_audio|fake_video_real_audio|fake_video_fake_audio)"
SIGNATURES = (
    r"^((?:.*/)?)(?:train|val)_metadata\.json\z",
    r"^((?:.*/)?)test[AB]?_files\.txt\z",
    rf"^((?:.*/)?)(?:train|val|data)/(?:[^/]+/){{3,4}}{_STEMS}(?:_p\d+)?\.mp4\z",
)
SIGNATURES_PLUSPLUS = (
    r"^((?:.*/)?)test[AB]_files\.txt\z",
    r"^((?:.*?/)??)(?:(?:train|val|data|testA|testB)/)?(?:vox_celeb_2|lrs3|silent_videos)/.*\.mp4\z",
)

_SUBSETS = {"train": "train", "val": "val", "test": "test", "testA": "test", "testB": "test"}
_TYPES = {"real": (False, False), "visual_modified": (False, True), "audio_modified": (True, False), "both_modified": (True, True)}
"""Whether the sound and the picture were altered."""
_MODELS: dict[str, set[str | None]] = {
    "real": {None},
    "audio_modified": {None},
    "visual_modified": {"Talklip", "diff2lip"},
    "both_modified": {"Talklip"},
}
"""Video models of ++ by type. Another pair is a release that nobody has looked at."""
_CORPORA = frozenset({"vox_celeb_2", "lrs3", "silent_videos"})
_PERSON = re.compile(r"id\d+")
_SUBJECT = re.compile(r"subject_\d+")


@dataclass(frozen=True, slots=True)
class _Spans:
    all: tuple[Span, ...]
    audio: tuple[Span, ...] | None
    visual: tuple[Span, ...] | None
    repair: str | None


def keeps(root: str, uris: Collection[str]) -> bool:  # noqa: ARG001
    return True


def keeps_plusplus(root: str, uris: Collection[str]) -> bool:
    """Corpora have these names elsewhere too: here they lie in a subset, or beside its list."""
    if any(f"{root}{name}" in uris for subset in _SUBSETS for name in (f"{subset}_metadata.json", f"{subset}_files.txt")):
        return True
    inside = tuple(f"{root}{subset}/{corpus}/" for subset in ("train", "val", "data") for corpus in _CORPORA)
    return any(uri.startswith(inside) for uri in uris)


def read(root: str, uris: Collection[str], open_file: OpenFile, options: Options) -> Reading:  # noqa: ARG001
    """Truths of AV-Deepfake1M. See `stages.datasets.read`."""
    return _read(Gathering(NAME, root, uris), open_file)


def read_plusplus(root: str, uris: Collection[str], open_file: OpenFile, options: Options) -> Reading:  # noqa: ARG001
    """Truths of AV-Deepfake1M++. See `stages.datasets.read`."""
    return _read(Gathering(NAME_PLUSPLUS, root, uris), open_file)


def _read(gathering: Gathering, open_file: OpenFile) -> Reading:
    for subset in ("train", "val"):
        for where, value in _entries(gathering, subset, open_file):
            try:
                _take(gathering, as_object(value), subset, where)
            except RowError as error:
                gathering.mismatch("row", where.partition(": ")[0], f"{where}: {error}")
    for subset in ("test", "testA", "testB"):
        _take_unlabelled(gathering, subset, open_file)
    return gathering.reading("is in no metadata of its subset")


def _entries(gathering: Gathering, subset: str, open_file: OpenFile) -> Iterator[tuple[str, Any]]:
    """Entries of a subset and where they stand: of its list, or without one of the file that each video has."""
    whole = f"{gathering.root}{subset}_metadata.json"
    if whole in gathering.files:
        yield from ((f"{whole}: {place}", value) for place, value in list_entries(open_file, whole))
        return
    beside, apart = f"{gathering.root}{subset}/", f"{gathering.root}{subset}_metadata/"
    for uri in sorted(u for u in gathering.files if u.endswith(".json") and u.startswith((beside, apart))):
        if uri.startswith(beside) and f"{uri.removesuffix('.json')}.mp4" not in gathering.files:
            continue
        try:
            yield f"{uri}: entry", single_value(open_file, uri)
        except TruthError as error:  # one of a million small files: the others can be read
            gathering.mismatch("row", uri, str(error))


def _take(gathering: Gathering, entry: dict[str, Any], subset: str, where: str) -> None:
    file = path_of(entry.get("file"), "file")
    kind = entry.get("modify_type")
    audio, visual = one_of(kind, "modify_type", _TYPES)
    spans = _spans(entry, audio, visual)
    split = one_of(entry.get("split") or subset, "split", SPLITS)
    audio_model, video_model = maybe_text(entry.get("audio_model"), "audio_model"), maybe_text(entry.get("video_model"), "video_model")
    if gathering.dataset == NAME_PLUSPLUS and video_model not in _MODELS[str(kind)]:
        known = ", ".join(f"{k} with {v}" for k, models in _MODELS.items() for v in sorted(map(str, models)))
        raise RowError(f"video_model is {shown(video_model)} where modify_type is {kind}; known are {known}")
    frames, samples = maybe_count(entry.get("video_frames"), "video_frames"), maybe_count(entry.get("audio_frames"), "audio_frames")
    folder, uri = _place(gathering, subset, file)
    is_known, is_silent = bool(spans.all) == (audio or visual), samples == 0
    notes = []
    if not is_known:
        notes.append(f"modify_type is {kind}, but fake_segments has {len(spans.all)}; neither is believed")
    if is_silent and audio:
        notes.append(f"modify_type is {kind}, but audio_frames is 0")
    if split != SPLITS[subset]:
        notes.append(f"split is {split}, but it stands in the list of {subset}")
    for note in notes:
        gathering.mismatch("contradiction", uri, f"{where}: {note}")
    if spans.repair:
        gathering.mismatch("repaired", uri, f"{where}: {spans.repair}")
    original = maybe_path(entry.get("original"), "original")
    truth = Truth(
        uri=uri,
        dataset=gathering.dataset,
        fake=(audio or visual) if is_known else None,
        audio_fake=audio if is_known and not is_silent else None,
        visual_fake=visual if is_known else None,
        spans=spans.all if is_known else None,
        audio_spans=spans.audio if is_known and not is_silent else None,
        visual_spans=spans.visual if is_known else None,
        methods=names(audio_model, video_model),
        source=folder + original if original and original != file and _is_ours(gathering.dataset, original) else None,
        identities=scoped(gathering.dataset, [_identity(gathering.dataset, file)]),
        split=split,
        note="; ".join([*notes, *([spans.repair] if spans.repair else [])]) or None,
    )
    gathering.add(truth, where, frames, None if samples is None else samples > 0)


def _spans(entry: dict[str, Any], audio: bool, visual: bool) -> _Spans:
    """Spans of both streams. 6,160 entries of the release have their last one also in the stream that was not altered."""
    whole = spans_of(entry.get("fake_segments"), "fake_segments")
    found: dict[str, tuple[Span, ...] | None] = {}
    repair = None
    for stream, is_fake, other in (("audio", audio, visual), ("visual", visual, audio)):
        name = f"{stream}_fake_segments"
        given = entry.get(name)
        # Where the list is not given, `fake_segments` is it, unless both streams were altered.
        spans = spans_of(given, name) if given is not None else (whole if not other else None) if is_fake else ()
        if spans and not is_fake:
            repair = f"{name} has {len(spans)} in a stream that was not altered; left out"
            spans = ()
        found[stream] = spans
    return _Spans(whole, found["audio"], found["visual"], repair)


def _place(gathering: Gathering, subset: str, file: str) -> tuple[str, str]:
    """Folder of the archive that `file` counts from, and uri. The authors' own readers look in two places."""
    folders = (f"{gathering.root}{subset}/", f"{gathering.root}data/", gathering.root)
    folder = next((folder for folder in folders if folder + file in gathering.files), folders[0])
    return folder, folder + file


def _is_ours(dataset: str, original: str) -> bool:
    """Whether `original` is a video of the release; of a real one it may name a file of VoxCeleb2."""
    first = original.split("/", 1)[0]
    return first in _CORPORA if dataset == NAME_PLUSPLUS else bool(_PERSON.fullmatch(first))


def _identity(dataset: str, file: str) -> str:
    """The speaker; of LRS3 the talk, of the silent videos the subject, each with its corpus."""
    first, _, rest = file.partition("/")
    if dataset == NAME:
        if not _PERSON.fullmatch(first):
            raise RowError(f"file {shown(file)} begins with no id of VoxCeleb2; id00012/<youtube>/<clip>/<name>.mp4 would be right")
        return first
    if first not in _CORPORA or "/" not in rest:
        raise RowError(f"file {shown(file)} is of an unknown corpus; use one of {', '.join(sorted(_CORPORA))}")
    person = rest.split("/", 1)[0]
    subject = _SUBJECT.match(person) if first == "silent_videos" else None
    return f"{first}/{subject.group() if subject else person}"


def _take_unlabelled(gathering: Gathering, subset: str, open_file: OpenFile) -> None:
    """The test sets, whose labels are not published: that they are for testing is all that is known."""
    names_file = f"{gathering.root}{subset}_files.txt"
    split = SPLITS[_SUBSETS[subset]]
    if names_file in gathering.files:
        for number, line in enumerate(text_lines(open_file, names_file), 1):
            if not line.strip():
                continue
            where = f"{names_file}: line {number}"
            try:
                file = path_of(line.strip(), "the name")
            except RowError as error:
                gathering.mismatch("row", names_file, f"{where}: {error}")
                continue
            uri = gathering.first_there(f"{gathering.root}{subset}/{file}", gathering.root + file) or f"{gathering.root}{subset}/{file}"
            gathering.add(Truth(uri=uri, dataset=gathering.dataset, split=split, note="labels are not published"), where)
        return
    folder = f"{gathering.root}{subset}/"
    for uri in gathering.left():
        if uri.startswith(folder) and is_video(uri):
            gathering.add(Truth(uri=uri, dataset=gathering.dataset, split=split, note="labels are not published"), folder)
