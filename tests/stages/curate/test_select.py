from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from schemas.curation import RecipeProblem
from tests.stages.curate.made_archive import Rows, curate, frames, inputs, video

SPLITS = {"splits": {"train": 0.5, "dev": 0, "test": 0.5}}


def archive(**truths: dict[str, Any]) -> Any:
    """Videos by name, each three seconds."""
    return inputs([video(name, **{"fake": False} | truth) for name, truth in truths.items()], [r for name in truths for r in frames(name)])


def people(count: int, **truth: Any) -> dict[str, dict[str, Any]]:
    return {f"v{k}": {"identities": [f"made:{k}"]} | truth for k in range(count)}


def by_video(rows: pl.DataFrame, column: str) -> dict[str, Any]:
    return dict(rows.select("content_id", column).unique().iter_rows())


def test_names_and_facts_of_the_selection() -> None:
    made = curate(archive(a={"fake": True, "methods": ["swap"], "source": "set/x.mp4", "identities": ["made:1"]})).selection
    first = made.row(0, named=True)
    assert made["clip_id"].to_list() == ["id-a-0-0", "id-a-0-25", "id-a-0-50"]
    assert {k: first[k] for k in ("uri", "dataset", "source", "methods", "identities", "split", "box", "weight")} == {
        "uri": "set/a.mp4", "dataset": "made", "source": "set/x.mp4", "methods": ["swap"], "identities": ["made:1"],
        "split": "train", "box": [10.0, 20.0, 110.0, 140.0], "weight": 1.0,
    }  # fmt: skip


def test_copies_of_one_file_are_one_video_that_all_their_people_hold_in_one_split() -> None:
    rows = [video("a", fake=False, identities=["made:1"]), video("a", fake=False, identities=["made:2"]) | {"uri": "other/a.mp4"}]
    rows += [video("b", fake=False, identities=["made:1"]), video("c", fake=False, identities=["made:2"]), video("d", fake=False)]
    made = curate(inputs(rows, [r for name in "abcd" for r in frames(name)]), SPLITS)
    component = by_video(made.selection, "component")
    assert made.selection.height == 12
    assert component["id-a"] == component["id-b"] == component["id-c"] != component["id-d"]
    assert made.selection.filter(pl.col("content_id") == "id-a")["uri"].unique().to_list() == ["other/a.mp4"]


def test_files_that_are_no_video_are_not_counted() -> None:
    rows = [video("a", fake=False), video("b") | {"uri": "set/truth.csv", "outcome": "filtered"}]
    assert curate(inputs(rows, frames("a"))).funnel.steps[0].count == 1


def test_copies_that_are_called_real_and_fake_are_left_out() -> None:
    rows = [video("a", fake=False), video("a", fake=True) | {"uri": "other/a.mp4"}, video("b", fake=False)]
    assert by_video(curate(inputs(rows, frames("a") + frames("b"))).selection, "target") == {"id-b": "real"}


def test_a_forgery_follows_its_original_and_its_siblings_even_without_it() -> None:
    made = curate(archive(a={}, b={"source": "set/a.mp4"}, c={"source": "set/gone.mp4"}, d={"source": "set/gone.mp4"}), SPLITS)
    component = by_video(made.selection, "component")
    assert component["id-a"] == component["id-b"] != component["id-c"] == component["id-d"]
    relations = made.proof["relations"]
    assert {name: (relations[name]["groups"], relations[name]["overlaps"]) for name in ("source", "pair")} == {
        "source": (2, 0),
        "pair": (1, 0),
    }


def test_a_relation_that_is_left_out_is_still_counted_in_the_proof() -> None:
    truths = {name: {"identities": ["made:1"]} for name in "abcd"}
    made = curate(archive(**truths), {"splits": {"train": 0.5, "dev": 0, "test": 0.5, "relations": ["content"]}})
    assert made.proof["relations"]["identity"] | {"videos": 0} == {
        "enforced": False, "groups": 1, "groups_of_several_videos": 1, "overlaps": 1, "overlapping": ["made:1"], "videos": 0,
    }  # fmt: skip


def test_splits_reach_their_shares_in_every_stratum() -> None:
    truths = people(40) | {f"f{k}": {"fake": True, "identities": [f"made:f{k}"]} for k in range(40)}
    made = curate(archive(**truths), {"splits": {"train": 0.7, "dev": 0.15, "test": 0.15}})
    counts = made.selection.group_by("split", "target").len().sort("split", "target")["len"].to_list()
    assert counts == [18, 18, 18, 18, 84, 84] or counts[-2:] == [84, 84]
    assert all(abs(row["reached"] - row["wanted"]) < 0.02 for row in made.proof["splits"].values())


