"""DFDC: parts with a `metadata.json`, a validation and a test set with other keys; and DFDC Preview with one `dataset.json`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from schemas.truth import Split
from stages.datasets.contract import OpenFile, Options, Reading, Truth
from stages.datasets.csv_rows import csv_rows
from stages.datasets.fields import SPLITS, RowError, as_object, maybe_text, one_of, path_of, scoped, shown
from stages.datasets.gathering import Gathering
from stages.datasets.json_entries import Bad, object_entries

NAME, NAME_PREVIEW = "dfdc", "dfdcp"
LAYOUT = "dfdc_train_part_<n>/, train_sample_videos/, validation/ or test/ with metadata.json or labels.csv beside <10 letters>.mp4"
LAYOUT_PREVIEW = "dataset.json beside original_videos/, method_A/ and method_B/"
SIGNATURES = (r"^((?:.*/)?)[a-z]{10}\.mp4\z",)
SIGNATURES_PREVIEW = (r"^((?:.*/)?)(?:original_videos|method_A|method_B|original_content|manipulated_content)/.*\.mp4\z",)

_METADATA, _LABELS, _DATASET = "metadata.json", "labels.csv", "dataset.json"
_PART = re.compile(r"(?:dfdc_train_part_\d+/)+$|train_sample_videos/$|(?:validation|test)/(?:videos/)?$")
_LABEL = {"FAKE": True, "REAL": False}
_NUMBER = {"1": True, "0": False}
_SPLIT_OF_FOLDER: dict[str, Split] = {"validation": "dev", "test": "test"}
_CLIP = re.compile(r"(?P<swapped>\d+)_(?P<target>\d+)_(?P<recording>[A-Za-z0-9]+)_(?P<number>\d+)")
_REAL_CLIP = re.compile(r"(?P<target>\d+)_(?P<recording>[A-Za-z0-9]+)_(?P<number>\d+)")


def root_of(folder: str) -> str:
    """The dataset's root from the folder of some of its videos: what is before the part's own folder."""
    return _PART.sub("", folder)


def keeps(folder: str, uris: Collection[str]) -> bool:
    return f"{folder}{_METADATA}" in uris or f"{folder}{_LABELS}" in uris


def keeps_preview(root: str, uris: Collection[str]) -> bool:
    return f"{root}{_DATASET}" in uris


def read(root: str, uris: Collection[str], open_file: OpenFile, options: Options) -> Reading:  # noqa: ARG001
    """Truths of all parts. See `stages.datasets.read`."""
    gathering = Gathering(NAME, root, uris)
    clips = gathering.left()
    by_name = {uri.rpartition("/")[2]: uri for uri in reversed(clips)}
    folders = sorted({uri.rpartition("/")[0] + "/" if "/" in uri else "" for uri in clips if keeps(_folder(uri), gathering.files)})
    for folder in folders:
        labels = _labels(gathering, folder, open_file)
        metadata = f"{folder}{_METADATA}"
        if metadata in gathering.files:
            for name, value in object_entries(open_file, metadata):
                where = f"{metadata}: {shown(name)}"
                try:
                    _take(gathering, folder, path_of(name, "the key"), as_object(value), by_name, labels, where)
                except RowError as error:
                    gathering.mismatch("row", metadata, f"{where}: {error}")
        for name, (is_fake, where) in labels.items():
            gathering.add(_truth(gathering, folder, name, is_fake, None, by_name, None), where)
    return gathering.reading(f"is in no {_METADATA} or {_LABELS} of its folder")


def _folder(uri: str) -> str:
    return uri[: uri.rfind("/") + 1]


def _labels(gathering: Gathering, folder: str, open_file: OpenFile) -> dict[str, tuple[bool, str]]:
    """Name to label and place, of the folder's `labels.csv`."""
    uri = f"{folder}{_LABELS}"
    found: dict[str, tuple[bool, str]] = {}
    if uri not in gathering.files:
        return found
    for number, (place, row) in enumerate(csv_rows(open_file, uri)):
        where = f"{uri}: {place}"
        if number == 0 and row == ["filename", "label"]:
            continue
        try:
            if isinstance(row, Bad):
                raise RowError(row.why)
            if len(row) != 2:
                raise RowError(f"has {len(row)} cells; filename,label would be right")
            name, is_fake = path_of(row[0], "filename"), one_of(row[1].strip(), "label", _NUMBER)
            if name in found:
                raise RowError(f"{shown(name)} was there before; the first one holds")
            found[name] = is_fake, where
        except RowError as error:
            gathering.mismatch("row", uri, f"{where}: {error}")
    return found


