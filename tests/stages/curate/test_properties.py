"""What must hold of every archive and recipe, whatever they are."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.curation import RecipeProblem
from stages.curate.select import Inputs, Selected
from tests.stages.curate.made_archive import curate, frames, inputs, video

QUICK = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
HALVES = {"train": 0.5, "dev": 0, "test": 0.5}


@st.composite
def archives(draw: st.DrawFn) -> Inputs:
    """Up to a dozen videos, connected at random by people, originals, copies and likeness."""
    count = draw(st.integers(3, 12))
    videos, labels = [], []
    for k in range(count):
        fake = draw(st.booleans())
        source = f"set/v{draw(st.integers(0, count - 1))}.mp4" if fake and draw(st.booleans()) else None
        people = sorted(draw(st.sets(st.sampled_from("abcdefghijkl"), max_size=2)))
        methods = [draw(st.sampled_from(["swap", "voice"]))] if fake else []
        truth = {"fake": fake, "source": source, "identities": [f"made:{p}" for p in people], "methods": methods}
        videos.append(video(f"v{k}", **truth))
        if draw(st.integers(0, 5)) == 0:  # the same bytes under another name, of which something else is known
            videos.append(
                video(f"v{k}", **truth | {"identities": [f"made:{draw(st.sampled_from('abcdefghijkl'))}"]}) | {"uri": f"copy/v{k}.mp4"}
            )
        labels += frames(f"v{k}", seconds=draw(st.integers(1, 3)), p=draw(st.sampled_from([0.1, 0.6, 0.9])))
    alike = draw(st.sets(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=3))
    pairs = [(f"id-v{min(a, b)}", f"id-v{max(a, b)}") for a, b in sorted(alike) if a != b]
    near = pl.DataFrame(pairs, schema={"content_id_a": pl.String, "content_id_b": pl.String}, orient="row")
    return inputs(videos, labels, near=lambda _: near)


def attempt(given: Inputs, recipe: dict[str, Any]) -> Selected | None:
    """None where the archive is too small or too connected for the recipe, which is a message and no set."""
    try:
        return curate(given, recipe)
    except RecipeProblem:
        return None


@QUICK
@given(archives(), st.integers(0, 3))
def test_no_split_ever_shares_what_connects_videos(archive: Inputs, seed: int) -> None:
    made = attempt(archive, {"seed": seed, "splits": HALVES, "duplicates": {"near": {"enabled": True, "keep": "all"}}})
    if made is None:
        return
    assert {name: row["overlaps"] for name, row in made.proof["relations"].items()} == dict.fromkeys(made.proof["relations"], 0)
    split_of: dict[str, set[str]] = {}
    original = {row["uri"]: row["content_id"] for row in archive.inventory.to_dicts()}
    for clip in made.selection.to_dicts():  # counted anew, by hand, from the inventory and not from the code under test
        own = archive.inventory.filter(pl.col("content_id") == clip["content_id"]).to_dicts()
        keys = {f"person {p}" for row in own for p in row["truth_identities"]} | {f"content {clip['content_id']}"}
        keys |= {f"source {row['truth_source']}" for row in own if row["truth_source"]} | {f"component {clip['component']}"}
        keys |= {f"content {original[row['truth_source']]}" for row in own if row["truth_source"] in original}
        for key in keys:
            split_of.setdefault(key, set()).add(clip["split"])
    for a, b in archive.near(pl.Series()).iter_rows():
        if f"content {a}" in split_of and f"content {b}" in split_of:
            split_of[f"content {a}"] |= split_of[f"content {b}"]
    assert all(len(splits) == 1 for splits in split_of.values())


@QUICK
@given(archives(), st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(archive: Inputs, seed: int, random: Any) -> None:
    recipe = {
        "seed": seed,
        "splits": HALVES,
        "clips": {"per_video": 2, "choose": random.choice(["spread", "random", "hard"])},
        "sample": {"strata": ["target"], "per_stratum": {"max": 5}, "caps": {"identity": 4, "method": 3}, "hard": {"share": 0.5}},
    }
    shuffled = dataclasses.replace(
        archive,
        inventory=archive.inventory.sample(fraction=1, shuffle=True, seed=random.randrange(1000)),
        labels=archive.labels.collect().sample(fraction=1, shuffle=True, seed=random.randrange(1000)).lazy(),
    )
    first, second = attempt(archive, recipe), attempt(shuffled, recipe)
    assert (first is None) == (second is None)
    if first is not None and second is not None:
        assert first.selection.equals(second.selection)
        assert first.proof == second.proof


@QUICK
@given(archives(), st.integers(1, 4), st.integers(1, 6), st.integers(1, 12), st.booleans())
def test_caps_and_strata_hold_and_nothing_that_fits_is_left_out(archive: Inputs, cap: int, most: int, total: int, hard: bool) -> None:
    sample = {"strata": ["target", "method"], "per_stratum": {"max": most}, "total": {"max": total}, "caps": {"identity": cap, "video": 2}}
    everything = attempt(archive, {})
    made = attempt(archive, {"sample": sample | ({"hard": {"share": 0.5}} if hard else {})})
    if made is None or everything is None:
        return

    def groups(clip: dict[str, Any]) -> list[tuple[str, Any]]:
        own = [("person", p) for p in clip["identities"]] + [("video", clip["content_id"]), ("stratum", (clip["target"], *clip["methods"]))]
        return [*own, ("total", None)]

    room = {"person": cap, "video": 2, "stratum": most, "total": total}
    counts = Counter(group for clip in made.selection.to_dicts() for group in groups(clip))
    assert all(count <= room[kind] for (kind, _), count in counts.items())
    taken = set(made.selection["clip_id"])
    for clip in everything.selection.to_dicts():
        assert clip["clip_id"] in taken or any(counts[group] >= room[group[0]] for group in groups(clip))


@QUICK
@given(archives(), st.booleans())
def test_balance_gives_each_target_the_same_count(archive: Inputs, by_video_count: bool) -> None:
    made = attempt(archive, {"sample": {"balance": {"column": "target"}, "caps": {"video": 2} if by_video_count else {}}})
    if made is not None:
        assert len(set(Counter(made.selection["target"]).values())) == 1


@QUICK
@given(archives())
def test_weights_make_the_groups_count_alike(archive: Inputs) -> None:
    made = attempt(archive, {"sample": {"weights": ["target"]}})
    if made is not None:
        sums = made.selection.group_by("target").agg(pl.col("weight").cast(pl.Float64).sum())["weight"]
        assert sums.max() - sums.min() < 1e-3
        assert abs(made.selection["weight"].cast(pl.Float64).mean() - 1) < 1e-4
