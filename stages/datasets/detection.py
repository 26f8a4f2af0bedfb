"""Detection: which datasets lie in an archive, and where, by the names of its files alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set

import polars as pl

from schemas.errors import TruthError
from stages.datasets.contract import Found, OpenFile, Options, Reading
from stages.datasets.registry import ADAPTERS, Adapter

_CHUNK = 65_536


def detect(uris: Collection[str], name: str | None = None) -> list[Found]:
    """Datasets side by side or one in the other, by root; none where nothing looks like one.

    Args:
        uris: all files of the archive, metadata too.
        name: looks for this dataset only.

    Raises:
        TruthError: `name` is no dataset, or nothing in the archive is laid out like it.
    """
    files = uris if isinstance(uris, Set) else frozenset(uris)
    adapters = [adapter_of(name)] if name else list(ADAPTERS.values())
    fitting: dict[str, set[str]] = {adapter.name: set() for adapter in adapters}
    names = list(uris)
    for start in range(0, len(names), _CHUNK):  # a million names at once, and what each pattern makes of them, take a gigabyte
        column = pl.Series("uri", names[start : start + _CHUNK], dtype=pl.String)
        for adapter in adapters:
            for pattern in adapter.signatures:
                fitting[adapter.name].update(column.str.extract(f"(?s){pattern}", 1).drop_nulls().unique())
    roots: dict[str, str] = {}
    for adapter in adapters:
        for root in fitting[adapter.name]:
            if adapter.keeps(root, files):
                roots.setdefault(adapter.root_of(root), adapter.name)
    if name and not roots:
        raise TruthError(f"archive: nothing in it is laid out like {name}; {ADAPTERS[name].layout} would be right")
    return [Found(dataset, root) for root, dataset in sorted(roots.items())]


def read(name: str, root: str, uris: Collection[str], open_file: OpenFile, options: Options | None = None) -> Reading:
    """What a dataset says of the files of an archive.

    Args:
        name: of the dataset.
        root: its folder, '' or ending in '/'.
        uris: files of the archive, those outside the root too; see `share`.
        open_file: opens a file by its uri.
        options: what a person said of it.

    Returns:
        One truth for each file that something is known of, and whatever does not match: an entry that is wrong, missing, extra or
        contradictory is a row, not an error.

    Raises:
        TruthError: the name is unknown, or metadata can't be read at all.
    """
    return adapter_of(name).read(root, uris, open_file, options or Options())


def share(found: Found, others: Sequence[Found], uris: Collection[str]) -> Collection[str]:
    """The files that a dataset may be shown: all but those of other datasets inside its folder."""
    inner = tuple(other.root for other in others if other.root != found.root and other.root.startswith(found.root))
    return frozenset(uri for uri in uris if not uri.startswith(inner)) if inner else uris


def adapter_of(name: str) -> Adapter:
    """The adapter of a dataset.

    Raises:
        TruthError: there is none of that name.
    """
    if name not in ADAPTERS:
        raise TruthError(f"dataset {name!r} is not known; use one of {', '.join(sorted(ADAPTERS))}")
    return ADAPTERS[name]
