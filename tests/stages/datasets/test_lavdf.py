from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.errors import TruthError
from stages.datasets import Found, Truth, read
from tests.stages.datasets.miniatures import as_json, by_uri, lavdf, lavdf_row, only, opener, whats

ROOT = "LAV-DF/"
METADATA = f"{ROOT}metadata.json"
Spans = tuple[tuple[float, float], ...]


def clip(file: str, spans: Spans, streams: str, original: str | None, note: str | None = None) -> Truth:
    return Truth(
        uri=ROOT + file,
        dataset="lavdf",
        fake=bool(streams),
        audio_fake="a" in streams,
        visual_fake="v" in streams,
        spans=spans,
        audio_spans=spans if "a" in streams else (),
        visual_spans=spans if "v" in streams else (),
        source=original and ROOT + original,
        identities=(f"lavdf:{original or file}",),
        split=file.split("/", maxsplit=1)[0],  # type: ignore[arg-type]
        note=note,
    )


LATE = "a span ends at 4.9 s, after the duration of 4.224 s"
EXPECTED = [
    clip("dev/000003.mp4", (), "", None),
    clip("dev/000004.mp4", ((0.4, 0.9),), "av", "dev/000003.mp4"),
    clip("test/000005.mp4", ((3.9, 4.9),), "v", "test/000006.mp4", LATE),
    clip("train/000000.mp4", (), "", None),
    clip("train/000001.mp4", ((1.16, 1.6),), "v", "train/000000.mp4"),
    clip("train/000002.mp4", ((0.2, 0.5), (1.24, 1.6)), "a", "train/000000.mp4"),
]


def one(row: dict[str, Any] | bytes, *files: str) -> Any:
    """A release of one row."""
    data = row if isinstance(row, bytes) else as_json([row])
    names = files or ("train/000001.mp4", "train/000000.mp4")
    archive = {METADATA: data} | {ROOT + name: b"" for name in names}
    return read("lavdf", ROOT, archive.keys(), opener(archive))


@pytest.mark.parametrize("name", ["metadata.json", "metadata.min.json"])
def test_every_row_as_released(name: str) -> None:
    found, reading = only(lavdf(name=name))
    assert found == Found("lavdf", ROOT)
    assert list(reading.rows()) == EXPECTED
    assert whats(reading, "contradiction") == [(f"{ROOT}test/000005.mp4", f"{ROOT}{name}: row 5: {LATE}")]
    assert reading.counts == {"contradiction": 1}


def test_the_short_list_is_read_where_both_are() -> None:
    archive = lavdf() | lavdf(name="metadata.min.json") | {METADATA: b"not looked at"}
    assert list(only(archive)[1].rows()) == EXPECTED


def test_the_duration_is_longer_than_the_streams_and_nothing_follows_from_it() -> None:
    row = lavdf_row("train/000000.mp4")
    assert round(row["duration"] * 25) > row["video_frames"]  # in every row of the release
    assert row["duration"] == pytest.approx(row["audio_frames"] / 16_000 + 0.128, abs=1e-3)
    reading = one(row, "train/000000.mp4")
    assert not reading.mismatches
    assert reading.expected.rows() == [(f"{ROOT}train/000000.mp4", 103, True)]


