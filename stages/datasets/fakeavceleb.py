"""FakeAVCeleb v1.2: folders say what is fake, `meta_data.csv` by which method, and lists 22 files twice."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from schemas.errors import TruthError
from schemas.truth import Split
from stages.datasets.contract import OpenFile, Options, Reading, Truth
from stages.datasets.csv_rows import csv_rows
from stages.datasets.fields import SPLITS, RowError, names, path_of, scoped, shown
from stages.datasets.gathering import Gathering
from stages.datasets.json_entries import Bad

NAME = "fakeavceleb"
LAYOUT = "RealVideo-RealAudio/<race>/<men|women>/<id>/<file>.mp4 and the three like it, with meta_data.csv"
SIGNATURES = (r"^((?:.*/)?)(?:Real|Fake)Video-(?:Real|Fake)Audio/[^/]+/(?:men|women)/[^/]+/[^/]+\.mp4\z",)
METADATA = "meta_data.csv"

_CATEGORIES = {"A": "RealVideo-RealAudio", "B": "RealVideo-FakeAudio", "C": "FakeVideo-RealAudio", "D": "FakeVideo-FakeAudio"}
_TYPES = frozenset(_CATEGORIES.values())
_METHODS = frozenset({"real", "rtvc", "faceswap", "fsgan", "wav2lip", "faceswap-wav2lip", "fsgan-wav2lip"})
_COLUMNS = ("source", "target1", "target2", "method", "category", "type", "race", "gender")
_FIELDS = 10
_SOURCE = re.compile(r"id\d+")
_PARTS = 5
"""Of a path below the root: type, race, gender, source, file."""


@dataclass(slots=True)
class _Listed:
    """What the table says of one file, in one row or several."""

    where: str
    methods: set[str] = field(default_factory=set)
    split: Split | None = None
    rows: int = 0


def keeps(root: str, uris: Collection[str]) -> bool:  # noqa: ARG001
    """Copies with extracted pictures have a second tree of the same names, `frames/`."""
    return not f"/{root}".endswith("/frames/")


def read(root: str, uris: Collection[str], open_file: OpenFile, options: Options) -> Reading:
    """Truths by folder, methods by the table. See `stages.datasets.read`."""
    gathering = Gathering(NAME, root, uris)
    gathering.ignore(lambda path: path.startswith("frames/"))
    clips = {_key(uri.removeprefix(root)): uri for uri in gathering.left() if _is_clip(uri.removeprefix(root))}
    metadata = options.metadata or gathering.first_there(*(f"{folder}{METADATA}" for folder in _upwards(root)))
    listed: dict[str, _Listed] = {}
    if metadata is None:
        gathering.mismatch(
            "missing", f"{root}{METADATA}", f"{root}{METADATA} is not there; methods are not known, the rest is read from folders"
        )
    else:
        listed = _listed(gathering, metadata, open_file, clips)
    reals = _reals(clips.values(), root)
    for uri in clips.values():
        entry = listed.get(uri)
        kind, _, _, source, _ = uri.removeprefix(root).split("/")
        note = None
        if entry is None and metadata is not None:
            note = f"not in {METADATA}; read from its folder"
            gathering.mismatch(
                "extra", uri, f"{metadata}: {shown(uri)} is not in it; its truth is read from its folder, its method is not known"
            )
        elif entry is not None and entry.rows > 1:
            note = f"listed {entry.rows} times"
            what = f"{shown(uri)} is there {entry.rows} times, as {' and '.join(sorted(entry.methods))}; it is one video"
            gathering.mismatch("repaired", uri, f"{entry.where}: {what}")
        video, audio = kind.startswith("Fake"), kind.endswith("FakeAudio")
        truth = Truth(
            uri=uri,
            dataset=NAME,
            fake=video or audio,
            audio_fake=audio,
            visual_fake=video,
            methods=names(*(entry.methods - {"real"})) if entry else (),
            source=reals.get(source) if video or audio else None,
            identities=scoped(NAME, [source]),
            split=entry.split if entry else None,
            note=note,
        )
        gathering.add(truth, metadata or root)
    return gathering.reading("is in none of the folders of FakeAVCeleb")


def _listed(gathering: Gathering, metadata: str, open_file: OpenFile, clips: dict[str, str]) -> dict[str, _Listed]:
    """What the table says, by uri."""
    found: dict[str, _Listed] = {}
    missing: set[str] = set()
    for where, row in _table(metadata, open_file):
        try:
            path, method, split = _row(row)
        except RowError as error:
            gathering.mismatch("row", metadata, f"{metadata}: {where}: {error}")
            continue
        uri = clips.get(_key(path))
        if uri is None:
            if path not in missing:
                named = gathering.root + path
                gathering.mismatch("missing", named, f"{metadata}: {where}: {shown(named)} is not in the archive")
            missing.add(path)
            continue
        entry = found.setdefault(uri, _Listed(f"{metadata}: {where}"))
        entry.methods.add(method)
        entry.split = entry.split or split
        entry.rows += 1
    return found


def _table(metadata: str, open_file: OpenFile) -> Iterator[tuple[str, dict[str, str] | Bad]]:
    """Rows by the meaning of their columns, whatever the header of this copy calls them.

    Raises:
        TruthError: it is not the table of FakeAVCeleb.
    """
    rows = csv_rows(open_file, metadata)
    header = next((row for _, row in rows if not isinstance(row, Bad) and row[0].strip() == _COLUMNS[0]), None)
    if header is None:
        raise TruthError(f"{metadata}: no header of FakeAVCeleb; its first column must be 'source'")
    header = [name.strip() for name in header]
    while len(header) > _FIELDS and not header[-1]:
        header.pop()
    if tuple(header[: len(_COLUMNS)]) != _COLUMNS or len(header) < _FIELDS:
        raise TruthError(f"{metadata}: the header is {shown(header)}; {', '.join(_COLUMNS)}, then file and folder would be right")
    columns = (*_COLUMNS, "file", "folder", *header[_FIELDS:])
    for where, row in rows:
        if isinstance(row, Bad):
            yield where, row
            continue
        # Spreadsheets leave an empty cell at the end.
        cells = row[:-1] if len(row) == len(header) + 1 and not row[-1] else row
        if cells[: len(_COLUMNS)] == list(_COLUMNS):
            continue  # a table that was put together from two has two headers
        if len(cells) != len(header):
            yield where, Bad(f"has {len(cells)} cells; {len(header)} would be right")
            continue
        yield where, dict(zip(columns, (cell.strip() for cell in cells), strict=True))


def _row(values: dict[str, str] | Bad) -> tuple[str, str, Split | None]:
    """Path below the root, method, split.

    Raises:
        RowError: the row contradicts itself, or is none.
    """
    if isinstance(values, Bad):
        raise RowError(values.why)
    kind, category = values["type"], values["category"]
    if kind not in _TYPES:
        raise RowError(f"type is {shown(kind)}; use one of {', '.join(sorted(_TYPES))}")
    if _CATEGORIES.get(category) != kind:
        raise RowError(f"category is {shown(category)} and type {shown(kind)}; {', '.join(f'{c} is {t}' for c, t in _CATEGORIES.items())}")
    if values["method"] not in _METHODS:
        raise RowError(f"method is {shown(values['method'])}; use one of {', '.join(sorted(_METHODS))}")
    if (values["method"] == "real") != (category == "A"):
        raise RowError(f"method is {shown(values['method'])} in category {category}; only A is real")
    if not _SOURCE.fullmatch(values["source"]):
        raise RowError(f"source is {shown(values['source'])}; an id of VoxCeleb2 like id00076 would be right")
    for name in ("race", "gender", "file"):
        if "/" in values[name]:
            raise RowError(f"{name} {shown(values[name])} has a '/'; give one name")
    path = path_of("/".join(values[name] for name in ("type", "race", "gender", "source", "file")), "file")
    if len(path.split("/")) != _PARTS:
        raise RowError(f"{shown(path)} must be type, race, gender, source and file")
    folder = path_of(values["folder"], "folder").split("/")[-_PARTS + 1 :]
    if len(folder) < _PARTS - 1 or _key("/".join([*folder, values["file"]])) != _key(path):
        raise RowError(f"folder is {shown(values['folder'])}; it must end in type, race, gender and source of the row")
    return path, values["method"], SPLITS.get(values.get("split", ""))


def _key(path: str) -> str:
    """A path with its race as all copies spell it: `Asian (East)`, `Asian-East` and `Asian(East)` are one."""
    kind, race, rest = path.split("/", 2)
    return f"{kind}/{re.sub(r'[^A-Za-z]', '', race)}/{rest}"


def _is_clip(path: str) -> bool:
    parts = path.split("/")
    return len(parts) == _PARTS and parts[0] in _TYPES


def _reals(clips: Collection[str], root: str) -> dict[str, str]:
    """The real video of each source; there is exactly one."""
    real = f"{root}{_CATEGORIES['A']}/"
    return {uri.split("/")[-2]: uri for uri in sorted(clips, reverse=True) if uri.startswith(real)}


def _upwards(root: str) -> list[str]:
    """The folder and the one around it: the release's archive unpacks to a folder in a folder."""
    outer = root.rstrip("/").rpartition("/")[0]
    return [root, f"{outer}/" if outer else ""] if root else [root]
