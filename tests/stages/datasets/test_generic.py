from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.errors import TruthError
from stages.datasets import Found, Options, Reading, Truth, read
from tests.stages.datasets.miniatures import generic, only, opener, whats

ROOT = "own/"
EXPECTED = [
    Truth(
        f"{ROOT}a/fake.mp4", "generic", fake=True, visual_fake=True, spans=((1.2, 1.84), (3.0, 4.5)), methods=("lipsync", "swap"),
        source=f"{ROOT}a/real.mp4", identities=("generic:ann", "generic:bob"), split="dev", note="hand-made",
    ),
    Truth(f"{ROOT}a/real.mp4", "generic", fake=False, audio_fake=False, visual_fake=False, identities=("generic:ann",), split="train"),
    Truth(f"{ROOT}b/unknown.mp4", "elsewhere", identities=("elsewhere:cleo",)),
]  # fmt: skip
ENTRIES: list[dict[str, Any]] = [
    {"uri": "a/real.mp4", "fake": False, "audio_fake": False, "visual_fake": False, "identities": ["ann"], "split": "train"},
    {
        "uri": "a/fake.mp4", "fake": True, "visual_fake": True, "spans": [[3, 4.5], [1.2, 1.84]], "methods": ["swap", "lipsync"],
        "source": "a/real.mp4", "identities": ["bob", "ann"], "split": "val", "note": "hand-made",
    },
    {"uri": "b/unknown.mp4", "dataset": "elsewhere", "identities": "cleo"},
]  # fmt: skip


def with_file(name: str, data: bytes) -> dict[str, bytes]:
    archive = {uri: content for uri, content in generic().items() if not uri.endswith("truth.csv")}
    return archive | {ROOT + name: data}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("truth.csv", generic()[f"{ROOT}truth.csv"]),
        ("truth.csv", b"\xef\xbb\xbf" + generic()[f"{ROOT}truth.csv"].replace(b"\n", b"\r\n")),
        ("truth.json", json.dumps(ENTRIES).encode()),
        ("truth.jsonl", "\n".join(json.dumps(entry) for entry in ENTRIES).encode()),
    ],
    ids=["csv", "csv of a spreadsheet", "json", "jsonl"],
)
def test_every_row_in_every_format(name: str, data: bytes) -> None:
    found, reading = only(with_file(name, data))
    assert found == Found("generic", ROOT)
    assert list(reading.rows()) == EXPECTED
    assert reading.counts == {}


def test_a_file_of_another_name() -> None:
    archive = with_file("mine.jsonl", "\n".join(json.dumps(entry) for entry in ENTRIES).encode())
    reading = read("generic", ROOT, archive.keys(), opener(archive), Options(metadata=f"{ROOT}mine.jsonl"))
    assert list(reading.rows()) == EXPECTED


def one(**entry: Any) -> Reading:
    archive = {"truth.json": json.dumps([{"uri": "x.mp4", **entry}]).encode(), "x.mp4": b""}
    return read("generic", "", archive.keys(), opener(archive))


@pytest.mark.parametrize(
    ("entry", "facts"),
    [
        ({"audio_fake": True}, (True, True, None)),
        ({"audio_fake": False, "visual_fake": "0"}, (False, False, False)),
        ({"audio_fake": False}, (None, False, None)),
        ({"fake": "FAKE"}, (True, None, None)),
        ({"fake": "Real", "audio_fake": " "}, (False, None, None)),
        ({"fake": 1}, (True, None, None)),
        ({}, (None, None, None)),
    ],
)
def test_what_follows_from_what_is_given_and_no_more(entry: dict[str, Any], facts: tuple[bool | None, ...]) -> None:
    (truth,) = one(**entry).rows()
    assert (truth.fake, truth.audio_fake, truth.visual_fake) == facts


