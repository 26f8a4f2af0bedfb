from __future__ import annotations

from typing import Any

import pytest

from schemas.truth import Split
from stages.datasets import Found, Reading, Truth, read
from tests.stages.datasets.miniatures import as_json, by_uri, dfdc, dfdcp, only, opener, whats

ROOT = "DFDC/"
DEEPER, SECOND, SAMPLE = "dfdc_train_part_00/dfdc_train_part_0/", "dfdc_train_part_1/", "train_sample_videos/"


def real(path: str, split: Split) -> Truth:
    name = path.rpartition("/")[2].removesuffix(".mp4")
    return Truth(ROOT + path, "dfdc", fake=False, audio_fake=False, visual_fake=False, identities=(f"dfdc:{name}",), split=split)


def fake(path: str, split: Split, source: str | None = None) -> Truth:
    people = (f"dfdc:{source.rpartition('/')[2].removesuffix('.mp4')}",) if source else ()
    return Truth(ROOT + path, "dfdc", fake=True, source=source and ROOT + source, identities=people, split=split)


EXPECTED = [
    fake(f"{DEEPER}awnfpubqmo.mp4", "train", f"{DEEPER}lnhkjhyhvw.mp4"),
    real(f"{DEEPER}lnhkjhyhvw.mp4", "train"),
    fake(f"{SECOND}bbbbbbbbbb.mp4", "train", f"{DEEPER}lnhkjhyhvw.mp4"),  # of another part
    real("test/aalscayrfi.mp4", "test"),
    fake("test/ffffffffff.mp4", "test"),
    real(f"{SAMPLE}vpmyeepbep.mp4", "train"),
    fake("validation/cccccccccc.mp4", "dev"),
    real("validation/dddddddddd.mp4", "dev"),
]


def test_every_row_as_released() -> None:
    found, reading = only(dfdc())
    assert found == Found("dfdc", ROOT)
    assert list(reading.rows()) == EXPECTED
    assert reading.counts == {}


def test_a_fake_says_nothing_of_its_streams() -> None:
    truth = by_uri(only(dfdc())[1])[EXPECTED[0].uri]
    assert truth.fake and truth.audio_fake is None and truth.visual_fake is None and truth.spans is None


def test_one_part_alone_in_a_folder_of_any_name() -> None:
    archive = {"metadata.json": as_json({"awnfpubqmo.mp4": {"label": "FAKE", "original": "lnhkjhyhvw.mp4"}}), "awnfpubqmo.mp4": b""}
    found, reading = only(archive)
    assert found == Found("dfdc", "")
    (truth,) = reading.rows()
    assert (truth.source, truth.identities, truth.split) == ("lnhkjhyhvw.mp4", ("dfdc:lnhkjhyhvw",), "train")


def one(entry: Any, labels: bytes | None = None) -> Reading:
    archive = {"test/metadata.json": as_json({"aaaaaaaaaa.mp4": entry}), "test/aaaaaaaaaa.mp4": b""}
    if labels is not None:
        archive["test/labels.csv"] = labels
    return read("dfdc", "", archive.keys(), opener(archive))


def test_two_labels_that_disagree_leave_nothing_known() -> None:
    reading = one({"is_fake": 0}, b"filename,label\naaaaaaaaaa.mp4,1\n")
    (truth,) = reading.rows()
    assert truth.fake is None and truth.audio_fake is None
    assert whats(reading, "contradiction")[0][1].endswith(
        "metadata.json and labels.csv disagree on whether it is fake; neither is believed"
    )


