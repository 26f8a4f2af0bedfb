"""JSON entries: members of a list or object in a big file of somebody else's, one at a time, and the bad ones named."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, BinaryIO

from schemas.errors import TruthError
from stages.datasets.contract import OpenFile

_CHUNK_BYTES = 1 << 20
MAX_ENTRY_CHARS = 16 << 20
"""An entry of the largest data set has some thousands; what is longer than this is no entry."""

_NO_SPACE = re.compile(r"[^ \t\r\n]")
_MARKS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{},]', re.DOTALL)
_INT_DIGITS = 18
_AHEAD_CHARS = 4
"""A number may go on where the text in sight ends: 1.5e-7 reads as 1.5 as long as nothing follows `e-`."""


@dataclass(frozen=True, slots=True)
class Bad:
    """An entry that can't be understood; the rest of its file can."""

    why: str


class Doubled(dict[str, Any]):
    """An object with a key that is there more than once."""

    key = ""


def list_entries(open_file: OpenFile, uri: str) -> Iterator[tuple[str, Any]]:
    """The items of a JSON list, with the place of each (`row 0`, ...), in memory for one item at a time.

    Bytes that are no UTF-8 become replacement characters, as they do in the archive's listing. NaN and numbers beyond 18 digits are NaN.

    Raises:
        TruthError: the file can't be opened, is no list, ends early, or is no JSON in a way that hides where the next item begins.
    """
    with closing(opened(open_file, uri)) as stream:
        text = _Text(stream, uri)
        text.expect("[", "must be a list of videos")
        number = 0
        while not text.ends("]", first=number == 0):
            yield f"row {number}", text.value(f"row {number}")
            number += 1


def object_entries(open_file: OpenFile, uri: str) -> Iterator[tuple[str, Any]]:
    """The members of a JSON object, key and value; a key that comes twice is given twice. See `list_entries`."""
    with closing(opened(open_file, uri)) as stream:
        text = _Text(stream, uri)
        text.expect("{", "must be an object with the name of a video as each key")
        number = 0
        while not text.ends("}", first=number == 0):
            key = text.value(f"member {number}")
            if not isinstance(key, str):
                raise TruthError(f"{uri}: member {number} has no text as its key; fetch the file again")
            text.expect(":", f"member {number} has no value")
            yield key, text.value(f"member {number}")
            number += 1


def line_entries(open_file: OpenFile, uri: str) -> Iterator[tuple[str, Any]]:
    """The values of a file with one JSON value a line, with the place of each (`line 1`, ...); empty lines are left out."""
    for number, line in enumerate(text_lines(open_file, uri), 1):
        if line.strip():
            yield f"line {number}", parse(line)


def single_value(open_file: OpenFile, uri: str) -> Any:
    """The one value of a small file, or `Bad`.

    Raises:
        TruthError: it can't be opened or read.
    """
    with closing(opened(open_file, uri)) as stream:
        pieces, length = [], 0
        while (chunk := _read(stream, uri)) and length <= MAX_ENTRY_CHARS:
            pieces.append(chunk)
            length += len(chunk)
    if length > MAX_ENTRY_CHARS:
        return Bad(f"is longer than {MAX_ENTRY_CHARS >> 20} million bytes")
    return parse(b"".join(pieces).decode("utf-8", "replace").removeprefix("\ufeff"))


