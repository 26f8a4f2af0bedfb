"""Select: a recipe over the tables of a workspace, from videos to the finished selection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl

from schemas.curation import RELATIONS, CurationRecipe, RecipeProblem
from schemas.curation_columns import COLUMNS
from schemas.curation_file import nearest
from schemas.timebase import TICKS_PER_S, WINDOW_TICKS
from stages.curate import near as near_duplicates
from stages.curate.assign import assign
from stages.curate.choose import per_video
from stages.curate.clips import clips_of
from stages.curate.components import components_of, links
from stages.curate.conditions import expression
from stages.curate.funnel import Funnel
from stages.curate.official import official_splits
from stages.curate.proof import proof_of
from stages.curate.rank import ranks
from stages.curate.sample import sample
from stages.curate.selection import selection_of
from stages.curate.targets import with_targets
from stages.curate.videos import videos_of

Signals = Callable[[pl.Series], pl.DataFrame]
"""Given content_ids, rows of `signals.of_faces` or `signals.of_audio`."""
Pairs = Callable[[pl.Series], pl.DataFrame]
"""Given content_ids, the pairs of them that are near-duplicates: content_id_a, content_id_b."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a recipe reads. Rows may come in any order."""

    inventory: pl.DataFrame
    labels: pl.LazyFrame
    segments: pl.DataFrame
    faces: Signals
    audio: Signals
    near: Pairs


@dataclass(frozen=True, slots=True)
class Selected:
    """What a recipe gives."""

    selection: pl.DataFrame
    """Rows of CURATED."""
    proof: dict[str, Any]
    funnel: Funnel


def needs(recipe: CurationRecipe) -> set[str]:
    """Which tables of the store the recipe's filters are about: `faces`, `audio`."""
    return {str(COLUMNS[name].origin) for name in recipe.filters} & {"faces", "audio"}


def select(inputs: Inputs, recipe: CurationRecipe) -> Selected:
    """Runs a recipe.

    Raises:
        RecipeProblem: a step leaves nothing, a quota can't be met, a value is in no row, or official splits divide what belongs
            together.
    """
    funnel = Funnel()
    videos = _videos(inputs, recipe, funnel)
    clips = _clips(inputs, recipe, videos, funnel)
    clips = _filtered(clips, recipe, ("labels", "targets", "faces", "audio"), "clips", funnel)
    near = inputs.near(clips["content_id"].unique().sort()) if recipe.duplicates.near.enabled else near_duplicates.NO_PAIRS
    if recipe.duplicates.near.enabled and recipe.duplicates.near.keep == "one":
        clips = clips.join(near_duplicates.superfluous(videos, near), on="content_id", how="anti")
        funnel.note(("duplicates", "near"), "clips", clips.height)
    clips = clips.with_columns(clip_id=_clip_id())
    clips = clips.with_columns(rank=ranks(clips["clip_id"], recipe.seed, "clip"))
    clips = per_video(clips, recipe.clips)
    if recipe.clips.per_video is not None:
        funnel.note(("clips", "per_video"), "clips", clips.height)
    linked = links(videos, near, RELATIONS)
    clips = _with_splits(clips, videos, linked, recipe, funnel)
    taken = sample(clips, recipe.sample)
    funnel.note(("sample",), "clips", taken.height)
    selection = selection_of(taken)
    # By now `dataset` and the like are columns of both; a stratum of the splits may be one that CURATED lacks.
    facts = taken.select("clip_id", *(name for name in recipe.splits.strata if name not in selection.columns))
    proof = proof_of(selection.join(facts, on="clip_id", how="left"), linked, recipe.splits)
    _check_reached(proof, recipe)
    return Selected(selection, proof, funnel)


def _videos(inputs: Inputs, recipe: CurationRecipe, funnel: Funnel) -> pl.DataFrame:
    videos = videos_of(inputs.inventory)
    funnel.note((), "videos", videos.height, "run `fauscan run` first")
    _check_values(videos, recipe)
    videos = _filtered(videos, recipe, ("video",), "videos", funnel)
    if videos["contradicts"].any() and recipe.targets.target_from != "prediction":
        videos = videos.filter(~pl.col("contradicts"))
        funnel.note(("targets", "target_from"), "videos", videos.height, "the copies of each are called real and fake")
    if recipe.splits.unknown_identity == "drop":
        videos = videos.filter(pl.col("identity").list.len() > 0)
        funnel.note(("splits", "unknown_identity"), "videos", videos.height, "no video has truth_identities; use keep")
    return videos


