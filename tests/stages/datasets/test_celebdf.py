from __future__ import annotations

import pytest

from schemas.truth import Split
from stages.datasets import Found, Truth
from tests.stages.datasets.miniatures import by_uri, celebdf, only, whats

ROOT = "Celeb-DF-v2/"
LIST = f"{ROOT}List_of_testing_videos.txt"


def real(path: str, person: str, split: Split | None = None) -> Truth:
    return Truth(ROOT + path, "celebdf", fake=False, visual_fake=False, identities=(f"celebdf:{person}",), split=split)


def fake(name: str, source: str, split: Split | None = None) -> Truth:
    return Truth(
        f"{ROOT}Celeb-synthesis/{name}",
        "celebdf",
        fake=True,
        visual_fake=True,
        methods=("Celeb-synthesis",),
        source=f"{ROOT}Celeb-real/{source}",
        identities=("celebdf:id0", "celebdf:id1"),
        split=split,
    )


EXPECTED = [
    real("Celeb-real/id0_0001.mp4", "id0"),
    real("Celeb-real/id1_0007.mp4", "id1", "test"),
    fake("id0_id1_0001.mp4", "id0_0001.mp4"),
    fake("id1_id0_0007.mp4", "id1_0007.mp4", "test"),
    real("YouTube-real/00170.mp4", "youtube 00170", "test"),
    real("YouTube-real/00171.mp4", "youtube 00171"),
]


def test_every_row_as_released_and_one_means_real() -> None:
    found, reading = only(celebdf())
    assert found == Found("celebdf", ROOT)
    assert list(reading.rows()) == EXPECTED
    assert reading.counts == {}


def test_a_list_with_the_other_polarity_does_not_turn_the_truth() -> None:
    archive = celebdf()
    archive[LIST] = archive[LIST].replace(b"1 Y", b"# Y").replace(b"0 C", b"1 C").replace(b"# Y", b"0 Y")
    _, reading = only(archive)
    assert [(t.uri, t.fake) for t in reading.rows()] == [(t.uri, t.fake) for t in EXPECTED]
    fake_uri, real_uri = f"{ROOT}Celeb-synthesis/id1_id0_0007.mp4", f"{ROOT}YouTube-real/00170.mp4"
    assert [uri for uri, _ in whats(reading, "contradiction")] == [fake_uri, real_uri]
    assert by_uri(reading)[fake_uri].note == "List_of_testing_videos.txt says 1, which is real; the folder is believed"
    assert by_uri(reading)[real_uri].note == "List_of_testing_videos.txt says 0, which is fake; the folder is believed"


def test_missing_and_extra_files_are_named() -> None:
    archive = celebdf()
    del archive[f"{ROOT}Celeb-real/id1_0007.mp4"]
    extra = {f"{ROOT}Celeb-synthesis/id1_0007.mp4": b"", f"{ROOT}more/id1_0007.mp4": b""}
    _, reading = only(archive | extra)
    assert whats(reading, "missing") == [
        (f"{ROOT}Celeb-real/id1_0007.mp4", f"{LIST}: 'Celeb-DF-v2/Celeb-real/id1_0007.mp4' is not in the archive")
    ]
    assert [uri for uri, _ in whats(reading, "extra")] == sorted(extra)


def test_without_the_list_nothing_is_for_testing() -> None:
    archive = celebdf()
    del archive[LIST]
    _, reading = only(archive)
    assert {truth.split for truth in reading.rows()} == {None}
    assert whats(reading, "missing")[0][0] == LIST


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"real YouTube-real/00170.mp4", "is 'real YouTube-real/00170.mp4'; 1 (real) or 0 (fake)"),
        (b"1", "the path is ''; give the path of a video"),
        (b"0 ../../etc/passwd", "leads out of the folder"),
        (b"\xff\xfe", "1 (real) or 0 (fake), a space and the path would be right"),
    ],
)
def test_a_wrong_line_is_named(line: bytes, what: str) -> None:
    _, reading = only(celebdf() | {LIST: line + b"\r\n\r\n1 YouTube-real/00170.mp4\r\n"})
    ((uri, found),) = whats(reading, "row")
    assert uri == LIST and found.startswith(f"{LIST}: line 1: ") and what in found
    assert by_uri(reading)[f"{ROOT}YouTube-real/00170.mp4"].split == "test"
