from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stages.datasets import Found, Reading, Truth, detect, read
from tests.stages.datasets.miniatures import as_json, av1m_row, avdeepfake1m, avdeepfake1mpp, by_uri, only, opener, whats

ROOT, ROOT_PP = "AV-Deepfake1M/", "AV-Deepfake1M-PlusPlus/"
CLIP = "id06744/_c3CCbnZEbU/00011"
SPANS = ((1.0, 1.5),)
REPAIR = "visual_fake_segments has 1 in a stream that was not altered; left out"
UNLABELLED = "labels are not published"


def clip(file: str, audio: tuple[Any, ...] = (), visual: tuple[Any, ...] = (), folder: str = "train/", **more: Any) -> Truth:
    facts = {
        "uri": ROOT + folder + file,
        "dataset": "avdeepfake1m",
        "fake": bool(audio or visual),
        "audio_fake": bool(audio),
        "visual_fake": bool(visual),
        "spans": tuple(sorted({*audio, *visual})),
        "audio_spans": audio,
        "visual_spans": visual,
        "source": f"{ROOT}{folder}{file.rpartition('/')[0]}/real.mp4" if audio or visual else None,
        "identities": (f"avdeepfake1m:{file.split('/', maxsplit=1)[0]}",),
        "split": "train",
    }
    return Truth(**facts | more)  # type: ignore[arg-type]


def expected(train: str = "train/", val: str = "val/") -> list[Truth]:
    rows = [
        clip(f"{CLIP}/real.mp4", folder=train),
        clip(f"{CLIP}/real_video_fake_audio.mp4", (*SPANS, (2.0, 2.2)), (), train, methods=("vits",), note=REPAIR),
        clip(f"{CLIP}/fake_video_real_audio.mp4", (), SPANS, train),
        clip(f"{CLIP}/fake_video_fake_audio.mp4", ((1.0, 1.4),), SPANS, train, methods=("vits",), spans=SPANS),
        clip("id00012/abc/00001/real.mp4", folder=val, split="dev"),
        Truth(f"{ROOT}test/000001.mp4", "avdeepfake1m", split="test", note=UNLABELLED),
    ]
    return sorted(rows, key=lambda truth: truth.uri)


@pytest.mark.parametrize("per_video", [False, True], ids=["lists", "a JSON file for each video"])
def test_every_row_as_released(per_video: bool) -> None:
    found, reading = only(avdeepfake1m(per_video=per_video))
    assert found == Found("avdeepfake1m", ROOT)
    assert list(reading.rows()) == expected()
    assert reading.counts == {"missing": 1, "repaired": 1}
    assert whats(reading, "missing")[0][0] == f"{ROOT}test/000002.mp4"


def test_videos_may_lie_in_data_as_for_the_authors_other_readers() -> None:
    found, reading = only(avdeepfake1m(folder="data"))
    assert found.root == ROOT
    assert list(reading.rows()) == expected("data/", "data/")


def test_a_segment_in_the_stream_that_was_not_altered_is_left_out_and_counted() -> None:
    _, reading = only(avdeepfake1m())
    uri = f"{ROOT}train/{CLIP}/real_video_fake_audio.mp4"
    assert whats(reading, "repaired") == [(uri, f"{ROOT}train_metadata.json: row 1: {REPAIR}")]
    truth = by_uri(reading)[uri]
    assert truth.visual_spans == () and truth.visual_fake is False
    assert truth.spans == truth.audio_spans == ((1.0, 1.5), (2.0, 2.2))


def one(row: dict[str, Any], name: str = "avdeepfake1m") -> Reading:
    archive = {"train_metadata.json": as_json([row])} | ({f"train/{row['file']}": b""} if isinstance(row["file"], str) else {})
    return read(name, "", archive.keys(), opener(archive))