def _clips(inputs: Inputs, recipe: CurationRecipe, videos: pl.DataFrame, funnel: Funnel) -> pl.DataFrame:
    whole = recipe.clips.of == "video"
    ids = videos.select("content_id")
    wanted = inputs.labels.join(ids.lazy(), on="content_id", how="semi")
    clips = clips_of(wanted, recipe.clips.stride_ticks, recipe.targets.head, whole).collect(engine="streaming")
    clips = clips.join(videos, on="content_id", how="inner").sort("content_id", "track", "start_tick", nulls_last=True)
    slowest = pl.min_horizontal(pl.lit(float(WINDOW_TICKS)), pl.col("frame_rate").fill_null(TICKS_PER_S)).clip(1)
    clips = clips.with_columns(face_share=pl.min_horizontal(pl.col("ticks") / slowest, 1.0)).with_row_index("clip")
    funnel.note(("clips",), "clips", clips.height, "no video that is left has labels over a whole second")
    if not whole:
        clips = clips.filter(pl.col("face_share") >= recipe.clips.min_face_share)
        funnel.note(("clips", "min_face_share"), "clips", clips.height)
    clips = with_targets(clips, inputs.segments, recipe.targets).filter(pl.col("target").is_not_null())
    funnel.note(("targets",), "clips", clips.height, _no_target(recipe))
    keys = ["content_id", "track", "start_tick"]
    if "faces" in needs(recipe):
        clips = clips.join(inputs.faces(clips["content_id"].unique().sort()), on=keys, how="left", nulls_equal=True)
    if "audio" in needs(recipe):
        clips = clips.join(inputs.audio(clips["content_id"].unique().sort()), on=["content_id", "start_tick"], how="left")
    return clips


def _no_target(recipe: CurationRecipe) -> str:
    if recipe.targets.target_from == "truth":
        return "no video that is left has a truth; use target_from: prediction, or `fauscan inventory --dataset`"
    return "no clip that is left has labels of which more than half agree"


def _filtered(rows: pl.DataFrame, recipe: CurationRecipe, origins: tuple[str, ...], unit: str, funnel: Funnel) -> pl.DataFrame:
    """The rows that pass the recipe's filters over columns of these origins, counted after each."""
    for name, condition in recipe.filters.items():
        if COLUMNS[name].origin in origins:
            before, rows = rows, rows.filter(expression(name, condition))
            funnel.note(("filters", name), unit, rows.height, "" if rows.height else _what_there_is(before, name))
    return rows


def _what_there_is(rows: pl.DataFrame, name: str) -> str:
    """The values that a filter met, for the message."""
    known = rows[name].drop_nulls()
    if known.is_empty():
        return f"{name} is null in all of them"
    if COLUMNS[name].kind == "number":
        return f"{name} is {known.cast(pl.Float64).min()!s:.8} to {known.cast(pl.Float64).max()!s:.8} in them"
    values = known.list.explode().drop_nulls() if COLUMNS[name].kind == "texts" else known
    return f"{name} is {', '.join(map(str, values.unique().sort().head(8)))} in them" if len(values) else f"{name} is empty in all of them"


def _check_values(videos: pl.DataFrame, recipe: CurationRecipe) -> None:
    """A value that no video has is a slip of the pen."""
    for name, condition in recipe.filters.items():
        column = COLUMNS[name]
        if column.origin != "video" or column.values is not None or column.kind not in {"text", "texts"}:
            continue
        known = (videos[name].list.explode() if column.kind == "texts" else videos[name]).drop_nulls().unique().sort().to_list()
        for number, value in enumerate(condition.one_of or ()):
            if value not in known:
                raise RecipeProblem(("filters", name, "in", number), f"is {value!r}, which no video has; {nearest(value, known)}")


def _clip_id() -> pl.Expr:
    track = pl.col("track").cast(pl.String).fill_null("v")
    return pl.concat_str("content_id", pl.lit("-"), track, pl.lit("-"), pl.col("start_tick").cast(pl.String))


def _with_splits(clips: pl.DataFrame, videos: pl.DataFrame, linked: pl.DataFrame, recipe: CurationRecipe, funnel: Funnel) -> pl.DataFrame:
    params = recipe.splits
    enforced = linked.filter(pl.col("relation").is_in(params.relations))
    ids = clips["content_id"].unique()
    clips = clips.join(components_of(ids, enforced), on="content_id", how="left")
    there = videos.join(clips.select("content_id", "component").unique(), on="content_id", how="inner")
    official = official_splits(there, enforced, params)
    clips = clips.join(official.dropped, on="component", how="anti")
    if official.dropped.height:
        funnel.note(("splits", "conflict"), "clips", clips.height, "every group of connected videos lies in several official splits")
    return clips.join(assign(clips, official.splits, params, recipe.seed), on="component", how="left")


def _check_reached(proof: dict[str, Any], recipe: CurationRecipe) -> None:
    if recipe.splits.tolerance is None:
        return
    for split, row in proof["splits"].items():
        if abs(row["reached"] - row["wanted"]) > recipe.splits.tolerance:
            reached = f"{row['reached']:.3f} was reached; use that, or a tolerance above {recipe.splits.tolerance:g}"
            raise RecipeProblem(("splits", split), f"is {row['wanted']:g}, but {reached}")
