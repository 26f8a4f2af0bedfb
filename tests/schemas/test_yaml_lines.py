from __future__ import annotations

import pytest

from schemas.yaml_lines import YamlLines

TEXT = """\
# a comment

a:
  b: 1
  c:
    - x
    - y: 2
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 1), (("a",), 3), (("a", "b"), 4), (("a", "c", 0), 6), (("a", "c", 1, "y"), 7), (("a", "c", 1, "z"), 7), (("q",), 1),
        (("a", "q", 3), 3),
    ],
)  # fmt: skip
def test_a_line_is_that_of_the_key_or_of_what_it_would_stand_in(path: tuple[str | int, ...], line: int) -> None:
    assert YamlLines(TEXT).of(path) == line


def test_keys_that_stand_twice_are_known() -> None:
    assert YamlLines("a: 1\nb: {c: 1, c: 2}\na: 3\n").repeated == [("c", 2), ("a", 3)]
    assert YamlLines("").repeated == []