def test_missing_and_extra_files_are_named() -> None:
    archive = lavdf()
    del archive[f"{ROOT}dev/000004.mp4"]
    archive[f"{ROOT}dev/000099.mp4"] = b""
    _, reading = only(archive)
    assert whats(reading, "missing") == [(f"{ROOT}dev/000004.mp4", f"{METADATA}: row 4: 'LAV-DF/dev/000004.mp4' is not in the archive")]
    assert whats(reading, "extra") == [(f"{ROOT}dev/000099.mp4", f"'LAV-DF/dev/000099.mp4': is not in {METADATA}")]


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"n_fakes": 2}, "n_fakes is 2, but fake_periods has 1"),
        ({"split": "test", "original": "test/000000.mp4"}, "split is test, but the folder is 'train'"),
        ({"original": "test/000000.mp4"}, "split is train, but the original's is test"),
        ({"original": None}, "a fake without original"),
        ({"original": "train/000001.mp4"}, "is its own original"),
    ],
)
def test_what_contradicts_itself_is_noted_and_the_rest_believed(more: dict[str, Any], what: str) -> None:
    reading = one(lavdf_row("train/000001.mp4", [[1.0, 1.5]], "v", **{"original": "train/000000.mp4"} | more))
    (truth,) = reading.rows()
    assert truth.fake is True and truth.spans == ((1.0, 1.5),)
    assert truth.note == what
    assert whats(reading, "contradiction") == [(truth.uri, f"{METADATA}: row 0: {what}")]


@pytest.mark.parametrize(("spans", "streams"), [([], "v"), ([[1.0, 1.5]], "")])
def test_flags_and_spans_that_exclude_each_other_leave_nothing_known(spans: list[list[float]], streams: str) -> None:
    (truth,) = one(lavdf_row("train/000001.mp4", spans, streams, "train/000000.mp4")).rows()
    assert (truth.fake, truth.audio_fake, truth.visual_fake, truth.spans, truth.audio_spans, truth.visual_spans) == (None,) * 6
    assert "neither is believed" in (truth.note or "")


