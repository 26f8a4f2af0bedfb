from __future__ import annotations

from collections.abc import Callable

import pytest

from schemas.errors import TruthError
from stages.datasets import Found, Options, Truth, read
from tests.stages.datasets.miniatures import FAKEAVCELEB_HEADER, by_uri, fakeavceleb, only, opener, whats

ROOT = "FakeAVCeleb_v1.2/"
TABLE = f"{ROOT}meta_data.csv"
AFRICAN, EAST, EUROPEAN = "African/men/id00076", "Asian (East)/men/id06776", "Caucasian (European)/women/id05479"


def clip(path: str, streams: str, methods: tuple[str, ...], source: str | None, note: str | None = None) -> Truth:
    return Truth(
        uri=ROOT + path,
        dataset="fakeavceleb",
        fake=bool(streams),
        audio_fake="a" in streams,
        visual_fake="v" in streams,
        methods=methods,
        source=source and f"{ROOT}RealVideo-RealAudio/{source}",
        identities=(f"fakeavceleb:{path.split('/')[-2]}",),
        note=note,
    )


EXPECTED = [
    clip(f"RealVideo-RealAudio/{AFRICAN}/00109.mp4", "", (), None),
    clip(f"RealVideo-FakeAudio/{AFRICAN}/00109_fake.mp4", "a", ("rtvc",), f"{AFRICAN}/00109.mp4"),
    clip(f"FakeVideo-RealAudio/{AFRICAN}/00109_10_id00476_wavtolip.mp4", "v", ("wav2lip",), f"{AFRICAN}/00109.mp4"),
    clip(
        f"FakeVideo-FakeAudio/{AFRICAN}/00109_2_id00701_wavtolip.mp4", "av", ("faceswap-wav2lip", "wav2lip"), f"{AFRICAN}/00109.mp4",
        "listed 2 times",
    ),
    clip(f"RealVideo-RealAudio/{EAST}/00021.mp4", "", (), None),
    clip(f"RealVideo-FakeAudio/{EAST}/00021.mp4", "a", ("rtvc",), f"{EAST}/00021.mp4"),
    clip(f"FakeVideo-RealAudio/{EAST}/00021.mp4", "v", ("faceswap",), f"{EAST}/00021.mp4"),
    clip(f"FakeVideo-RealAudio/{EAST}/00021_id00076_zVq_s1k.mp4", "v", ("fsgan",), f"{EAST}/00021.mp4"),
    clip(f"FakeVideo-FakeAudio/{EAST}/00021_id1_wavtolip.mp4", "av", ("wav2lip",), f"{EAST}/00021.mp4"),
    clip(f"RealVideo-RealAudio/{EUROPEAN}/05479.mp4", "", (), None),
    clip(f"FakeVideo-FakeAudio/{EUROPEAN}/00311_N_id05479_wavtolip.mp4", "av", ("fsgan-wav2lip",), f"{EUROPEAN}/05479.mp4"),
]  # fmt: skip


def with_table(change: Callable[[str], str | bytes]) -> dict[str, bytes]:
    archive = fakeavceleb()
    changed = change(archive[TABLE].decode())
    return archive | {TABLE: changed if isinstance(changed, bytes) else changed.encode()}


def test_every_row_as_released() -> None:
    found, reading = only(fakeavceleb())
    assert found == Found("fakeavceleb", ROOT)
    assert list(reading.rows()) == sorted(EXPECTED, key=lambda truth: truth.uri)


def test_a_file_that_is_listed_twice_is_one_video_and_says_so() -> None:
    _, reading = only(fakeavceleb())
    assert reading.counts == {"repaired": 1}
    ((uri, what),) = whats(reading, "repaired")
    assert uri == EXPECTED[3].uri
    assert what.startswith(f"{TABLE}: line 5: ") and what.endswith("is there 2 times, as faceswap-wav2lip and wav2lip; it is one video")


def test_the_released_header_has_a_tenth_column_without_a_name() -> None:
    header = fakeavceleb()[TABLE].decode().splitlines()[0]
    assert header == FAKEAVCELEB_HEADER
    assert header.split(",") == ["source", "target1", "target2", "method", "category", "type", "race", "gender", "path", ""]


def _mrdf(text: str) -> str:
    """The copy of MRDF: `path` is the folder, and there is a split."""
    head, *rows = text.splitlines()
    assert head == FAKEAVCELEB_HEADER
    return "\n".join(["source,target1,target2,method,category,type,race,gender,vid,path,split", *(f"{row},train" for row in rows)])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("gender,path,", "gender,filename,path").replace("FakeAVCeleb/", ROOT).replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: "\n".join(line + "," for line in text.splitlines()),
        lambda text: text.replace(FAKEAVCELEB_HEADER, FAKEAVCELEB_HEADER + ",", 1),
    ],
    ids=["CRLF and filename,path", "byte-order mark", "an empty cell more", "an empty cell more in the header only"],
)
def test_copies_with_another_table_say_the_same(change: Callable[[str], str]) -> None:
    _, reading = only(with_table(change))
    assert list(reading.rows()) == sorted(EXPECTED, key=lambda truth: truth.uri)


def test_mrdf_calls_the_folder_path_and_adds_a_split() -> None:
    _, reading = only(with_table(_mrdf))
    assert {truth.split for truth in reading.rows()} == {"train"}
    assert by_uri(reading)[EXPECTED[6].uri].methods == ("faceswap",)
    assert reading.counts == {"repaired": 1}


