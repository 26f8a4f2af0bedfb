"""Timeline: the scores of one face over time, pooled so that short spikes survive, as lanes of an SVG strip chart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

MODALITIES = ("total", "audio", "visual")
LABEL_RANKS = {"real": 1, "uncertain": 2, "fake": 3}
LABEL_OF_RANK: tuple[str | None, ...] = (None, "real", "uncertain", "fake")

WIDTH = 1000
"""Units of the SVG's x axis, from the start to the end of the video."""

LANE_HEIGHT = 100
"""Units of a lane's y axis: a score of 0.01 each."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """Neighbouring frames of one track, joined to at most so many points. NaN where no frame of a group has the score."""

    start_s: NDArray[np.float64]  # (N,) first frame of the group
    mid_s: NDArray[np.float64]  # (N,)
    scores: dict[str, NDArray[np.float32]]  # per modality (N,)
    ranks: NDArray[np.int8]  # (N,) the most suspicious label of the group, 0 for null


@dataclass(frozen=True, slots=True)
class Block:
    """A box of the chart, in SVG units: a fake segment, or a run of frames with one label."""

    x: int
    width: int
    kind: str
    title: str


@dataclass(frozen=True, slots=True)
class Lane:
    """One modality: a broken line, and its fake segments behind it."""

    name: str
    path: str
    spans: list[Block]


@dataclass(frozen=True, slots=True)
class Chart:
    """The strip chart of one track."""

    track: int | None
    lanes: list[Lane]
    labels: list[Block]
    ticks: list[tuple[float, str]]
    """Position in percent, text."""


def pool(labels: pl.DataFrame, track: int | None, max_points: int) -> Pooled:
    """Maximum over groups of neighbouring frames, counted in frames and not in seconds: VFR makes no false gaps.

    Args:
        labels: all rows of LABELS of one video. Sound belongs to every track, so p_audio is taken from all of them.
        track: the face; its absence from a frame is a gap in p_total and p_visual.
        max_points: most groups.
    """
    frames = labels.group_by("frame_index").agg(pl.col("pts_us").first(), pl.col("p_audio").max()).sort("frame_index")
    mine = labels.filter(pl.col("track").eq_missing(track)).unique("frame_index", keep="first")
    rank = pl.col("label").replace_strict(LABEL_RANKS, default=0, return_dtype=pl.Int8)
    mine = mine.select("frame_index", "p_total", "p_visual", rank=rank)
    size = max(1, -(-frames.height // max_points))
    pooled = (
        frames.join(mine, on="frame_index", how="left", maintain_order="left")
        .with_columns(group=pl.int_range(pl.len()) // size)
        .group_by("group", maintain_order=True)
        .agg(
            pl.col("pts_us").first().alias("start_us"),
            pl.col("pts_us").mean().alias("mid_us"),
            *(pl.col(f"p_{name}").max() for name in MODALITIES),
            pl.col("rank").max().fill_null(0),
        )
    )
    scores = {name: pooled[f"p_{name}"].cast(pl.Float32).fill_null(float("nan")).to_numpy() for name in MODALITIES}
    return Pooled(pooled["start_us"].to_numpy() / 1e6, pooled["mid_us"].to_numpy() / 1e6, scores, pooled["rank"].to_numpy())


def chart(labels: pl.DataFrame, segments: pl.DataFrame, track: int | None, duration_s: float, max_points: int) -> Chart:
    """Draws one track. A modality without any score has no lane; `segments` are those of the same video."""
    points = pool(labels, track, max_points)
    scale = WIDTH / duration_s
    lanes = []
    for name in MODALITIES:
        own = pl.col("modality") == name
        rows = segments.filter(own & (pl.col("track").eq_missing(track) | pl.col("track").is_null())).sort("start_s", "end_s")
        spans = [_span(row, scale) for row in rows.iter_rows(named=True)]
        if spans or not np.isnan(points.scores[name]).all():
            lanes.append(Lane(name, _path(points.mid_s * scale, points.scores[name]), spans))
    return Chart(track, lanes, _label_runs(points, duration_s, scale), axis_ticks(duration_s))


def axis_ticks(duration_s: float, most: int = 6) -> list[tuple[float, str]]:
    """Round seconds along the axis, as (percent, text)."""
    exponent = np.floor(np.log10(duration_s / most))
    step = next(s for s in (10.0**exponent * m for m in (1, 2, 5, 10)) if duration_s / s <= most)
    decimals = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    return [(round(100 * t / duration_s, 2), f"{t:.{decimals}f}") for t in np.arange(0, duration_s + step * 1e-6, step)]


def _span(row: dict[str, float], scale: float) -> Block:
    x, end = _inside(row["start_s"] * scale), _inside(row["end_s"] * scale)
    return Block(x, max(2, end - x), "fake", f"{row['start_s']:.2f}\N{EN DASH}{row['end_s']:.2f} s, score {row['score'] or 0:.2f}")


def _inside(x: float) -> int:
    return int(min(max(round(x), 0), WIDTH))


def _path(x: NDArray[np.float64], scores: NDArray[np.float32]) -> str:
    """An SVG path in whole units, relative after each gap; points in the middle of a level stretch are left out."""
    known = ~np.isnan(scores)
    y = np.round((1 - np.clip(np.nan_to_num(scores), 0, 1)) * LANE_HEIGHT).astype(int)
    across = np.clip(np.round(x), 0, WIDTH).astype(int)
    parts = []
    for run in np.split(np.flatnonzero(known), np.flatnonzero(np.diff(np.flatnonzero(known)) > 1) + 1):
        if run.size == 0:
            continue
        level = np.zeros(run.size, bool)
        level[1:-1] = (y[run[1:-1]] == y[run[:-2]]) & (y[run[1:-1]] == y[run[2:]])
        kept = run[~level]
        steps = zip(np.diff(across[kept]).tolist(), np.diff(y[kept]).tolist(), strict=True)
        line = " ".join(f"{dx} {dy}" if dy >= 0 else f"{dx}{dy}" for dx, dy in steps)
        parts.append(f"M{across[kept[0]]} {y[kept[0]]}l{line or '1 0'}")  # a lone point is a dash one unit long
    return "".join(parts)


def _label_runs(points: Pooled, duration_s: float, scale: float) -> list[Block]:
    """Runs of frames with the same label; frames without one leave a hole."""
    starts = np.flatnonzero(np.diff(points.ranks, prepend=-1))
    edges = np.append(points.start_s[starts], duration_s)
    blocks = []
    for i, start in enumerate(starts):
        if kind := LABEL_OF_RANK[points.ranks[start]]:
            x, end = _inside(edges[i] * scale), _inside(edges[i + 1] * scale)
            blocks.append(Block(x, max(1, end - x), kind, f"{kind}, {edges[i]:.2f}\N{EN DASH}{edges[i + 1]:.2f} s"))
    return blocks
