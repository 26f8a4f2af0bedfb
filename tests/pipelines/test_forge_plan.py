from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pipelines.forge_plan import Take, generator, plan_takes
from pipelines.forge_sources import Source, matches, with_identities, with_splits
from schemas.recipe import AUDIO_KINDS, KINDS, VISUAL_KINDS, ForgeRecipe, KindWeights
from stages.forge.footage import Timing

CLIP = Source(
    uri="", content_id="", timing=Timing(0, 0, 3_000_000), has_audio=True, audio_rate_hz=44100, sound=(0.0, 3.0),
    face_runs=((0.0, 3.0),), face_px=130.0, width=360, height=288, heard_share=0.5,
)  # fmt: skip


BY_FOLDER = ForgeRecipe(identity="folder")


def _sources(people: dict[str, int], recipe: ForgeRecipe = BY_FOLDER) -> list[Source]:
    sources = [
        replace(CLIP, uri=f"{name}/{i:02d}.mp4", content_id=f"{name}{i}") for name, count in sorted(people.items()) for i in range(count)
    ]
    named = with_identities(sources, np.eye(len(sources), dtype=np.float32), None, recipe)
    return with_splits(named, recipe, generator(1, "splits"))


PEOPLE = {"anna": 30, "ben": 2, "carl": 1, "dora": 1, "emil": 3, "fred": 1, "gina": 1, "hans": 1}


def _forgeries(takes: list[Take]) -> list[tuple[Take, str]]:
    return [(take, forgery.kind) for take in takes for forgery in take.forgeries]


def test_the_same_seed_gives_the_same_plan_and_another_one_another() -> None:
    sources, recipe = _sources(PEOPLE), ForgeRecipe()
    assert plan_takes(sources, recipe, 1) == plan_takes(sources, recipe, 1)
    assert plan_takes(sources, recipe, 1) != plan_takes(sources, recipe, 2)


def test_no_person_is_in_two_splits_and_each_split_has_somebody() -> None:
    sources = _sources(PEOPLE)
    by_person = {(s.identity, s.split) for s in sources}
    assert len(by_person) == len(PEOPLE)
    assert {split for _, split in by_person} == {"train", "dev", "test"}
    assert ("anna", "train") in by_person
    for take in plan_takes(sources, ForgeRecipe(), 1):
        for forgery in take.forgeries:
            donors = [forgery.donor, forgery.donor_face.source if forgery.donor_face else None]
            assert all(d.split == take.source.split for d in donors if d is not None)


def test_two_people_make_train_and_test_and_one_makes_train() -> None:
    assert {s.split for s in _sources({"anna": 2, "ben": 1})} == {"train", "test"}
    assert {s.split for s in _sources({"anna": 2})} == {"train"}


def test_kinds_are_balanced_and_rare_people_get_more_takes() -> None:
    takes = plan_takes(_sources(PEOPLE), ForgeRecipe(), 3)
    kinds = Counter(kind for _, kind in _forgeries(takes))
    assert set(kinds) == set(KINDS)
    assert max(kinds.values()) <= 1.5 * min(kinds.values())
    people = Counter(take.source.identity for take, _ in _forgeries(takes))
    assert people["anna"] == 90 and all(people[name] >= 24 for name in PEOPLE)


def test_a_weight_of_zero_leaves_a_kind_out() -> None:
    recipe = ForgeRecipe(kinds=KindWeights(desync=0, face_swap=3))
    kinds = Counter(kind for _, kind in _forgeries(plan_takes(_sources(PEOPLE), recipe, 1)))
    assert "desync" not in kinds
    assert kinds["face_swap"] > 1.5 * kinds["self_blend"]


def test_a_swap_takes_from_somebody_else_and_a_replay_from_the_same() -> None:
    for take in plan_takes(_sources(PEOPLE), ForgeRecipe(), 1):
        for forgery in take.forgeries:
            if forgery.order.audio in {"audio_swap", "audio_replay"}:
                assert forgery.donor is not None
                assert (forgery.donor.identity == take.source.identity) == (forgery.order.audio == "audio_replay")
                assert not (forgery.order.whole and forgery.donor.uri == take.source.uri)
            if forgery.donor_face is not None:
                assert forgery.donor_face.source.identity != take.source.identity
            if forgery.kind == "both":
                assert forgery.order.visual in VISUAL_KINDS and forgery.order.audio in AUDIO_KINDS
                assert not forgery.order.whole or forgery.order.audio == "audio_resynthesis"


def test_desync_has_real_sound_from_end_to_end() -> None:
    found = 0
    for take in plan_takes(_sources(PEOPLE), ForgeRecipe(), 1):
        for forgery in take.forgeries:
            if forgery.kind == "desync":
                found += 1
                shift = forgery.order.shift_s
                assert 0.16 <= abs(shift) <= 0.64
                assert take.start_s - shift >= -1e-9 and take.end_s - shift <= 3.0 + 1e-9
                assert take.end_s - take.start_s >= 1.6 - 1e-9
    assert found > 10


def test_silent_sources_get_visual_kinds_only() -> None:
    sources = [replace(s, heard_share=0.0) for s in _sources(PEOPLE)]
    assert {kind for _, kind in _forgeries(plan_takes(sources, ForgeRecipe(), 1))} == set(VISUAL_KINDS)
    # Sound that is over before the face appears is no better.
    apart = [replace(s, sound=(0.0, 0.5)) for s in _sources(PEOPLE)]
    assert {kind for _, kind in _forgeries(plan_takes(apart, ForgeRecipe(), 1))} == set(VISUAL_KINDS)


def test_names_do_not_tell_controls_from_forgeries() -> None:
    takes = plan_takes(_sources(PEOPLE), ForgeRecipe(), 1)
    files = [f for t in takes for f in (t.control, *(p.file for p in t.forgeries))]
    assert len(set(files)) == len(files)
    places = Counter(int(t.control[-10:-4]) % 4 for t in takes)
    assert all(0.15 < places[k] / len(takes) < 0.35 for k in range(4))


def test_a_recipe_names_people_before_all_else() -> None:
    recipe = ForgeRecipe(identity="file", identities={"anna/*": "anne", "ben/00.mp4": "ben"})
    sources = _sources({"anna": 2, "ben": 2}, recipe)
    assert [s.identity for s in sources] == ["anne", "anne", "ben", "ben/01.mp4"]


@pytest.mark.parametrize(
    ("uri", "glob", "expected"),
    [
        ("a/b/c.mp4", "**", True),
        ("a/b/c.mp4", "a/*", False),
        ("a/b/c.mp4", "a/**", True),
        ("c.mp4", "**/*.mp4", True),
        ("x/fake_1/c.mp4", "**/fake*/**", True),
        ("fake/c.mp4", "**/fake*/**", True),
        ("fakes.mp4", "**/fake*/**", False),
        ("a+b/(c).mp4", "a+b/(?).mp4", True),
    ],
)
def test_globs(uri: str, glob: str, expected: bool) -> None:
    assert matches(uri, (glob,)) == expected
