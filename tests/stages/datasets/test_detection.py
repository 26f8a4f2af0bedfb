from __future__ import annotations

import pytest

from schemas.errors import TruthError
from stages.datasets import Found, detect, read, share
from stages.datasets.detection import adapter_of
from tests.stages.datasets.miniatures import ALL, archive_of_all, generic, kodf, lavdf, opener, read_all


@pytest.mark.parametrize("name", ALL)
def test_each_dataset_is_known_by_its_layout_wherever_it_lies(name: str) -> None:
    for root in ("", "a/b c/(d)/"):
        assert detect(list(ALL[name](root=root))) == [Found(name, root)]


def test_datasets_side_by_side_are_all_found_and_don_t_touch_each_other() -> None:
    archive = archive_of_all()
    found = detect(list(archive))
    assert sorted(f.name for f in found) == sorted(ALL)
    alone = {root: reading for make in ALL.values() for root, reading in read_all(make()).items()}
    for root, reading in read_all(archive).items():
        assert list(reading.rows()) == list(alone[root].rows())
        assert reading.mismatches == alone[root].mismatches


def test_a_folder_of_videos_is_no_dataset() -> None:
    assert detect(["a.mp4", "b/real.mp4", "train/x.mp4", "metadata.csv", "frames/RealVideo-RealAudio/African/men/id1/1.mp4"]) == []
    assert detect([]) == []


def test_a_person_s_own_word_goes_before_the_layout() -> None:
    archive = {**lavdf(root="x/"), "x/truth.csv": b"uri,fake\n"}
    assert detect(list(archive)) == [Found("generic", "x/")]
    assert detect(list(archive), "lavdf") == [Found("lavdf", "x/")]


def test_a_dataset_inside_another_s_folder_keeps_its_files() -> None:
    archive = generic(root="") | kodf(root="more/KoDF/")
    found = detect(list(archive))
    assert found == [Found("generic", ""), Found("kodf", "more/KoDF/")]
    assert set(share(found[0], found, archive.keys())) == set(generic(root=""))
    assert set(share(found[1], found, archive.keys())) == set(archive)
    assert [reading.counts for reading in read_all(archive).values()] == [{}, {}]


def test_a_name_that_is_forced_must_fit_the_archive() -> None:
    with pytest.raises(TruthError, match=r"^archive: nothing in it is laid out like kodf; original_videos/<actor>"):
        detect(["a.mp4"], "kodf")
    with pytest.raises(TruthError, match=r"^dataset 'lav-df' is not known; use one of avdeepfake1m, .*lavdf"):
        detect(["a.mp4"], "lav-df")
    with pytest.raises(TruthError, match=r"^dataset 'x' is not known"):
        read("x", "", [], opener({}))


def test_names_with_line_ends_and_other_letters_are_found() -> None:
    root = "line\nbreak/ü/"
    assert detect(list(kodf(root=root))) == [Found("kodf", root)]


@pytest.mark.parametrize("name", ALL)
def test_every_layout_is_one_line(name: str) -> None:
    layout = adapter_of(name).layout
    assert layout and "\n" not in layout
