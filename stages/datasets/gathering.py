"""Gathering: truths of a dataset, row after row into columns, and what did not match."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Set
from typing import Any

import polars as pl
import pyarrow as pa

from stages.datasets.contract import EXPECTED_COLUMNS, TRUTH_COLUMNS, Mismatch, MismatchKind, Reading, Truth
from stages.datasets.fields import shown
from stages.inventory import VIDEO_SUFFIXES

_CHUNK_ROWS = 16_384
_ARROW_TYPES = [field.type for field in pl.DataFrame(schema=TRUTH_COLUMNS).to_arrow().schema]
MAX_LISTED = 10_000
"""Mismatches of one kind that are kept: a tenth of a release in an archive must not fill the memory with what is missing."""


class Gathering:
    """Collects what an adapter finds; a million rows stay in columns, not in objects."""

    def __init__(self, dataset: str, root: str, uris: Collection[str]) -> None:
        """Takes stock.

        Args:
            dataset: its name.
            root: folder of the archive, '' or ending in '/'.
            uris: files of the archive; those outside `root` are only looked at for metadata.
        """
        self.dataset, self.root = dataset, root
        self.files: Set[str] = uris if isinstance(uris, Set) else frozenset(uris)
        self._left = {uri for uri in self.files if uri.startswith(root) and is_video(uri)}
        self._rows: list[tuple[Any, ...]] = []
        self._parts: list[pl.DataFrame] = []
        self._expected: list[tuple[str, int | None, bool | None]] = []
        self._expected_parts: list[pl.DataFrame] = []
        self._mismatches: list[Mismatch] = []
        self._counts: Counter[MismatchKind] = Counter()

    def first_there(self, *candidates: str) -> str | None:
        """The first of some uris that the archive has."""
        return next((uri for uri in candidates if uri in self.files), None)

    def add(self, truth: Truth, where: str, video_frames: int | None = None, has_audio: bool | None = None) -> None:
        """Keeps a truth, if the archive has its file; otherwise, or when it came before, a mismatch.

        Args:
            truth: of one file.
            where: metadata's file and place in it.
            video_frames: what the metadata says of the file, to be held against the file itself.
            has_audio: likewise.
        """
        if truth.uri not in self.files:
            self.mismatch("missing", truth.uri, f"{where}: {shown(truth.uri)} is not in the archive")
            return
        if truth.uri not in self._left:
            self.mismatch("row", truth.uri, f"{where}: {shown(truth.uri)} is no video, or was named before; the first entry holds")
            return
        self._left.discard(truth.uri)
        self._rows.append(tuple(getattr(truth, name) for name in TRUTH_COLUMNS))
        if video_frames is not None or has_audio is not None:
            self._expected.append((truth.uri, video_frames, has_audio))
        if len(self._rows) >= _CHUNK_ROWS:
            self._flush()

    def mismatch(self, kind: MismatchKind, uri: str, what: str) -> None:
        """Notes that something does not match."""
        self._counts[kind] += 1
        if self._counts[kind] <= MAX_LISTED:
            self._mismatches.append(Mismatch(uri, what, kind))

    def ignore(self, is_ignored: Callable[[str], bool]) -> None:
        """Leaves out videos that are no part of the dataset, by their path below the root."""
        self._left = {uri for uri in self._left if not is_ignored(uri.removeprefix(self.root))}

    def left(self) -> list[str]:
        """Videos below the root that nothing was said of so far, sorted."""
        return sorted(self._left)

    def reading(self, extra: str) -> Reading:
        """All of it.

        Args:
            extra: what is wrong with a video that nothing was said of.
        """
        for uri in self.left():
            self.mismatch("extra", uri, f"{shown(uri)}: {extra}")
        self._flush()
        truths = pl.concat([pl.DataFrame(schema=TRUTH_COLUMNS), *self._parts]).sort("uri")
        expected = pl.concat([pl.DataFrame(schema=EXPECTED_COLUMNS), *self._expected_parts]).sort("uri")
        listed = sorted(self._mismatches, key=lambda m: (m.kind, m.uri, m.what))
        return Reading(truths, listed, dict(sorted(self._counts.items())), expected)

    def _flush(self) -> None:
        if self._rows:
            # Arrow makes lists of spans eight times as fast as polars does.
            columns = [pa.array(values, kind) for values, kind in zip(zip(*self._rows, strict=True), _ARROW_TYPES, strict=True)]
            self._parts.append(pl.DataFrame(pa.Table.from_arrays(columns, list(TRUTH_COLUMNS))))
            self._rows = []
        if self._expected:
            self._expected_parts.append(pl.DataFrame(self._expected, schema=EXPECTED_COLUMNS, orient="row"))
            self._expected = []


def is_video(uri: str) -> bool:
    """Whether a file's name promises a video."""
    return uri[max(uri.rfind("."), 0) :].lower() in VIDEO_SUFFIXES