def test_both_modified_means_both() -> None:
    # The authors' own loader looks for `both-modified` and calls these real.
    (truth,) = one(av1m_row(f"{CLIP}/fake_video_fake_audio.mp4", "both_modified", [[1.0, 1.5]])).rows()
    assert truth.audio_fake and truth.visual_fake


def test_a_span_of_no_length_is_kept_and_covers_no_frame() -> None:
    (truth,) = one(av1m_row(f"{CLIP}/fake_video_real_audio.mp4", "visual_modified", [[1.0, 1.0]])).rows()
    assert truth.fake and truth.spans == ((1.0, 1.0),)


@pytest.mark.parametrize(
    ("kind", "audio", "visual"), [("audio_modified", SPANS, ()), ("visual_modified", (), SPANS), ("both_modified", None, None)]
)
def test_lists_of_the_streams_that_are_not_there_follow_from_the_kind(kind: str, audio: Any, visual: Any) -> None:
    row = av1m_row(f"{CLIP}/fake.mp4", kind, [[1.0, 1.5]])
    del row["audio_fake_segments"], row["visual_fake_segments"]
    (truth,) = one(row).rows()
    assert (truth.spans, truth.audio_spans, truth.visual_spans) == (SPANS, audio, visual)


@pytest.mark.parametrize(("kind", "spans"), [("real", [[1.0, 1.5]]), ("audio_modified", [])])
def test_kind_and_spans_that_exclude_each_other_leave_nothing_known(kind: str, spans: list[list[float]]) -> None:
    reading = one(av1m_row(f"{CLIP}/x.mp4", kind, spans))
    (truth,) = reading.rows()
    assert (truth.fake, truth.audio_fake, truth.visual_fake, truth.spans) == (None,) * 4
    assert "neither is believed" in whats(reading, "contradiction")[0][1]


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (
            {"modify_type": "both-modified"},
            "modify_type is 'both-modified'; use one of real, visual_modified, audio_modified, both_modified",
        ),
        ({"fake_segments": [[1.5, 1.0]]}, "fake_segments: span [1.5, 1.0] must have 0 <= start <= end"),
        ({"fake_segments": None}, "fake_segments is None; give a list"),
        ({"file": None}, "file is None; give the path of a video"),
        ({"file": "speaker/a/b/real.mp4"}, "begins with no id of VoxCeleb2"),
        ({"audio_frames": "many"}, "audio_frames is 'many'; a whole number from 0 would be right"),
        ({"audio_model": 7}, "audio_model is 7; a short text on one line would be right"),
        ({"split": "dev2"}, "split is 'dev2'; use one of train,"),
    ],
)
def test_a_wrong_row_is_named(more: dict[str, Any], what: str) -> None:
    reading = one(av1m_row(f"{CLIP}/real_video_fake_audio.mp4", "audio_modified", [[1.0, 1.5]]) | more)
    assert reading.truths.is_empty()
    ((uri, found),) = whats(reading, "row")
    assert uri == "train_metadata.json" and found.startswith("train_metadata.json: row 0: ") and what in found


def test_a_row_of_another_split_is_noted() -> None:
    (truth,) = one(av1m_row(f"{CLIP}/real.mp4", "real", split="val")).rows()
    assert (truth.split, truth.note) == ("dev", "split is dev, but it stands in the list of train")


def test_a_json_file_of_one_video_that_is_damaged_costs_that_video() -> None:
    archive = avdeepfake1m(per_video=True)
    damaged = f"{ROOT}train_metadata/{CLIP}/fake_video_real_audio.json"
    _, reading = only(archive | {damaged: archive[damaged][:40]})
    gone = f"{ROOT}train/{CLIP}/fake_video_real_audio.mp4"
    assert list(reading.rows()) == [truth for truth in expected() if truth.uri != gone]
    assert whats(reading, "row")[0][0] == damaged
    assert [uri for uri, _ in whats(reading, "extra")] == [gone]