def test_another_seed_gives_other_splits_and_the_same_shares() -> None:
    truths = people(20)
    first, second = (curate(archive(**truths), SPLITS | {"seed": seed}) for seed in (1, 2))
    assert by_video(first.selection, "split") != by_video(second.selection, "split")
    assert first.proof["splits"]["test"]["reached"] == second.proof["splits"]["test"]["reached"] == 0.5


def test_official_splits_are_kept_and_pull_what_is_connected() -> None:
    truths = people(6) | {"t": {"split": "test", "identities": ["made:0"]}, "u": {"split": "train", "identities": ["made:1"]}}
    split = by_video(curate(archive(**truths), SPLITS).selection, "split")
    assert split["id-t"] == split["id-v0"] == "test"
    assert split["id-u"] == split["id-v1"] == "train"


def test_videos_that_official_splits_divide_are_an_error_that_names_two_or_are_dropped() -> None:
    truths = people(4) | {"t": {"split": "test", "identities": ["made:0"]}, "u": {"split": "train", "identities": ["made:0"]}}
    with pytest.raises(RecipeProblem, match=r"1 groups .*: set/t\.mp4 \(test\) and set/u\.mp4 \(train\) by identity made:0; use drop"):
        curate(archive(**truths), SPLITS)
    dropped = curate(archive(**truths), {"splits": SPLITS["splits"] | {"conflict": "drop"}})
    assert set(by_video(dropped.selection, "split")) == {"id-v1", "id-v2", "id-v3"}
    assert dropped.funnel.rows()[-2] == {"step": "splits.conflict", "unit": "clips", "left": 9}
    ignored = curate(archive(**truths), {"splits": SPLITS["splits"] | {"official": "ignore"}})
    assert len(set(by_video(ignored.selection.filter(pl.col("identities").list.contains("made:0")), "split").values())) == 1


def test_near_duplicates_go_but_a_forgery_of_the_sound_stays_beside_its_original() -> None:
    truths = {"a": {}, "copy": {}, "dubbed": {"fake": True, "audio_fake": True}, "d": {}}
    pairs = pl.DataFrame({"content_id_a": ["id-a", "id-a"], "content_id_b": ["id-copy", "id-dubbed"]})
    given = inputs(
        [video(n, **{"fake": False} | t) for n, t in truths.items()], [r for n in truths for r in frames(n)], near=lambda _: pairs
    )
    made = curate(given, SPLITS | {"duplicates": {"near": {"enabled": True}}})
    component = by_video(made.selection, "component")
    assert sorted(component) == ["id-a", "id-d", "id-dubbed"]
    assert component["id-a"] == component["id-dubbed"] != component["id-d"]


def test_clips_of_the_whole_picture_need_no_face() -> None:
    given = inputs([video("a", fake=False)], frames("a", seconds=1, track=None))
    row = curate(given, {"clips": {"of": "video"}}).selection.row(0, named=True)
    assert (row["clip_id"], row["track"], row["box"], row["p_total"]) == ("id-a-v-0", None, None, None)
    with pytest.raises(RecipeProblem, match="no video that is left has labels over a whole second"):
        curate(given)


@pytest.mark.parametrize(
    ("choose", "starts"),
    [("spread", [50, 125]), ("hard", [25, 100]), ("boundary", [25, 100])],
)
def test_the_clips_of_a_video_are_chosen_as_asked(choose: str, starts: list[int]) -> None:
    rows: Rows = []
    for row in frames("a", seconds=6):
        rows.append(row | {"p_total": 0.9 if 25 <= row["frame_index"] < 50 else 0.7 if 100 <= row["frame_index"] < 125 else 0.1})
    given = inputs([video("a", fake=True, spans=[[1.2, 1.4], [4.5, 4.7]])], rows)
    recipe = {"clips": {"per_video": 2, "choose": choose}}
    if choose == "hard":  # of real clips: those that look fake
        given = inputs([video("a", fake=False)], rows)
    assert curate(given, recipe).selection["start_tick"].sort().to_list() == starts


def test_half_of_a_quota_is_hard_and_the_rest_drawn() -> None:
    rows = [r for k in range(20) for r in frames(f"v{k}", seconds=1, p=k / 20)]
    given = inputs([video(f"v{k}", fake=False) for k in range(20)], rows)
    made = curate(given, {"sample": {"total": {"max": 8}, "hard": {"share": 0.5}}}).selection
    hardest = {f"id-v{k}" for k in range(16, 20)}
    assert hardest <= set(made["content_id"])
    assert made.height == 8


