"""Celeb-DF v2: folders say what is fake, and a list of the test videos whose 1 means real."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

from stages.datasets.contract import OpenFile, Options, Reading, Truth
from stages.datasets.fields import RowError, path_of, scoped, shown
from stages.datasets.gathering import Gathering
from stages.datasets.json_entries import text_lines

NAME = "celebdf"
LAYOUT = "Celeb-real/, YouTube-real/ and Celeb-synthesis/ beside List_of_testing_videos.txt"
SIGNATURES = (r"^((?:.*/)?)(?:Celeb-real|Celeb-synthesis|YouTube-real)/[^/]+\.mp4\z",)
TEST_LIST = "List_of_testing_videos.txt"

_SYNTHESIS = "Celeb-synthesis"
_REAL = re.compile(r"Celeb-real/(?P<person>id\d+)_(?P<recording>\d+)\.mp4")
_YOUTUBE = re.compile(r"YouTube-real/(?P<video>\d{5})\.mp4")
_FAKE = re.compile(rf"{_SYNTHESIS}/(?P<target>id\d+)_(?P<source>id\d+)_(?P<recording>\d+)\.mp4")
_FAKE_OF_NUMBER = {"1": False, "0": True}
"""The list's own polarity."""


def keeps(root: str, uris: Collection[str]) -> bool:  # noqa: ARG001
    return True


def read(root: str, uris: Collection[str], open_file: OpenFile, options: Options) -> Reading:  # noqa: ARG001
    """Truths of folders, held against the list. See `stages.datasets.read`."""
    gathering = Gathering(NAME, root, uris)
    listed = _test_list(gathering, open_file)
    for uri in gathering.left():
        truth = _truth(root, uri)
        if truth is None:
            continue
        is_fake = listed.pop(uri.removeprefix(root), None)
        note = None
        if is_fake is not None and is_fake != truth.fake:
            number = next(number for number, fake in _FAKE_OF_NUMBER.items() if fake == is_fake)
            note = f"{TEST_LIST} says {number}, which is {'fake' if is_fake else 'real'}; the folder is believed"
            gathering.mismatch("contradiction", uri, f"{shown(uri)}: {note}")
        gathering.add(replace(truth, split="test" if is_fake is not None else None, note=note), uri)
    for path in listed:
        gathering.mismatch("missing", root + path, f"{root}{TEST_LIST}: {shown(root + path)} is not in the archive")
    return gathering.reading("follows no rule of Celeb-DF; <id>_<id>_<number>.mp4 in Celeb-synthesis would be right")


def _truth(root: str, uri: str) -> Truth | None:
    """What folder and name say."""
    path = uri.removeprefix(root)
    if real := _REAL.fullmatch(path):
        return Truth(uri, NAME, fake=False, visual_fake=False, identities=scoped(NAME, [real["person"]]))
    if video := _YOUTUBE.fullmatch(path):
        return Truth(uri, NAME, fake=False, visual_fake=False, identities=scoped(NAME, [f"youtube {video['video']}"]))
    if fake := _FAKE.fullmatch(path):
        source = f"{root}Celeb-real/{fake['target']}_{fake['recording']}.mp4"
        people = scoped(NAME, [fake["target"], fake["source"]])
        return Truth(uri, NAME, fake=True, visual_fake=True, methods=(_SYNTHESIS,), source=source, identities=people)
    return None


def _test_list(gathering: Gathering, open_file: OpenFile) -> dict[str, bool]:
    """Path below the root to whether the list calls it fake."""
    uri = gathering.root + TEST_LIST
    found: dict[str, bool] = {}
    if uri not in gathering.files:
        gathering.mismatch("missing", uri, f"{uri} is not there; which videos are for testing is not known")
        return found
    for number, line in enumerate(text_lines(open_file, uri), 1):
        if not line.strip():
            continue
        label, _, path = line.strip().partition(" ")
        try:
            if label not in _FAKE_OF_NUMBER:
                raise RowError(f"is {shown(line.strip())}; 1 (real) or 0 (fake), a space and the path would be right")
            found[path_of(path.strip(), "the path")] = _FAKE_OF_NUMBER[label]
        except RowError as error:
            gathering.mismatch("row", uri, f"{uri}: line {number}: {error}")
    return found
