from __future__ import annotations

import pytest

from stages.datasets import Truth, gathering
from stages.datasets.gathering import Gathering


def test_mismatches_are_all_counted_and_the_first_ones_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MAX_LISTED", 3)
    found = Gathering("x", "", ["a.mp4"])
    for number in range(10):
        found.mismatch("missing", f"{number}.mp4", "is not there")
    reading = found.reading("is not in it")
    assert [(m.kind, m.uri) for m in reading.mismatches] == [("extra", "a.mp4"), *(("missing", f"{n}.mp4") for n in range(3))]
    assert reading.counts == {"extra": 1, "missing": 10}


def test_rows_come_back_sorted_from_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "_CHUNK_ROWS", 2)
    uris = [f"{number}.mp4" for number in range(9)]
    found = Gathering("x", "", uris)
    for uri in reversed(uris):
        found.add(Truth(uri, "x", spans=((0.0, 1.0),), methods=("m",)), "here", video_frames=3)
    reading = found.reading("is not in it")
    assert list(reading.rows()) == [Truth(uri, "x", spans=((0.0, 1.0),), methods=("m",)) for uri in uris]
    assert reading.expected["uri"].to_list() == uris


def test_a_file_that_is_no_video_gets_no_truth() -> None:
    found = Gathering("x", "a/", ["a/notes.txt", "b/1.mp4"])
    found.add(Truth("a/notes.txt", "x"), "here")
    found.add(Truth("b/1.mp4", "x"), "here")  # of another folder
    reading = found.reading("is not in it")
    assert reading.truths.is_empty() and reading.counts == {"row": 2}
