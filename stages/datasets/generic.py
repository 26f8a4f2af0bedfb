"""Generic: anybody's truth as `truth.csv`, `truth.json` or `truth.jsonl`; docs/datasets.md has the columns."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from typing import Any

from schemas.errors import TruthError
from schemas.truth import Span, Split
from stages.datasets.contract import OpenFile, Options, Reading, Truth
from stages.datasets.csv_rows import csv_rows
from stages.datasets.fields import SPLITS, RowError, as_object, maybe_path, maybe_text, one_of, path_of, scoped, shown, spans_of
from stages.datasets.gathering import Gathering
from stages.datasets.json_entries import Bad, line_entries, list_entries, parse

NAME = "generic"
LAYOUT = "truth.csv, truth.json or truth.jsonl above the videos"
SIGNATURES = (r"^((?:.*/)?)truth\.(?:csv|json|jsonl)\z",)
METADATA = ("truth.csv", "truth.json", "truth.jsonl")
COLUMNS = (
    "uri", "dataset", "fake", "audio_fake", "visual_fake", "spans", "audio_spans", "visual_spans",
    "methods", "source", "identities", "split", "note",
)  # fmt: skip

_FLAGS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False, "fake": True, "real": False}
_MAX_NAMES = 1000


def keeps(root: str, uris: Collection[str]) -> bool:  # noqa: ARG001
    return True


def read(root: str, uris: Collection[str], open_file: OpenFile, options: Options) -> Reading:
    """Truths of the file; paths in it count from its own folder. See `stages.datasets.read`."""
    gathering = Gathering(NAME, root, uris)
    metadata = options.metadata or gathering.first_there(*(root + name for name in METADATA))
    if metadata is None:
        raise TruthError(f"{root or 'archive'}: holds no {', '.join(METADATA)}; docs/datasets.md says what to write into it")
    unknown: set[str] = set()
    for place, value in _entries(metadata, open_file):
        where = f"{metadata}: {place}"
        try:
            entry = as_object(value)
            unknown |= entry.keys() - set(COLUMNS) if len(unknown) < _MAX_NAMES else set()
            gathering.add(_truth(root, entry), where)
        except RowError as error:
            gathering.mismatch("row", metadata, f"{where}: {error}")
    for name in sorted(unknown):
        near = difflib.get_close_matches(name[:40], COLUMNS, n=1)
        better = f"{near[0]} may be meant" if near else f"there are {', '.join(COLUMNS)}"
        what = f"is no column of the schema and was not read; {better}"
        gathering.mismatch("row", metadata, f"{metadata}: {shown(name)} {what}")
    return gathering.reading(f"is not in {metadata}")


def _entries(metadata: str, open_file: OpenFile) -> Iterator[tuple[str, Any]]:
    if metadata.lower().endswith(".jsonl"):
        return line_entries(open_file, metadata)
    if metadata.lower().endswith(".json"):
        return list_entries(open_file, metadata)
    return _table(metadata, open_file)


def _table(metadata: str, open_file: OpenFile) -> Iterator[tuple[str, Any]]:
    """Rows of a CSV file as objects.

    Raises:
        TruthError: its header names no `uri`, or a column twice.
    """
    rows = csv_rows(open_file, metadata)
    _, header = next(rows, ("", []))
    if isinstance(header, Bad) or "uri" not in (header := [name.strip() for name in header]):
        raise TruthError(f"{metadata}: its first line must name the columns, uri among them; docs/datasets.md has them all")
    if doubled := {name for name in header if header.count(name) > 1}:
        raise TruthError(f"{metadata}: column {shown(min(doubled))} is there twice; give each once")
    for place, row in rows:
        if not isinstance(row, Bad) and len(row) != len(header):
            yield place, Bad(f"has {len(row)} cells, but the header {len(header)}")
        else:
            yield place, row if isinstance(row, Bad) else dict(zip(header, row, strict=True))


def _truth(root: str, entry: dict[str, Any]) -> Truth:
    fake, audio, visual = (_flag(entry.get(name), name) for name in ("fake", "audio_fake", "visual_fake"))
    spans, audio_spans, visual_spans = (_spans(entry.get(name), name) for name in ("spans", "audio_spans", "visual_spans"))
    if fake is None:
        fake = True if audio or visual else False if audio is False and visual is False else None
    if fake is False and (audio or visual):
        raise RowError("fake is false, but audio_fake or visual_fake is true; give all three alike, or leave fake empty")
    if fake and audio is False and visual is False:
        raise RowError("fake is true, but audio_fake and visual_fake are false; leave empty what is not known")
    for name, flag, own in (("fake", fake, spans), ("audio_fake", audio, audio_spans), ("visual_fake", visual, visual_spans)):
        if own and not flag:
            raise RowError(
                f"{name} is {'not known' if flag is None else 'false'}, but it has {len(own)} spans; give {name} as true, or no spans"
            )
        if flag and own == ():
            raise RowError(f"{name} is true, but its list of spans is empty; leave it out where all of it is fake")
    if spans is None and (audio_spans or visual_spans) and _is_covered(audio, audio_spans) and _is_covered(visual, visual_spans):
        spans = tuple(sorted({*(audio_spans or ()), *(visual_spans or ())}))
    dataset = maybe_text(entry.get("dataset"), "dataset") or NAME
    source = maybe_path(entry.get("source"), "source")
    return Truth(
        uri=root + path_of(entry.get("uri"), "uri"),
        dataset=dataset,
        fake=fake,
        audio_fake=audio,
        visual_fake=visual,
        spans=spans,
        audio_spans=audio_spans,
        visual_spans=visual_spans,
        methods=tuple(sorted(set(_names(entry.get("methods"), "methods")))),
        source=root + source if source else None,
        identities=scoped(dataset, _names(entry.get("identities"), "identities")),
        split=_split(entry.get("split")),
        note=maybe_text(entry.get("note"), "note"),
    )


def _split(value: Any) -> Split | None:
    text = value.strip().lower() if isinstance(value, str) else value
    return None if text is None or text == "" else one_of(text, "split", SPLITS)


def _is_covered(is_fake: bool | None, spans: tuple[Span, ...] | None) -> bool:
    """Whether it is known when a stream is fake."""
    return spans is not None or is_fake is False


def _flag(value: Any, name: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    text = str(value).strip().lower() if isinstance(value, str | int) else value
    return None if text == "" else one_of(text, name, _FLAGS)


def _spans(value: Any, name: str) -> tuple[Span, ...] | None:
    """A list of [start, end]; in a table as JSON."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str):
        value = parse(value)
        if isinstance(value, Bad):
            raise RowError(f"{name} {value.why}; [[1.2, 1.84], [3, 4.5]] would be right")
    return spans_of(value, name)


def _names(value: Any, name: str) -> list[str]:
    """A list of texts; in a table with ';' between them."""
    if value is None:
        return []
    parts = value.split(";") if isinstance(value, str) else value
    if not isinstance(parts, list) or len(parts) > _MAX_NAMES or not all(isinstance(part, str) for part in parts):
        raise RowError(f"{name} is {shown(value)}; a list of texts would be right, in a table with ';' between them")
    found = [maybe_text(part.strip(), name) for part in parts]
    return [part for part in found if part]
