"""Listed: what is written in a dataset's layout says the same truth when our own reader of that dataset reads it back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.exports.export import export
from stages import datasets
from tests.pipelines.exports.made_set import FAKE, add_truth, clip, tables_only

REAL = {"fake": False, "audio_fake": False, "visual_fake": False, "spans": [], "audio_spans": [], "visual_spans": []}
SEEN = {"fake": True, "audio_fake": False, "visual_fake": True, "spans": [[0.4, 1.12]], "audio_spans": [], "visual_spans": [[0.4, 1.12]]}
HEARD = {"fake": True, "audio_fake": True, "visual_fake": False, "spans": [[2.0, 2.5]], "audio_spans": [[2.0, 2.5]], "visual_spans": []}
BOTH = {
    "fake": True,
    "audio_fake": True,
    "visual_fake": True,
    "spans": [[0.5, 1.0]],
    "audio_spans": [[0.5, 1.0]],
    "visual_spans": [[0.5, 1.0]],
}
ANNA = {"identities": ["made:anna"]}
TRUTHS = {
    "in/real one.mp4": REAL | ANNA, "seen.mp4": SEEN | ANNA | {"source": "in/real one.mp4"}, "heard.mp4": HEARD | ANNA,
    "both.mp4": BOTH | ANNA | {"source": "elsewhere.mp4"}, "ñandú;.mp4": REAL | {"identities": ["made:b"]},
}  # fmt: skip
SPLITS = {"ñandú;.mp4": "dev", "heard.mp4": "train"}


@pytest.fixture
def workspace(tmp_path):
    rows = [
        clip(f"id-{uri}", uri, start, split=SPLITS.get(uri, "train"), **(FAKE if truth["fake"] and start == 0 else {}))
        for uri, truth in TRUTHS.items()
        for start in (0, 25)
    ]
    opened = tables_only(tmp_path, {uri: {} for uri in TRUTHS}, rows)
    add_truth(opened.root, TRUTHS)
    return opened


def read_back(folder: Path, name: str):
    """By the uri in the archive: what the adapter says of the file it was exported as."""
    uris = [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file()]
    (found,) = [f for f in datasets.detect(uris) if f.name == name]
    reading = datasets.read(name, found.root, uris, lambda uri: (folder / uri).open("rb"))
    called = {}
    for line in (folder / "files.csv").read_text(encoding="utf-8").splitlines()[1:]:
        file, uri, *_ = line.split(",")
        called[file] = uri
    return {called[truth.uri]: truth for truth in reading.rows()}, reading.mismatches, called


@pytest.mark.parametrize("form", ["lavdf", "avdeepfake1m"])
def test_our_own_reader_finds_the_same_truth(workspace, tmp_path, form):
    out = tmp_path / "out"
    assert export(workspace, "made", form, out, "copy").counts["entries"] == 5
    found, mismatches, called = read_back(out, form)
    assert {m.what.partition(": ")[2] for m in mismatches} <= {"row 0: a fake without original", "row 1: a fake without original"}
    assert found.keys() == TRUTHS.keys()
    for uri, wanted in TRUTHS.items():
        truth = found[uri]
        assert (truth.fake, truth.audio_fake, truth.visual_fake) == (wanted["fake"], wanted["audio_fake"], wanted["visual_fake"]), uri
        assert [list(span) for span in truth.spans or ()] == wanted["spans"], uri
        assert truth.split == SPLITS.get(uri, "train")
        source = wanted.get("source")
        assert truth.source is None if source not in TRUTHS else called[truth.source] == source
    for file, uri in called.items():
        assert (out / file).read_text(encoding="utf-8") == uri  # a made video holds its name
        assert file.isascii() and " " not in file


def test_the_keys_are_those_of_the_releases(workspace, tmp_path):
    export(workspace, "made", "lavdf", tmp_path / "a")
    (row, *_) = json.loads((tmp_path / "a" / "metadata.min.json").read_text(encoding="utf-8"))
    assert list(row) == [
        "file", "n_fakes", "fake_periods", "duration", "original", "modify_video", "modify_audio", "split", "video_frames",
        "audio_channels", "audio_frames",
    ]  # fmt: skip
    assert row["file"] == "both.mp4" and row["audio_frames"] == 48_000
    export(workspace, "made", "avdeepfake1m", tmp_path / "b")
    (row, *_) = json.loads((tmp_path / "b" / "train_metadata.json").read_text(encoding="utf-8"))
    assert list(row) == [
        "file", "original", "split", "modify_type", "audio_model", "fake_segments", "audio_fake_segments", "visual_fake_segments",
        "video_frames", "audio_frames",
    ]  # fmt: skip


def test_clip_lists_have_five_columns_and_starts_on_the_grid(workspace, tmp_path):
    export(workspace, "made", "fauforensics", tmp_path / "out", "link")
    lines = [line.split() for line in (tmp_path / "out" / "labels_end" / "train.csv").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 8
    for path, total, video, audio, start in lines:
        assert (tmp_path / "out" / "made" / "video_face" / path).is_file()
        assert {total, video, audio} <= {"0", "1"} and total == video and float(start) in (0.0, 1.0)
    assert [line[4] for line in lines if line[1] == "1"] == ["0.000"] * 3
    assert len((tmp_path / "out" / "labels_end" / "val.csv").read_text(encoding="utf-8").splitlines()) == 2


def test_a_path_with_white_space_is_missing_from_a_clip_list(workspace, tmp_path):
    out = export(workspace, "made", "fauforensics", tmp_path / "out")
    assert out.counts["missing"] == 2 and out.counts["clips"] == 8
    assert "its path has white space" in (tmp_path / "out" / "missing.csv").read_text(encoding="utf-8")


def test_a_link_leads_to_the_archives_file(workspace, tmp_path):
    export(workspace, "made", "lavdf", tmp_path / "out", "link")
    links = [p for p in (tmp_path / "out").rglob("*.mp4") if p.is_symlink()]
    assert len(links) == 5 and all(p.resolve().is_relative_to(tmp_path / "archive") for p in links)
