"""Diff view: the difference of two versions of the labels, in counts, on the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stages.label_diff import ADDED, LABEL, MOVED, REASON, REMOVED
from stages.view.names import visible_name

if TYPE_CHECKING:
    from pipelines.diff import Difference, Setting

_SHOWN = 20


def as_dict(difference: Difference) -> dict[str, Any]:
    """All counts, for a machine."""
    counts, spans = difference.counts, difference.segments
    moved = {name or "same": spans.filter(pl.col("change").eq_missing(pl.lit(name))).height for name in (None, ADDED, REMOVED, MOVED)}
    return {
        "a": difference.a,
        "b": difference.b,
        "frames": {
            "a": _total(counts.filter(pl.col("change").ne_missing(pl.lit(ADDED)))),
            "b": _total(counts.filter(pl.col("change").ne_missing(pl.lit(REMOVED)))),
            "changed": _total(counts.filter(pl.col("change").is_not_null())),
            **{name: _total(counts.filter(pl.col("change") == name)) for name in (LABEL, REASON, ADDED, REMOVED)},
            "rescored": int(counts.filter(pl.col("change").is_null())["rescored"].sum()),
        },
        "transitions": _transitions(counts).to_dicts(),
        "datasets": _by(counts, "dataset").to_dicts(),
        "reasons": _reasons(counts).to_dicts(),
        "segments": moved,
        "videos": _by(counts, "uri", "content_id").to_dicts(),
        "settings": [asdict(setting) for setting in difference.settings],
    }


def print_same(a: str, b: str) -> None:
    """Two names of one thing."""
    Console().print(f"{escape(a)} and {escape(b)} are the same labels", highlight=False)


def print_difference(difference: Difference) -> None:
    """What the versions were made with, how many frames and segments went which way, and the videos with most of them."""
    out, facts = Console(), as_dict(difference)
    frames, spans = facts["frames"], facts["segments"]
    out.print(f"A is {escape(difference.a)}, {frames['a']:,} frame labels; B is {escape(difference.b)}, {frames['b']:,}", highlight=False)
    _print_settings(out, difference.settings)
    if difference.is_empty:
        rescored = f"; {frames['rescored']:,} frames have another probability and keep their label" if frames["rescored"] else ""
        out.print(f"\nno frame and no segment changed{rescored}", highlight=False)
        return
    out.print(
        f"\nframes: {frames[LABEL]:,} with another label, {frames[REASON]:,} with another reason only, {frames[ADDED]:,} added, "
        f"{frames[REMOVED]:,} removed, {frames['rescored']:,} with another probability only\n"
        f"fake segments: {spans[ADDED]:,} added, {spans[REMOVED]:,} removed, {spans[MOVED]:,} moved, {spans['same']:,} the same",
        highlight=False,
    )
    table = _table("in A", "in B", "frames")
    for row in facts["transitions"]:
        table.add_row(*(escape(str(row[key])) for key in ("a", "b")), f"{row['frames']:,}")
    out.print("", table)
    if len(facts["datasets"]) > 1:
        _print_counts(out, "dataset", facts["datasets"])
    if facts["reasons"]:
        table = _table("reason in A", "reason in B", "frames")
        for row in facts["reasons"]:
            table.add_row(row["reason_a"] or "-", row["reason_b"] or "-", f"{row['frames']:,}")
        out.print("", table)
    videos = [row for row in facts["videos"] if row["changed"]]
    _print_counts(out, "video", videos[:_SHOWN])
    if len(videos) > _SHOWN:
        out.print(f"… and {len(videos) - _SHOWN:,} more videos; --json and --out have them all", highlight=False)


def _print_settings(out: Console, settings: list[Setting]) -> None:
    if not settings:
        return
    table = _table("made with", "A", "B")
    for setting in settings:
        nothing = "null" if "." in setting.name else "not recorded"
        table.add_row(setting.name, *(escape(", ".join(_short(v, nothing) for v in values)) for values in (setting.a, setting.b)))
    out.print("", table)


def _print_counts(out: Console, what: str, rows: Iterable[dict[str, Any]]) -> None:
    table = _table(what, "changed", "of", "to fake", "from fake", "added", "removed")
    for row in rows:
        name = row.get("uri") or row.get("content_id") or row.get("dataset") or "(no folder)"
        numbers = (f"{row[key]:,}" for key in ("changed", "frames", "to_fake", "from_fake", "added", "removed"))
        table.add_row(escape(visible_name(str(name))), *numbers)
    out.print("", table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for place, name in enumerate(columns):
        table.add_column(name, justify="right" if place and name not in {"in B", "reason in B", "A", "B"} else "left")
    return table


def _short(value: Any, nothing: str) -> str:
    return nothing if value is None else value[:12] if isinstance(value, str) and len(value) >= 32 else str(value)


def _total(counts: pl.DataFrame) -> int:
    return int(counts["frames"].sum())


def _transitions(counts: pl.DataFrame) -> pl.DataFrame:
    """a, b, frames: from which label to which, `no label` for null; most first, then by name."""
    names = [
        pl.when(pl.col("change") == absent).then(pl.lit("(not there)")).otherwise(pl.col(f"label_{side}").fill_null("no label")).alias(side)
        for side, absent in (("a", ADDED), ("b", REMOVED))
    ]
    moved = counts.filter(pl.col("change").is_in([ADDED, REMOVED, LABEL])).group_by(*names).agg(pl.col("frames").sum())
    return moved.sort("frames", "a", "b", descending=[True, False, False])


def _reasons(counts: pl.DataFrame) -> pl.DataFrame:
    """reason_a, reason_b, frames: of the changed frames that have a reason in either version."""
    there = pl.col("reason_a").is_not_null() | pl.col("reason_b").is_not_null()
    found = counts.filter(pl.col("change").is_not_null() & there).group_by("reason_a", "reason_b").agg(pl.col("frames").sum())
    return found.sort("frames", "reason_a", "reason_b", descending=[True, False, False])


def _by(counts: pl.DataFrame, *keys: str) -> pl.DataFrame:
    """How many frames of each group changed, and how; most first."""

    def sum_where(condition: pl.Expr) -> pl.Expr:
        return pl.col("frames").filter(condition).sum()

    groups = counts.group_by(*keys).agg(
        sum_where(pl.col("change").is_not_null()).alias("changed"),
        pl.col("frames").sum(),
        sum_where((pl.col("change") == LABEL) & (pl.col("label_b") == "fake")).alias("to_fake"),
        sum_where((pl.col("change") == LABEL) & (pl.col("label_a") == "fake")).alias("from_fake"),
        sum_where(pl.col("change") == ADDED).alias("added"),
        sum_where(pl.col("change") == REMOVED).alias("removed"),
    )
    return groups.sort("changed", *keys, descending=[True, *(False for _ in keys)], nulls_last=True)
