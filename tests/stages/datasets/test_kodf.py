from __future__ import annotations

from stages.datasets import Found, Truth
from tests.stages.datasets.miniatures import by_uri, kodf, only, whats

ROOT, HEX = "KoDF/", "0a1b2c3d4e5f60718293"


def real(path: str, actor: str) -> Truth:
    return Truth(f"{ROOT}original_videos/{path}", "kodf", fake=False, audio_fake=False, visual_fake=False, identities=(f"kodf:{actor}",))


def fake(path: str, *actors: str) -> Truth:
    method = path.split("/", maxsplit=1)[0]
    people = tuple(f"kodf:{actor}" for actor in actors)
    return Truth(ROOT + path, "kodf", fake=True, visual_fake=True, methods=(method,), identities=people)


EXPECTED = [
    fake("audio-driven/20200820/169273/169273_103564_5_0680.mp4", "103564", "169273"),
    fake(f"dffs/20200821/103564/103564_{HEX}_2_0002.mp4", HEX, "103564"),
    fake(f"dfl/20200820/{HEX}/{HEX}_103564_1_0001.mp4", HEX, "103564"),
    fake(f"fo/20200821/103564/103564_{HEX}_4_0002.mp4", HEX, "103564"),
    fake(f"fsgan/20200821/103564/103564_{HEX}_3_0002.mp4", HEX, "103564"),
    real(f"{HEX}/{HEX}_001.mp4", HEX),
    real("103564/103564_002.mp4", "103564"),
]


def test_every_row_as_released() -> None:
    found, reading = only(kodf())
    assert found == Found("kodf", ROOT)
    assert list(reading.rows()) == sorted(EXPECTED, key=lambda truth: truth.uri)
    assert reading.counts == {}


def test_a_code_that_is_not_its_folder_is_noted() -> None:
    wrong, unknown = f"{ROOT}dfl/20200820/1/1_2_5_0001.mp4", f"{ROOT}dfl/20200820/1/1_2_9_0001.mp4"
    _, reading = only(kodf() | {wrong: b"", unknown: b""})
    assert by_uri(reading)[wrong].methods == ("dfl",)
    assert by_uri(reading)[wrong].note == "code 5 of its name is audio-driven, but its folder is dfl; the folder is believed"
    assert by_uri(reading)[unknown].note == "code 9 of its name is not known, but its folder is dfl; the folder is believed"
    assert [uri for uri, _ in whats(reading, "contradiction")] == [wrong, unknown]


def test_somebody_else_s_folder_is_noted_and_counts_as_a_person_too() -> None:
    names = f"{ROOT}original_videos/7/8_001.mp4", f"{ROOT}dfl/20200820/7/8_9_1_0001.mp4"
    _, reading = only(kodf() | dict.fromkeys(names, b""))
    assert by_uri(reading)[names[0]].identities == ("kodf:7", "kodf:8")
    assert by_uri(reading)[names[1]].identities == ("kodf:7", "kodf:8", "kodf:9")
    assert {by_uri(reading)[name].note for name in names} == {"lies in the folder of 7"}


def test_names_without_a_rule_are_extra() -> None:
    names = [f"{ROOT}dfl/20200820/1/1_2_0001.mp4", f"{ROOT}wav2lip/20200820/1/1_2_1_0001.mp4", f"{ROOT}original_videos/x/y.mp4"]
    _, reading = only(kodf() | dict.fromkeys(names, b""))
    assert [uri for uri, _ in whats(reading, "extra")] == sorted(names)
