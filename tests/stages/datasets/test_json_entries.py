from __future__ import annotations

import io
import json
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import TruthError
from stages.datasets import json_entries
from stages.datasets.json_entries import Bad, Doubled, line_entries, list_entries, object_entries, single_value
from tests.stages.datasets.miniatures import opener

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def values(data: bytes) -> list[Any]:
    return [value for _, value in list_entries(opener({"m.json": data}), "m.json")]


class Slow(io.BytesIO):
    """Gives a few bytes at a time."""

    step = 1

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self.step)


@settings(max_examples=50)
@given(items=st.lists(VALUES, max_size=4), indent=st.sampled_from([None, 1]), is_ascii=st.booleans(), step=st.sampled_from([2, 7, 64]))
def test_any_list_comes_back_whatever_the_size_of_the_pieces(items: list[Any], indent: int | None, is_ascii: bool, step: int) -> None:
    data = json.dumps(items, indent=indent, ensure_ascii=is_ascii).encode()

    def open_file(_: str) -> BinaryIO:
        stream = Slow(data)
        stream.step = step
        return stream

    found = list(list_entries(open_file, "m.json"))
    assert [value for _, value in found] == items
    assert [place for place, _ in found] == [f"row {number}" for number in range(len(items))]


@settings(max_examples=50)
@given(items=st.lists(st.tuples(st.text(max_size=5), VALUES), max_size=5))
def test_any_object_comes_back_with_keys_that_repeat(items: list[tuple[str, Any]]) -> None:
    data = "{" + ",".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in items) + "}"
    assert list(object_entries(opener({"m.json": data.encode()}), "m.json")) == items


@given(data=st.binary(max_size=60) | st.text('[]{}",:\\ 1a', max_size=30).map(str.encode))
def test_any_bytes_are_entries_or_one_line(data: bytes) -> None:
    said = []
    for entries in (list_entries, object_entries, line_entries):
        try:
            list(entries(opener({"m.json": data}), "m.json"))
        except TruthError as error:
            said.append(str(error))
    assert all(text.startswith("m.json: ") and "\n" not in text for text in said)


def test_an_entry_that_is_no_json_is_bad_and_its_neighbours_are_not() -> None:
    found = values(b'[1, {"a": [1,]}, "x", nul, {"b": "]"}]')
    assert [found[0], found[2], found[4]] == [1, "x", {"b": "]"}]
    assert isinstance(found[1], Bad) and isinstance(found[3], Bad)
    assert found[1].why.startswith("is no JSON: ")


def test_a_key_that_is_there_twice_is_seen() -> None:
    (found,) = values(b'[{"a": 1, "b": 2, "a": 3}]')
    assert isinstance(found, Doubled) and found.key == "a"


def test_a_comma_before_the_end_is_let_be() -> None:
    assert values(b"[1, 2, ]") == [1, 2]


def test_only_one_entry_is_held_at_a_time() -> None:
    read = 0

    class Counted(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            nonlocal read
            found = super().read(size)
            read += len(found)
            return found

    data = json.dumps([{"n": number, "text": "x" * 1000} for number in range(5000)]).encode()
    entries = list_entries(lambda _: Counted(data), "m.json")
    next(entries)
    assert read <= 1 << 20 < len(data)


def test_an_entry_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_entries, "MAX_ENTRY_CHARS", 4 << 20)
    with pytest.raises(TruthError, match=r"^m.json: row 1 is longer than 4 million characters; fetch the file again$"):
        values(b'[1, "' + b"x" * (8 << 20) + b'"]')
    assert single_value(opener({"m.json": b"1" * (8 << 20)}), "m.json") == Bad("is longer than 4 million bytes")


def test_lines_with_their_numbers() -> None:
    found = list(line_entries(opener({"m.jsonl": b'\xef\xbb\xbf{"a": 1}\r\n\n[oops\n2'}), "m.jsonl"))
    assert [place for place, _ in found] == ["line 1", "line 3", "line 4"]
    assert found[0][1] == {"a": 1} and isinstance(found[1][1], Bad) and found[2][1] == 2


def test_a_stream_that_breaks_is_one_line() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("connection reset")

    with pytest.raises(TruthError, match=r"^m.json: can't be read: connection reset$"):
        list(list_entries(lambda _: Broken(), "m.json"))
