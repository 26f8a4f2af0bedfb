"""Fields: one value of a row of somebody else's metadata, checked, or a message that says what would be right."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any, TypeVar

from schemas.truth import Span, Split, leads_out
from stages.datasets.json_entries import Bad, Doubled

MAX_S = 1e6
"""No clip lasts eleven days."""
MAX_PATH_CHARS = 1024
_MAX_SPANS = 10_000

T = TypeVar("T")
SPLITS: dict[str, Split] = {"train": "train", "dev": "dev", "val": "dev", "valid": "dev", "validation": "dev", "test": "test"}

_PLAIN = re.compile(r"[\w-][ -.0-~]*(?:/[\w-][ -.0-~]*)*", re.ASCII)
"""Nearly all paths: nothing to look into more closely, which takes ten times as long."""

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 120
_short.maxlist, _short.maxdict, _short.maxlevel = 4, 3, 2


class RowError(Exception):
    """A row can't be used; the message names field, value and what would be right."""


def shown(value: object) -> str:
    """A value of unknown length and contents, short and on one line."""
    return _short.repr(value)


def as_object(value: Any) -> dict[str, Any]:
    """The row as an object.

    Raises:
        RowError: it is something else, or says a thing twice.
    """
    if isinstance(value, Bad):
        raise RowError(value.why)
    if isinstance(value, Doubled):
        raise RowError(f"{shown(value.key)} is there twice; give each key once")
    if not isinstance(value, dict):
        raise RowError(f"is {shown(value)}; an object would be right")
    return value


def path_of(value: Any, name: str) -> str:
    """A path below a folder, without '.' and doubled slashes."""
    if not isinstance(value, str) or not value:
        raise RowError(f"{name} is {shown(value)}; give the path of a video")
    if len(value) <= MAX_PATH_CHARS and _PLAIN.fullmatch(value):
        return value
    if len(value) > MAX_PATH_CHARS:
        raise RowError(f"{name} has {len(value)} characters; give a path with {MAX_PATH_CHARS} at most")
    if leads_out(value):
        raise RowError(f"{name} {shown(value)} leads out of the folder; give a path below it, without '..'")
    if not value.isprintable() and not _is_encodable(value):
        raise RowError(f"{name} {shown(value)} is no text; give the path of a video")
    path = PurePosixPath(value).as_posix()
    if path == ".":
        raise RowError(f"{name} is {shown(value)}; give the path of a video")
    return path


def maybe_path(value: Any, name: str) -> str | None:
    return None if value is None or value == "" else path_of(value, name)


def spans_of(value: Any, name: str) -> tuple[Span, ...]:
    """Spans in seconds, sorted."""
    if not isinstance(value, list):
        raise RowError(f"{name} is {shown(value)}; give a list of [start, end] in seconds")
    if len(value) > _MAX_SPANS:
        raise RowError(f"{name} has {len(value)} spans; {_MAX_SPANS} are the most")
    found = []
    for span in value:
        if not isinstance(span, list | tuple) or len(span) != 2 or not all(_is_number(edge) for edge in span):
            raise RowError(f"{name}: {shown(span)} must be [start, end] in seconds")
        start, end = float(span[0]), float(span[1])
        if not 0 <= start <= end <= MAX_S:
            raise RowError(f"{name}: span {shown(span)} must have 0 <= start <= end, in seconds")
        found.append((start, end))
    return tuple(sorted(found))


def flag_of(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return value
    raise RowError(f"{name} is {shown(value)}; true or false would be right")


def one_of(value: Any, name: str, allowed: Mapping[str, T]) -> T:
    if isinstance(value, str) and value in allowed:
        return allowed[value]
    raise RowError(f"{name} is {shown(value)}; use one of {', '.join(allowed)}")


def maybe_text(value: Any, name: str) -> str | None:
    """A short text; '' and null are none."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and len(value) <= MAX_PATH_CHARS and value.isprintable():
        return value
    raise RowError(f"{name} is {shown(value)}; a short text on one line would be right")


def maybe_count(value: Any, name: str) -> int | None:
    """A count of frames or samples."""
    if value is None:
        return None
    if _is_number(value) and value == int(value) and 0 <= value < 1e12:
        return int(value)
    raise RowError(f"{name} is {shown(value)}; a whole number from 0 would be right")


def maybe_seconds(value: Any, name: str) -> float | None:
    if value is None:
        return None
    if _is_number(value) and 0 <= value <= MAX_S:
        return float(value)
    raise RowError(f"{name} is {shown(value)}; seconds would be right")


def names(*values: str | None) -> tuple[str, ...]:
    """Those that are there, each once, sorted."""
    return tuple(sorted({value for value in values if value}))


def scoped(dataset: str, identities: Iterable[str | None]) -> tuple[str, ...]:
    """Identities with their dataset before them, each once, sorted."""
    return tuple(sorted({f"{dataset}:{identity}" for identity in identities if identity}))


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