def _take(
    gathering: Gathering,
    folder: str,
    name: str,
    entry: dict[str, Any],
    by_name: dict[str, str],
    labels: dict[str, tuple[bool, str]],
    where: str,
) -> None:
    is_fake: bool | None
    if "label" in entry:
        is_fake = one_of(entry["label"], "label", _LABEL)
    elif "is_fake" in entry:
        is_fake = one_of(str(entry["is_fake"]), "is_fake", _NUMBER)
    else:
        raise RowError("has neither label nor is_fake; label FAKE or REAL, or is_fake 0 or 1 would be right")
    original = entry.get("original")
    original = None if original is None or original == "" else path_of(original, "original")
    note = None
    if original and not is_fake:
        note = f"label is REAL, but its original is {shown(original)}"
    other = labels.pop(name, None)
    if other is not None and other[0] != is_fake:
        note, is_fake = f"{_METADATA} and {_LABELS} disagree on whether it is fake; neither is believed", None
    if note:
        gathering.mismatch("contradiction", folder + name, f"{where}: {note}")
    gathering.add(_truth(gathering, folder, name, is_fake, original, by_name, note), where)


def _truth(
    gathering: Gathering, folder: str, name: str, is_fake: bool | None, original: str | None, by_name: dict[str, str], note: str | None
) -> Truth:
    """A fake's label does not say which stream it is; all that is known of a real one is that none is."""
    source = None
    if original is not None:
        source = gathering.first_there(folder + original) or by_name.get(original, folder + original)
    # Names are drawn at random for the whole release, so that a name is a recording.
    recording = original or (name if is_fake is False else None)
    return Truth(
        uri=folder + name,
        dataset=NAME,
        fake=is_fake,
        audio_fake=False if is_fake is False else None,
        visual_fake=False if is_fake is False else None,
        source=source if is_fake else None,
        identities=scoped(NAME, [recording.rpartition(".")[0] or recording] if recording else []),
        split=next(
            (_SPLIT_OF_FOLDER[part] for part in reversed(folder.removeprefix(gathering.root).split("/")) if part in _SPLIT_OF_FOLDER),
            "train",
        ),
        note=note,
    )


def read_preview(root: str, uris: Collection[str], open_file: OpenFile, options: Options) -> Reading:
    """Truths of DFDC Preview. See `stages.datasets.read`."""
    gathering = Gathering(NAME_PREVIEW, root, uris)
    metadata = options.metadata or f"{root}{_DATASET}"
    reals = dict(_preview_reals(gathering))
    for name, value in object_entries(open_file, metadata):
        where = f"{metadata}: {shown(name)}"
        try:
            _take_preview(gathering, path_of(name, "the key"), as_object(value), reals, where)
        except RowError as error:
            gathering.mismatch("row", metadata, f"{where}: {error}")
    return gathering.reading(f"is not in {metadata}")


def _preview_reals(gathering: Gathering) -> Iterator[tuple[str, str]]:
    """Clip of an actor (`<actor>_<recording>_<number>`) to the uri of the real video."""
    for uri in gathering.left():
        stem = uri.rpartition("/")[2].rpartition(".")[0]
        if _REAL_CLIP.fullmatch(stem) and "method_" not in uri.removeprefix(gathering.root):
            yield stem, uri


def _take_preview(gathering: Gathering, file: str, entry: dict[str, Any], reals: dict[str, str], where: str) -> None:
    label = maybe_text(entry.get("label"), "label")
    is_fake = one_of(label.upper() if label else label, "label", _LABEL)
    stem = file.rpartition("/")[2].rpartition(".")[0]
    clip = (_CLIP if is_fake else _REAL_CLIP).fullmatch(stem)
    part = next((part for part in file.split("/") if part.startswith("method_")), None)
    note = None
    if clip is None:
        note = "the name is not <swapped>_<target>_<recording>_<number>; its people are not known"
    elif (part is not None) != is_fake:
        note = f"label is {label}, but its folder is {shown(file.split('/', 1)[0])}"
    uri = gathering.root + file
    if note:
        gathering.mismatch("contradiction", uri, f"{where}: {note}")
    people = [clip["target"], clip["swapped"] if is_fake else None] if clip else []
    truth = Truth(
        uri=uri,
        dataset=NAME_PREVIEW,
        fake=is_fake,
        audio_fake=False if not is_fake else None,
        visual_fake=is_fake,
        methods=(part,) if part and is_fake else (),
        source=reals.get(f"{clip['target']}_{clip['recording']}_{clip['number']}") if clip and is_fake else None,
        identities=scoped(NAME_PREVIEW, people),
        split=one_of(entry["set"], "set", SPLITS) if entry.get("set") is not None else None,
        note=note,
    )
    gathering.add(truth, where)