@pytest.mark.parametrize(("before", "after"), [(" (", "-"), (" (", "(")], ids=["Asian-East", "Asian(East)"])
def test_copies_with_other_names_of_races_are_the_same_videos(before: str, after: str) -> None:
    archive = {uri.replace(before, after).replace(")" if after == "-" else "\0", ""): data for uri, data in fakeavceleb().items()}
    _, reading = only(archive)
    truths = by_uri(reading)
    assert reading.counts == {"repaired": 1}
    name = "Asian-East" if after == "-" else "Asian(East)"
    truth = truths[f"{ROOT}FakeVideo-RealAudio/{name}/men/id06776/00021.mp4"]
    assert truth.methods == ("faceswap",)
    assert truth.source == f"{ROOT}RealVideo-RealAudio/{name}/men/id06776/00021.mp4"


def test_a_folder_in_a_folder_with_the_table_in_either() -> None:
    for table in (TABLE, f"{ROOT}{TABLE}"):
        archive = {(table if uri == TABLE else ROOT + uri): data for uri, data in fakeavceleb().items()}
        found, reading = only(archive)
        assert found.root == ROOT + ROOT
        assert reading.counts == {"repaired": 1} and reading.truths.height == 11


def test_the_tree_of_extracted_pictures_is_ignored() -> None:
    frames = {uri.replace(ROOT, f"{ROOT}frames/"): data for uri, data in fakeavceleb().items() if uri.endswith(".mp4")}
    found, reading = only(fakeavceleb() | frames)
    assert found.root == ROOT
    assert list(reading.rows()) == sorted(EXPECTED, key=lambda truth: truth.uri)


def test_missing_and_extra_files_are_named() -> None:
    archive = fakeavceleb()
    del archive[EXPECTED[1].uri]
    extra = f"{ROOT}RealVideo-RealAudio/{AFRICAN}/00110.mp4"
    archive |= {extra: b"", f"{ROOT}stray.mp4": b""}
    _, reading = only(archive)
    assert [uri for uri, _ in whats(reading, "missing")] == [EXPECTED[1].uri]
    assert [uri for uri, _ in whats(reading, "extra")] == [extra, f"{ROOT}stray.mp4"]
    # Its folder says all but the method.
    assert by_uri(reading)[extra].fake is False and by_uri(reading)[extra].note == "not in meta_data.csv; read from its folder"
    assert f"{ROOT}stray.mp4" not in by_uri(reading)


def test_without_the_table_folders_say_all_but_the_method() -> None:
    archive = fakeavceleb()
    del archive[TABLE]
    _, reading = only(archive)
    assert [(t.uri, t.fake, t.audio_fake, t.visual_fake, t.source) for t in reading.rows()] == [
        (t.uri, t.fake, t.audio_fake, t.visual_fake, t.source) for t in sorted(EXPECTED, key=lambda t: t.uri)
    ]
    assert {t.methods for t in reading.rows()} == {()}
    assert whats(reading, "missing")[0][0] == TABLE


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (("rtvc,B,RealVideo-FakeAudio,African", "rtvc,C,RealVideo-FakeAudio,African"), "category is 'C' and type 'RealVideo-FakeAudio'"),
        (("id00476,-,rtvc", "id00476,-,sv2tts"), "method is 'sv2tts'; use one of faceswap,"),
        (("African,men,00109_fake.mp4", "African,men,../00109_fake.mp4"), "has a '/'"),
        (("African,men,00109_fake.mp4", "African,..,00109_fake.mp4"), "leads out of the folder"),
        (("id00476,-,rtvc,B", "id00476,-,real,B"), "method is 'real' in category B; only A is real"),
        (("00109_fake.mp4,FakeAVCeleb/RealVideo-FakeAudio", "00109_fake.mp4,FakeAVCeleb/RealVideo-RealAudio"), "it must end in type, race"),
        (("00109_fake.mp4,", "00109_fake.mp4"), "has 9 cells; 10 would be right"),
        (("00109_fake.mp4", "\0"), "leads out of the folder"),
    ],
)
def test_a_wrong_row_is_named_and_the_others_hold(change: tuple[str, str], what: str) -> None:
    _, reading = only(with_table(lambda text: text.replace(*change, 1)))
    assert reading.counts["row"] == 1
    ((uri, found),) = whats(reading, "row")
    assert uri == TABLE and found.startswith(f"{TABLE}: line 3: ") and what in found
    assert by_uri(reading)[EXPECTED[1].uri].methods == ()
    assert by_uri(reading)[EXPECTED[2].uri] == EXPECTED[2]


def test_a_table_with_a_conflict_of_git_in_it_is_read_around_it() -> None:
    # As found in a public copy: both sides of a merge, and the marks.
    _, reading = only(with_table(lambda text: f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> other\n"))
    assert [truth.methods for truth in reading.rows()] == [t.methods for t in sorted(EXPECTED, key=lambda t: t.uri)]
    assert reading.counts == {"repaired": 11, "row": 2}


def test_another_table_is_refused() -> None:
    with pytest.raises(TruthError, match=r"meta_data.csv: no header of FakeAVCeleb; its first column must be 'source'"):
        only(with_table(lambda _: "a,b\n1,2\n"))
    with pytest.raises(TruthError, match=r"meta_data.csv: the header is"):
        only(with_table(lambda text: text.replace("category,type", "type,category")))


def test_a_table_of_another_name() -> None:
    archive = {("tables/mine.csv" if uri == TABLE else uri): data for uri, data in fakeavceleb().items()}
    reading = read("fakeavceleb", ROOT, archive.keys(), opener(archive), Options(metadata="tables/mine.csv"))
    assert list(reading.rows()) == sorted(EXPECTED, key=lambda truth: truth.uri)