def parse(text: str) -> Any:
    """The value of a JSON text, or `Bad`."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        return Bad("is nested too deep")
    except ValueError as error:
        return Bad(f"is no JSON: {error}")


def opened(open_file: OpenFile, uri: str) -> BinaryIO:
    """The file's stream.

    Raises:
        TruthError: it can't be opened.
    """
    try:
        return open_file(uri)
    except OSError as error:
        raise TruthError(f"{uri}: can't be read: {error}") from None


def text_lines(open_file: OpenFile, uri: str) -> Iterator[str]:
    """Lines of a text file with their ends, without a byte-order mark; a line that is too long for one is cut into several.

    Raises:
        TruthError: it can't be opened or read.
    """
    with closing(opened(open_file, uri)) as stream:
        first = True
        while line := _read(stream, uri, lines=True):
            text = line.decode("utf-8", "replace")
            yield text.removeprefix("\ufeff") if first else text
            first = False


def _read(stream: BinaryIO, uri: str, lines: bool = False) -> bytes:
    try:
        return stream.readline(MAX_ENTRY_CHARS) if lines else stream.read(_CHUNK_BYTES)
    except OSError as error:
        raise TruthError(f"{uri}: can't be read: {error}") from None


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits.lstrip("-")) <= _INT_DIGITS else float("nan")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    doubled = Doubled(found)
    keys = [key for key, _ in pairs]
    doubled.key = next(key for key in keys if keys.count(key) > 1)
    return doubled


_DECODER = json.JSONDecoder(parse_int=_integer, object_pairs_hook=_object)


class _Text:
    """A window that moves over the text of a file: the standard library's scanner, fed piece by piece."""

    def __init__(self, stream: BinaryIO, uri: str) -> None:
        self._stream, self._uri = stream, uri
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text, self._at, self._is_whole = "", 0, False
        self._more()
        self._text = self._text.removeprefix("\ufeff")

    def expect(self, mark: str, otherwise: str) -> None:
        if self._peek() != mark:
            raise TruthError(f"{self._uri}: {otherwise}; {self._found()} stands there")
        self._at += 1

    def ends(self, mark: str, first: bool) -> bool:
        """Whether the list or object ends here; steps over the comma where it does not."""
        found = self._peek()
        if found == mark:
            return True
        if not first:
            if found != ",":
                raise TruthError(f"{self._uri}: {self._where(found)}, where ',' or '{mark}' would be right; fetch the file again")
            self._at += 1
            # A comma before the end is no JSON, but leaves no doubt either.
            return self._peek() == mark
        return False

    def value(self, place: str) -> Any:
        """The value that begins here, or `Bad` where it can't be understood but its end is plain."""
        self._peek()
        while True:
            why = None
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except RecursionError:
                why, end = "is nested too deep", 0
            except ValueError as error:
                why, end = f"is no JSON: {getattr(error, 'msg', error)}", 0
            if why is None and (end + _AHEAD_CHARS <= len(self._text) or self._is_whole):
                self._at = end
                return value
            if why is not None and (end := self._end_of_entry()) >= 0:
                self._at = end
                return Bad(why)
            if self._is_whole:
                raise TruthError(f"{self._uri}: ends in the middle of {place}, or a bracket or quote of it is wrong; fetch the file again")
            if len(self._text) - self._at > MAX_ENTRY_CHARS:
                raise TruthError(f"{self._uri}: {place} is longer than {MAX_ENTRY_CHARS >> 20} million characters; fetch the file again")
            self._more()

    def _end_of_entry(self) -> int:
        """Where the entry ends by its brackets, before a comma or the closing bracket around it; -1 when that is not in sight."""
        depth = 0
        for found in _MARKS.finditer(self._text, self._at):
            mark = found.group()
            if mark == '"':
                return -1
            if mark in {"[", "{"}:
                depth += 1
            elif mark in {"]", "}"}:
                depth -= 1
            if depth < 0 or (depth == 0 and mark == ","):
                return found.start()
        return -1

    def _peek(self) -> str:
        """The next character that is no white space; '' at the end."""
        while True:
            found = _NO_SPACE.search(self._text, self._at)
            self._at = found.start() if found else len(self._text)
            if self._at < len(self._text) or self._is_whole:
                return self._text[self._at : self._at + 1]
            self._more()

    def _more(self) -> None:
        # Twice as much each time, so that an endless entry is not scanned an endless number of times.
        wanted = max(1, (len(self._text) - self._at) // _CHUNK_BYTES)
        pieces = [self._text[self._at :]]
        for _ in range(wanted):
            chunk = _read(self._stream, self._uri)
            pieces.append(self._decoder.decode(chunk, final=not chunk))
            if not chunk:
                self._is_whole = True
                break
        self._text, self._at = "".join(pieces), 0

    def _found(self) -> str:
        found = self._peek()
        return repr(found) if found else "nothing"

    def _where(self, found: str) -> str:
        return f"{found!r} after an entry" if found else "ends after an entry"
