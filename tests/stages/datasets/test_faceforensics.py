from __future__ import annotations

import pytest

from schemas.errors import TruthError
from schemas.truth import Split
from stages.datasets import Found, Truth
from tests.stages.datasets.miniatures import as_json, by_uri, faceforensics, only, whats

ROOT = "FaceForensics++/"


def real(path: str, person: str, split: Split | None) -> Truth:
    uri = f"{ROOT}original_sequences/{path}"
    return Truth(uri, "faceforensics", fake=False, visual_fake=False, identities=(f"faceforensics:{person}",), split=split)


def fake(path: str, source: str, people: tuple[str, str], split: Split | None) -> Truth:
    return Truth(
        f"{ROOT}manipulated_sequences/{path}",
        "faceforensics",
        fake=True,
        visual_fake=True,
        methods=(path.split("/", maxsplit=1)[0],),
        source=f"{ROOT}original_sequences/{source}",
        identities=tuple(f"faceforensics:{person}" for person in people),
        split=split,
    )


EXPECTED = [
    fake(
        "DeepFakeDetection/c40/videos/01_02__walk_down_hall_angry__YVGY8LOK.mp4",
        "actors/c40/videos/01__walk_down_hall_angry.mp4", ("actor 01", "actor 02"), None,
    ),
    fake("Deepfakes/raw/videos/953_974.mp4", "youtube/raw/videos/953.mp4", ("953", "974"), "test"),
    fake("Face2Face/c40/videos/974_953.mp4", "youtube/c40/videos/974.mp4", ("953", "974"), "test"),
    fake("FaceShifter/c23/videos/071_054.mp4", "youtube/c23/videos/071.mp4", ("054", "071"), "train"),
    fake("FaceSwap/c0/videos/720_672.mp4", "youtube/c0/videos/720.mp4", ("672", "720"), "dev"),
    fake("NeuralTextures/c23/videos/054_071.mp4", "youtube/c23/videos/054.mp4", ("054", "071"), "train"),
    real("actors/c40/videos/01__walk_down_hall_angry.mp4", "actor 01", None),
    real("youtube/c23/videos/071.mp4", "071", "train"),
    real("youtube/raw/videos/953.mp4", "953", "test"),
]  # fmt: skip


def test_every_row_as_released() -> None:
    found, reading = only(faceforensics())
    assert found == Found("faceforensics", ROOT)
    assert list(reading.rows()) == EXPECTED
    assert reading.counts == {}  # masks are neither fakes nor extra


def test_a_pair_is_of_its_split_in_both_orders_and_both_sequences_cross_none() -> None:
    truths = by_uri(only(faceforensics())[1])
    one, other = truths[EXPECTED[1].uri], truths[EXPECTED[2].uri]
    assert one.split == other.split == "test"
    assert one.identities == other.identities
    assert (one.source, other.source) == (EXPECTED[1].source, EXPECTED[2].source)  # the target, before the `_`


def test_names_without_a_rule_are_extra() -> None:
    names = [
        "manipulated_sequences/Deepfakes/c23/videos/953.mp4",
        "manipulated_sequences/NewMethod/c23/videos/953_974.mp4",
        "manipulated_sequences/DeepFakeDetection/c23/videos/01_02.mp4",
        "original_sequences/youtube/c23/videos/953_974.mp4",
        "original_sequences/actors/c23/videos/01.mp4",
        "downloads/953.mp4",
    ]
    _, reading = only(faceforensics() | {ROOT + name: b"" for name in names})
    assert [uri for uri, _ in whats(reading, "extra")] == sorted(ROOT + name for name in names)
    assert list(reading.rows()) == EXPECTED


def test_sequences_of_two_splits_leave_a_fake_without_one() -> None:
    name = f"{ROOT}manipulated_sequences/Deepfakes/c23/videos/953_071.mp4"
    _, reading = only(faceforensics() | {name: b""})
    assert by_uri(reading)[name].split is None
    assert whats(reading, "contradiction")[0][1].endswith("its sequences 953 and 071 are not of one split")


def test_lists_that_are_missing_or_wrong_are_named() -> None:
    archive = faceforensics() | {f"{ROOT}splits/val.json": as_json([["720", "672"], ["953", "001"], [7], "072", ["../1", "002"]])}
    del archive[f"{ROOT}splits/train.json"]
    _, reading = only(archive)
    assert whats(reading, "missing")[0][0] == f"{ROOT}splits/train.json"
    assert [what.split(": ")[1] for _, what in whats(reading, "row")] == ["row 2", "row 3", "row 4"]
    what = f"{ROOT}splits/test.json: row 0: 953 is in the list of dev too; that one holds"
    assert (f"{ROOT}splits/test.json", what) in whats(reading, "contradiction")
    assert by_uri(reading)[EXPECTED[7].uri].split is None


def test_a_list_that_is_no_list_is_one_line() -> None:
    with pytest.raises(TruthError, match=r"splits/val.json: must be a list"):
        only(faceforensics() | {f"{ROOT}splits/val.json": b"720 672"})
