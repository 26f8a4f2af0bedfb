from __future__ import annotations

from stages.datasets import Found, Truth
from tests.stages.datasets.miniatures import forge, only

ROOT, CONTROL = "forged/", "forged/train/000002.mp4"
VOICE, FACE = ((0.2, 0.6),), ((0.24, 0.6),)


def test_every_row_as_forged() -> None:
    found, reading = only(forge())
    assert found == Found("forge", ROOT)
    nothing: dict[str, tuple[()]] = {"spans": (), "audio_spans": (), "visual_spans": ()}
    assert list(reading.rows()) == [
        # A silent clip has no sound that could be real.
        Truth(f"{ROOT}test/000001.mp4", "forge", False, None, False, (), None, (), identities=("forge:dan",), split="test"),
        Truth(
            f"{ROOT}train/000000.mp4", "forge", True, True, False, VOICE, VOICE, (),
            ("audio_swap",), CONTROL, ("forge:ann", "forge:bob"), "train",
        ),
        Truth(CONTROL, "forge", False, False, False, **nothing, identities=("forge:ann",), split="train"),
        Truth(
            f"{ROOT}train/000003.mp4", "forge", True, True, True, (*VOICE, *FACE), VOICE, FACE,
            ("both",), CONTROL, ("forge:ann", "forge:cleo"), "train",
        ),
    ]  # fmt: skip
    assert reading.counts == {}
    assert dict(reading.expected.select("uri", "has_audio").iter_rows())[f"{ROOT}test/000001.mp4"] is False


def test_without_its_plan_it_is_lav_df_s_layout() -> None:
    archive = forge()
    del archive[f"{ROOT}plan.json"]
    found, reading = only(archive)
    assert found.name == "lavdf"
    assert [truth.methods for truth in reading.rows()] == [(), ("audio_swap",), (), ("both",)]