def test_filters_over_faces_and_sound_read_the_store_only_when_named() -> None:
    faces = pl.DataFrame(
        {"content_id": ["id-a"] * 3, "track": [0, 0, 0], "start_tick": [0, 25, 50], "yaw_deg": [10.0, 40.0, None]},
        schema_overrides={"track": pl.Int16, "start_tick": pl.Int32},
    )
    given = inputs([video("a", fake=False)], frames("a"), faces=lambda ids: faces.filter(pl.col("content_id").is_in(ids.implode())))
    assert curate(given, {"filters": {"yaw_deg": {"max": 30}}}).selection["start_tick"].to_list() == [0]
    assert curate(given, {"filters": {"yaw_deg": {"max": 30, "or_null": True}}}).selection["start_tick"].to_list() == [0, 50]


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        ({"method": "swap"}, "ab"), ({"method": {"not_in": ["swap"]}}, "c"), ({"method": ["swap", "voice"]}, "ab"),
        ({"width": {"min": 100}}, "a"), ({"width": {"is_null": True}}, "c"), ({"width": {"max": 99, "or_null": True}}, "bc"),
        ({"has_audio": True}, "b"), ({"duration_s": {"min": 2, "max": 4}}, "abc"), ({"video_codec": {"in": ["h264"]}}, "c"),
        ({"reason": {"not_in": ["silent_audio"]}}, "bc"), ({"reason": "silent_audio"}, "a"), ({"quality": {"min": 0.4}}, "abc"),
    ],
)  # fmt: skip
def test_conditions(condition: dict[str, Any], left: str) -> None:
    videos = [
        video("a", fake=True, methods=["swap", "voice"]) | {"width": 640},
        video("b", fake=True, methods=["swap"]) | {"width": 64, "has_audio": True},
        video("c", fake=False) | {"video_codec": "h264"},
    ]
    given = inputs(videos, frames("a", reason="silent_audio") + frames("b") + frames("c"))
    assert sorted(curate(given, {"filters": condition}).selection["content_id"].unique()) == [f"id-{name}" for name in left]


@pytest.mark.parametrize(
    ("recipe", "path", "message"),
    [
        ({"filters": {"dataset": ["mad"]}}, ("filters", "dataset", "in", 0), r"is 'mad', which no video has; did you mean made\?"),
        ({"filters": {"dataset": ["x"]}}, ("filters", "dataset", "in", 0), r"known: made"),
        ({"filters": {"quality": {"min": 0.4}, "face_px": {"min": 500}}}, ("filters", "face_px"),
         r"leaves nothing \(before: start 2 videos > clips 6 clips > clips\.min_face_share 6 clips > targets 6 clips > "
         r"filters\.quality 6 clips\); face_px is 100\.0 to 100\.0 in them"),
        ({"targets": {"target_from": "prediction"}, "filters": {"method": {"is_null": True}}}, ("filters", "method"), "is empty in all"),
        ({"sample": {"total": {"min": 7}}}, ("sample", "total", "min"), r"is 7, but 6 of 6 clips can be had; use at most 6"),
        ({"sample": {"strata": ["target"], "per_stratum": {"min": 3}, "caps": {"video": 2}}}, ("sample", "per_stratum", "min"),
         r"is 3, but after caps and balance target=fake has 2 of 3; target=real has 2 of 3; use at most 2"),
        ({"sample": {"balance": {"within": ["video"]}}}, ("sample", "balance", "column"), r"no clip has target=real where video=id-a"),
        ({"splits": {"train": 0.4, "dev": 0.3, "test": 0.3}}, ("splits", "test"), r"wants 0\.3 of the clips and gets none"),
        ({"splits": {"train": 0.8, "dev": 0, "test": 0.2, "tolerance": 0.1}}, ("splits", "train"), r"is 0\.8, but 0\.500 was reached"),
    ],
)  # fmt: skip
def test_what_can_not_be_had_says_where_and_what_can(recipe: dict[str, Any], path: tuple[str | int, ...], message: str) -> None:
    given = inputs([video("a", fake=True), video("b", fake=False)], frames("a") + frames("b"))
    with pytest.raises(RecipeProblem, match=message) as problem:
        curate(given, recipe)
    assert problem.value.path == path


def test_an_archive_without_truth_says_so() -> None:
    with pytest.raises(RecipeProblem, match=r"leaves nothing .*no video that is left has a truth; use target_from: prediction"):
        curate(inputs([video("a")], frames("a")))