def test_spans_of_the_whole_follow_from_the_streams_when_both_are_known() -> None:
    (both,) = one(audio_fake=True, visual_fake=True, audio_spans=[[1, 2]], visual_spans=[[0, 1]]).rows()
    assert both.spans == ((0.0, 1.0), (1.0, 2.0))
    (half,) = one(audio_fake=True, audio_spans=[[1, 2]]).rows()
    assert half.spans is None
    (sound,) = one(audio_fake=True, visual_fake=False, audio_spans=[[1, 2]]).rows()
    assert sound.spans == ((1.0, 2.0),)


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ({"fake": "maybe"}, "fake is 'maybe'; use one of true, false, 1, 0, yes, no, fake, real"),
        ({"fake": False, "audio_fake": True}, "fake is false, but audio_fake or visual_fake is true"),
        ({"fake": True, "audio_fake": False, "visual_fake": False}, "leave empty what is not known"),
        ({"fake": False, "spans": [[1, 2]]}, "fake is false, but it has 1 spans"),
        ({"audio_spans": [[1, 2]]}, "audio_fake is not known, but it has 1 spans"),
        ({"visual_fake": True, "visual_spans": []}, "visual_fake is true, but its list of spans is empty"),
        ({"fake": True, "spans": "1.2-1.84"}, "spans is no JSON: Extra data"),
        ({"fake": True, "spans": "[[2, 1]]"}, "spans: span [2, 1] must have 0 <= start <= end"),
        ({"split": "holdout"}, "split is 'holdout'; use one of train, dev"),
        ({"split": ["train"]}, "split is ['train']; use one of train, dev"),
        ({"methods": [1]}, "methods is [1]; a list of texts"),
        ({"identities": "a\nb"}, "identities is 'a\\nb'; a short text on one line"),
        ({"source": "../real.mp4"}, "source '../real.mp4' leads out of the folder"),
        ({"uri": "/x.mp4"}, "uri '/x.mp4' leads out of the folder"),
        ({"uri": None}, "uri is None; give the path of a video"),
        ({"dataset": 3}, "dataset is 3; a short text"),
    ],
)
def test_a_wrong_row_is_named(entry: dict[str, Any], what: str) -> None:
    reading = one(**entry)
    assert reading.truths.is_empty()
    ((uri, found),) = whats(reading, "row")
    assert uri == "truth.json" and found.startswith("truth.json: row 0: ") and what in found


def test_a_column_that_is_not_known_is_named_with_the_nearest() -> None:
    reading = one(fake=True, metods="x", zzz=1)
    assert [what for _, what in whats(reading, "row")] == [
        "truth.json: 'metods' is no column of the schema and was not read; methods may be meant",
        "truth.json: 'zzz' is no column of the schema and was not read; there are uri, dataset, fake, audio_fake, visual_fake, spans, "
        "audio_spans, visual_spans, methods, source, identities, split, note",
    ]
    assert reading.truths.height == 1


@pytest.mark.parametrize(
    ("table", "what"),
    [
        (b"", "its first line must name the columns, uri among them"),
        (b"file,fake\nx.mp4,1\n", "its first line must name the columns, uri among them"),
        (b"uri,fake,fake\nx.mp4,1,1\n", "column 'fake' is there twice"),
    ],
)
def test_a_table_without_its_columns_is_one_line(table: bytes, what: str) -> None:
    with pytest.raises(TruthError, match=rf"^own/truth.csv: {what}"):
        only(with_file("truth.csv", table))


def test_lines_that_are_shorter_or_longer_than_the_header_are_named() -> None:
    _, reading = only(with_file("truth.csv", b"uri,fake\na/real.mp4\na/fake.mp4,1,2\nb/unknown.mp4,0\n"))
    assert [what for _, what in whats(reading, "row")] == [
        "own/truth.csv: line 2: has 1 cells, but the header 2",
        "own/truth.csv: line 3: has 3 cells, but the header 2",
    ]
    assert [uri for uri, _ in whats(reading, "extra")] == [f"{ROOT}a/fake.mp4", f"{ROOT}a/real.mp4"]


def test_no_file_at_all_is_one_line() -> None:
    with pytest.raises(TruthError, match=r"^own/: holds no truth.csv, truth.json, truth.jsonl; docs/datasets.md says"):
        read("generic", ROOT, ["own/x.mp4"], opener({}))