def test_a_real_video_with_an_original_is_noted() -> None:
    (truth,) = one({"label": "REAL", "original": "bbbbbbbbbb.mp4"}).rows()
    assert truth.fake is False and truth.source is None
    assert truth.note == "label is REAL, but its original is 'bbbbbbbbbb.mp4'"


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ({"label": "fake"}, "label is 'fake'; use one of FAKE, REAL"),
        ({"label": True}, "label is True"),
        ({"is_fake": 2}, "is_fake is '2'; use one of 1, 0"),
        ({"split": "train"}, "has neither label nor is_fake"),
        ({"label": "FAKE", "original": "../x.mp4"}, "original '../x.mp4' leads out of the folder"),
        ({"label": "FAKE", "original": 7}, "original is 7"),
        ("FAKE", "is 'FAKE'; an object would be right"),
    ],
)
def test_a_wrong_entry_is_named(entry: Any, what: str) -> None:
    reading = one(entry)
    assert reading.truths.is_empty()
    ((uri, found),) = whats(reading, "row")
    assert uri == "test/metadata.json" and found.startswith("test/metadata.json: 'aaaaaaaaaa.mp4': ") and what in found


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        (b"filename,label\nbbbbbbbbbb.mp4,FAKE\n", "line 2: label is 'FAKE'; use one of 1, 0"),
        (b"filename,label\nbbbbbbbbbb.mp4\n", "line 2: has 1 cells; filename,label would be right"),
        (b"filename,label\n/bbbbbbbbbb.mp4,1\n", "line 2: filename '/bbbbbbbbbb.mp4' leads out of the folder"),
        (b"filename,label\naaaaaaaaaa.mp4,1\naaaaaaaaaa.mp4,0\n", "line 3: 'aaaaaaaaaa.mp4' was there before; the first one holds"),
        (b'filename,label\n"' + b"x" * 200_000 + b'",1\n', "is no row of a table: field larger than field limit"),
    ],
)
def test_a_wrong_label_is_named(labels: bytes, what: str) -> None:
    assert what in whats(one({"is_fake": 1}, labels), "row")[0][1]


def test_a_name_that_is_there_twice_counts_once() -> None:
    archive = {"x/metadata.json": b'{"aaaaaaaaaa.mp4": {"label": "REAL"}, "aaaaaaaaaa.mp4": {"label": "FAKE"}}', "x/aaaaaaaaaa.mp4": b""}
    _, reading = only(archive)
    assert [truth.fake for truth in reading.rows()] == [False]
    assert "was named before" in whats(reading, "row")[0][1]


def test_missing_and_extra_files_are_named() -> None:
    archive = dfdc() | {f"{ROOT}{SECOND}zzzzzzzzzz.mp4": b""}
    del archive[f"{ROOT}validation/cccccccccc.mp4"]
    _, reading = only(archive)
    assert [uri for uri, _ in whats(reading, "missing")] == [f"{ROOT}validation/cccccccccc.mp4"]
    assert [uri for uri, _ in whats(reading, "extra")] == [f"{ROOT}{SECOND}zzzzzzzzzz.mp4"]


def test_every_row_of_the_preview() -> None:
    found, reading = only(dfdcp())
    assert found == Found("dfdcp", "DFDCP/")
    original = "DFDCP/original_videos/643669/643669_K_000.mp4"

    def swap(method: str, swapped: str, split: Split) -> Truth:
        uri = f"DFDCP/{method}/643669/643669_K/{swapped}_643669_K_000.mp4"
        people = tuple(sorted((f"dfdcp:{swapped}", "dfdcp:643669")))
        return Truth(uri, "dfdcp", fake=True, visual_fake=True, methods=(method,), source=original, identities=people, split=split)

    assert list(reading.rows()) == [
        swap("method_A", "1064213", "train"),
        swap("method_B", "1224068", "test"),
        Truth(original, "dfdcp", fake=False, audio_fake=False, visual_fake=False, identities=("dfdcp:643669",), split="train"),
    ]
    assert reading.counts == {}


def test_names_of_the_preview_that_say_nothing_or_something_else_are_noted() -> None:
    table = {"method_A/new.mp4": {"label": "fake"}, "method_A/1_K_000.mp4": {"label": "real"}}
    archive = {"dataset.json": as_json(table)} | dict.fromkeys(table, b"")
    _, reading = only(archive)
    notes = {truth.uri: truth.note for truth in reading.rows()}
    assert "its people are not known" in (notes["method_A/new.mp4"] or "")
    assert notes["method_A/1_K_000.mp4"] == "label is real, but its folder is 'method_A'"