DEEP = "[" * 100_000 + "]" * 100_000
ROW = json.dumps(lavdf_row("train/000001.mp4", [[1.0, 1.5]], "v", "train/000000.mp4"))
BAD_ROWS = {
    "leads out": (ROW.replace("train/000001", "../000001"), "file '../000001.mp4' leads out of the folder"),
    "absolute": (ROW.replace("train/000001", "/etc/000001"), "leads out of the folder; give a path below it"),
    "NUL": (ROW.replace("train/000001", "train/\\u0000"), "leads out of the folder"),
    "half a surrogate": (ROW.replace("train/000001", "train/\\ud800"), "is no text"),
    "empty": (ROW.replace("train/000001.mp4", ""), "file is ''; give the path of a video"),
    "a million characters": (ROW.replace("train/000001", "x" * 1_000_000), "file has 1000004 characters"),
    "reversed": (ROW.replace("[1.0, 1.5]", "[1.5, 1.0]"), "fake_periods: span [1.5, 1.0] must have 0 <= start <= end"),
    "negative": (ROW.replace("[1.0, 1.5]", "[-1.0, 1.5]"), "must have 0 <= start <= end"),
    "NaN": (ROW.replace("[1.0, 1.5]", "[NaN, 1.5]"), "fake_periods: [nan, 1.5] must be [start, end] in seconds"),
    "infinite": (ROW.replace("[1.0, 1.5]", "[1.0, 1e999]"), "must be [start, end] in seconds"),
    "years": (ROW.replace("[1.0, 1.5]", "[1.0, 1e9]"), "must have 0 <= start <= end"),
    "a number of 10,000 digits": (ROW.replace("[1.0, 1.5]", "[1.0, " + "9" * 10_000 + "]"), "must be [start, end] in seconds"),
    "text": (ROW.replace("[1.0, 1.5]", '["1.0", 1.5]'), "must be [start, end] in seconds"),
    "booleans": (ROW.replace("[1.0, 1.5]", "[false, true]"), "must be [start, end] in seconds"),
    "three edges": (ROW.replace("[1.0, 1.5]", "[1, 2, 3]"), "must be [start, end] in seconds"),
    "no list": (ROW.replace("[[1.0, 1.5]]", "7"), "fake_periods is 7; give a list"),
    "no flag": (ROW.replace('"modify_video": true', '"modify_video": "yes"'), "modify_video is 'yes'; true or false would be right"),
    "no split": (ROW.replace('"split": "train"', '"split": "holdout"'), "split is 'holdout'; use one of train, dev, val"),
    "frames": (ROW.replace('"video_frames": 103', '"video_frames": -1'), "video_frames is -1; a whole number from 0"),
    "half a frame": (ROW.replace('"video_frames": 103', '"video_frames": 1.5'), "video_frames is 1.5"),
    "endless": (ROW.replace('"duration": 4.224', '"duration": Infinity'), "duration is inf; seconds would be right"),
    "twice a key": ('{"file": "train/000000.mp4", ' + ROW[1:], "'file' is there twice; give each key once"),
    "no object": ("[1, 2]", "is [1, 2]; an object would be right"),
    "null": ("null", "is None; an object would be right"),
    "deep": (ROW.replace("[[1.0, 1.5]]", DEEP), "is nested too deep"),
    "deep, and no JSON": (DEEP, "is nested too deep"),
    "no JSON": ('{"file": train}', "is no JSON"),
    "a word": ("oops", "is no JSON"),
    "a control character": (ROW.replace("train/000001", "train/\n"), "is no JSON"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_row_that_means_harm_is_named_and_the_next_one_read(name: str) -> None:
    row, what = BAD_ROWS[name]
    reading = one(f"[{row},\n{ROW}]".encode())
    assert [truth.uri for truth in reading.rows()] == [f"{ROOT}train/000001.mp4"]
    ((uri, found),) = whats(reading, "row")
    assert uri == METADATA and found.startswith(f"{METADATA}: row 0: ") and what in found
    assert "\n" not in found and len(found) < 400


def test_names_of_other_alphabets_bytes_and_lines_are_matched_as_the_archive_lists_them() -> None:
    names = ["train/zoë.mp4", "train/two\nlines.mp4", "train/caf\N{REPLACEMENT CHARACTER}.mp4"]
    rows = as_json([lavdf_row(name) for name in names[:2]])[:-1]
    latin = as_json(lavdf_row("train/caf#.mp4")).replace(b"#", b"\xe9")
    reading = one(b"\xef\xbb\xbf" + rows + b"," + latin + b"]", *names)
    assert {truth.uri for truth in reading.rows()} == {ROOT + name for name in names}
    assert not reading.mismatches


def test_the_same_video_twice_is_named() -> None:
    reading = one(f"[{ROW},{ROW}]".encode(), "train/000001.mp4")
    assert reading.truths.height == 1
    assert "was named before; the first entry holds" in whats(reading, "row")[0][1]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "must be a list of videos; nothing stands there"),
        (b'{"a": 1}', "must be a list of videos; '{' stands there"),
        (b"\x80\x04K\x01.", "must be a list of videos"),
        (f"[{ROW}".encode(), "ends after an entry"),
        (f"[{ROW},{ROW[:50]}".encode(), "ends in the middle of row 1"),
        (f"[{ROW},".encode(), "ends in the middle of row 1"),
        (f"[{ROW} {ROW}]".encode(), "'{' after an entry, where ',' or ']' would be right"),
    ],
    ids=["empty", "an object", "bytes", "no end", "cut", "cut at a comma", "no comma"],
)
def test_a_file_that_cannot_be_read_at_all_is_one_line(data: bytes, what: str) -> None:
    with pytest.raises(TruthError, match=r"^LAV-DF/metadata\.json: [^\n]*$") as caught:
        one(data)
    assert what in str(caught.value) and len(str(caught.value)) < 300


def test_a_list_that_is_not_there_is_one_line() -> None:
    archive = {f"{ROOT}train/000000.mp4": b""}
    with pytest.raises(TruthError, match=r"^LAV-DF/metadata.json: can't be read: no such file"):
        read("lavdf", ROOT, archive.keys(), opener(archive))


def test_unknown_keys_are_let_be() -> None:
    reading = one(lavdf_row("train/000000.mp4", surprise={"a": [1]}), "train/000000.mp4")
    assert by_uri(reading)[f"{ROOT}train/000000.mp4"].fake is False and not reading.mismatches