@pytest.mark.parametrize("per_video", [False, True], ids=["lists", "a JSON file beside each video"])
def test_every_row_of_plusplus(per_video: bool) -> None:
    found, reading = only(avdeepfake1mpp(per_video=per_video))
    assert found == Found("avdeepfake1mpp", ROOT_PP)
    vox, lrs, silent = "vox_celeb_2/id01358/_1nATum8x78/00030", "lrs3/0Fi83BHQsMA/00002", "silent_videos/subject_7_ab12_vid_3_1"
    val = f"{ROOT_PP}val/"

    def part(file: str, audio: tuple[Any, ...] = (), visual: tuple[Any, ...] = (), source: str | None = None, **more: Any) -> Truth:
        person = "/".join(file.split("/")[:2]) if not file.startswith("silent") else "silent_videos/subject_7"
        facts = {"uri": val + file, "dataset": "avdeepfake1mpp", "identities": (f"avdeepfake1mpp:{person}",), "split": "dev"}
        return replace(clip(file, audio, visual), source=source and val + source, **facts | more)

    cut, whole = ((0.5, 0.9),), ((0.0, 1.0),)
    no_sound = {"audio_fake": None, "audio_spans": None}
    rows = [
        part(f"{vox}/real.mp4"),  # its original is a file of VoxCeleb2
        part(f"{vox}/real_p1.mp4", source=f"{vox}/real.mp4"),  # a part of a real one
        part(f"{vox}/fake_video_fake_audio.mp4", cut, cut, f"{vox}/real.mp4", methods=("Talklip", "yourtts")),
        part(f"{lrs}/fake_video_real_audio.mp4", (), cut, f"{lrs}/real.mp4", methods=("diff2lip",)),
        part(f"{silent}/real.mp4", **no_sound),
        part(f"{silent}/fake_video_real_audio.mp4", (), whole, f"{silent}/real.mp4", methods=("Talklip",), **no_sound),
        Truth(f"{ROOT_PP}testA/000001.mp4", "avdeepfake1mpp", split="test", note=UNLABELLED),
        Truth(f"{ROOT_PP}testB/000002.mp4", "avdeepfake1mpp", split="test", note=UNLABELLED),
    ]
    assert list(reading.rows()) == sorted(rows, key=lambda truth: truth.uri)
    assert reading.counts == {}
    told = dict(reading.expected.select("uri", "has_audio").iter_rows())
    assert told[f"{val}{silent}/real.mp4"] is False and told[f"{val}{vox}/real.mp4"] is True


def test_corpora_of_plusplus_may_lie_beside_the_list() -> None:
    archive = {uri.replace(f"{ROOT_PP}val/", ROOT_PP): data for uri, data in avdeepfake1mpp().items()}
    found, reading = only(archive)
    assert found == Found("avdeepfake1mpp", ROOT_PP)
    assert reading.truths.height == 8 and reading.counts == {}
    assert detect(["lrs3/a/00001.mp4", "x/vox_celeb_2/id00001/a/00001.mp4"]) == []


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"video_model": "wav2lip"}, "video_model is 'wav2lip' where modify_type is audio_modified; known are real with None,"),
        ({"file": "avspeech/a/b/real.mp4"}, "is of an unknown corpus; use one of lrs3, silent_videos, vox_celeb_2"),
    ],
)
def test_what_nobody_has_looked_at_yet_is_refused_row_by_row(more: dict[str, Any], what: str) -> None:
    row = av1m_row("lrs3/a/b/real_video_fake_audio.mp4", "audio_modified", [[1.0, 1.5]], video_model=None) | more
    assert what in whats(one(row, "avdeepfake1mpp"), "row")[0][1]


def test_a_voice_that_was_altered_in_a_silent_video_is_a_contradiction() -> None:
    reading = one(av1m_row(f"{CLIP}/x.mp4", "audio_modified", [[1.0, 1.5]], audio_frames=0))
    assert whats(reading, "contradiction")[0][1].endswith("modify_type is audio_modified, but audio_frames is 0")
