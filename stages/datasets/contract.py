"""Dataset contract: what an adapter is given, and the truths and mismatches that it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

import polars as pl

from schemas.truth import Span, Split

OpenFile = Callable[[str], BinaryIO]
"""Opens a file of the archive by its uri, to be read from the start; raises OSError where it can't."""

MismatchKind = Literal["missing", "extra", "contradiction", "repaired", "row"]
"""`missing`: the metadata names a file that is not there. `extra`: a video that nothing is said of, or whose name follows no rule.
`contradiction`: two places say different things. `repaired`: a known fault of the release, put right. `row`: an entry that
can't be used."""

_SPANS = pl.List(pl.Array(pl.Float64, 2))
TRUTH_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "uri": pl.String,
    "dataset": pl.String,
    "fake": pl.Boolean,
    "audio_fake": pl.Boolean,
    "visual_fake": pl.Boolean,
    "spans": _SPANS,
    "audio_spans": _SPANS,
    "visual_spans": _SPANS,
    "methods": pl.List(pl.String),
    "source": pl.String,
    "identities": pl.List(pl.String),
    "split": pl.String,
    "note": pl.String,
}
"""Columns of `Reading.truths`; the inventory has them as `truth_*`, after its own `uri`."""
EXPECTED_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {"uri": pl.String, "video_frames": pl.Int64, "has_audio": pl.Boolean}
"""Columns of `Reading.expected`."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What a dataset says of one file of the archive."""

    uri: str
    dataset: str
    fake: bool | None = None
    audio_fake: bool | None = None
    """None: not known, as in DFDC, whose label does not say which stream."""
    visual_fake: bool | None = None
    spans: tuple[Span, ...] | None = None
    """Seconds, end exclusive, where anything is fake. None: nothing is known of when, so a fake clip is fake from end to end."""
    audio_spans: tuple[Span, ...] | None = None
    visual_spans: tuple[Span, ...] | None = None
    methods: tuple[str, ...] = ()
    """Sorted; empty for a real file and where the method is not told."""
    source: str | None = None
    """Uri of the real video that it was made from; the archive may lack it."""
    identities: tuple[str, ...] = ()
    """Sorted, each with the dataset before it: whatever must not be spread over splits."""
    split: Split | None = None
    note: str | None = None
    """What does not match, in one line."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A disagreement between metadata and archive, or within the metadata."""

    uri: str
    """The video that it is about; where there is no such thing, the metadata's file."""
    what: str
    """One line: where it stands, what it is, and what would be right."""
    kind: MismatchKind = "row"


@dataclass(frozen=True, slots=True)
class Found:
    """A dataset in an archive."""

    name: str
    root: str
    """Folder of the archive, '' or ending in '/'."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a person may say of a dataset."""

    metadata: str | None = None
    """Uri of the metadata, where it has another name than usual; read by `generic`, `forge` and `lavdf`."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What an adapter made of a dataset."""

    truths: pl.DataFrame
    """TRUTH_COLUMNS, one row for each file of the archive that something is known of, sorted by uri."""
    mismatches: list[Mismatch]
    """In the order of kind and uri; of a kind that comes very often only the first ones, see `counts`."""
    counts: dict[MismatchKind, int] = field(default_factory=dict)
    """How many mismatches there are of each kind, listed or not."""
    expected: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=EXPECTED_COLUMNS))
    """EXPECTED_COLUMNS: what the metadata says of the files themselves; see `stages.datasets.against_files`."""

    def rows(self) -> Iterator[Truth]:
        """The truths one by one."""
        for row in self.truths.iter_rows(named=True):
            spans = {
                name: None if row[name] is None else tuple((s, e) for s, e in row[name])
                for name in ("spans", "audio_spans", "visual_spans")
            }
            yield Truth(**row | spans | {"methods": tuple(row["methods"]), "identities": tuple(row["identities"])})
