"""Report: one self-contained HTML page that accounts for every file of the archive."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files as resource_files
from typing import Any

import jinja2
import polars as pl
from markupsafe import Markup

from schemas.params import ReportParams
from schemas.tables import LABELS
from stages import versions
from stages.view.accounts import null_frame_rows, trouble_rows
from stages.view.comparison import ComparisonEntry
from stages.view.evaluation import EvaluationEntry
from stages.view.names import visible_name
from stages.view.thumbnails import Key, Picture, pictures_of
from stages.view.truth import truth_entry, truth_summary
from stages.view.verdicts import UNCERTAIN_SHARE, VERDICTS, known_labels, metrics, plain, verdicts
from stages.view.video_entry import VideoEntry, video_entry

__all__ = ["INPUT", "VERSION", "metrics", "render", "verdicts"]

INPUT, VERSION = LABELS, versions.REPORT

MAX_ROWS = 5000
"""Videos in the table; a browser gets slow beyond. The totals count all of them."""

_ORDER = ("content_id", "frame_index", "track")

_LABEL_HEIGHTS = {
    "fake": Markup('height="6"'),
    "uncertain": Markup('y="2" height="4"'),
    "real": Markup('y="4" height="2"'),
}


def render(
    inventory: pl.DataFrame,
    labels: pl.DataFrame | pl.LazyFrame,
    segments: pl.DataFrame,
    failures: pl.DataFrame,
    provenance: pl.DataFrame,
    thumbnails: Callable[[list[Key]], dict[Key, bytes]],
    params: ReportParams,
    archive_name: str,
    evaluations: Sequence[EvaluationEntry] = (),
    truth_problems: pl.DataFrame | None = None,
    comparison: ComparisonEntry | None = None,
) -> str:
    """The page.

    Args:
        inventory: rows of INVENTORY; every one is counted, and named unless there are very many.
        labels: rows of LABELS; content that is no longer in the inventory is left out.
        segments: rows of SEGMENTS.
        failures: rows of FAILURES.
        provenance: rows of PROVENANCE.
        thumbnails: given (content_id, track, frame_index), the face crops that exist, JPEG or PNG. Called at most twice.
        params: `max_timelines` videos get a timeline and `thumbnails` pictures each.
        archive_name: the headline.
        evaluations: what `fauscan evaluate` found, one for each set of weights.
        truth_problems: rows of TRUTH_PROBLEMS.
        comparison: what `fauscan compare-backends` found.

    Returns:
        HTML. The same arguments give the same bytes; nothing in it is loaded from elsewhere.
    """
    totals = metrics(inventory, labels, segments, failures)
    known = inventory.select(pl.col("content_id").cast(pl.String)).drop_nulls().unique()
    labels = known_labels(inventory, labels)
    segments = plain(segments).join(known, on="content_id", how="semi")
    inventory, failures = plain(inventory), plain(failures)
    summed = verdicts(inventory, labels, segments, failures)
    entries, num_left = _entries(inventory, summed, labels, segments, failures, thumbnails, params)
    troubles, shown = trouble_rows(inventory, summed, failures), min(len(entries), params.max_timelines)
    script = _resource("report.js")
    return _template().render(
        archive=visible_name(archive_name),
        style=Markup(_resource("report.css")),
        script=Markup(script),
        script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        heights=_LABEL_HEIGHTS,
        tiles=_tiles(totals),
        sum_text=_sum_text(totals),
        truth_text=truth_summary(inventory, truth_problems),
        evaluations=evaluations,
        comparison=comparison,
        videos=entries,
        videos_text=_videos_text(entries, shown, num_left),
        verdict_names=[v for v in VERDICTS if any(entry.verdict == v for entry in entries)],
        troubles=troubles,
        troubles_text=_troubles_text(totals),
        frames_text=_frames_text(totals),
        null_frames=null_frame_rows(totals),
        provenance=_provenance_rows(provenance, labels),
        uncertain_percent=round(100 * UNCERTAIN_SHARE),
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("stages"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html.j2")


def _resource(name: str) -> str:
    return resource_files("stages").joinpath("templates", name).read_text(encoding="utf-8")


def _entries(
    inventory: pl.DataFrame,
    summed: pl.DataFrame,
    labels: pl.LazyFrame,
    segments: pl.DataFrame,
    failures: pl.DataFrame,
    thumbnails: Callable[[list[Key]], dict[Key, bytes]],
    params: ReportParams,
) -> tuple[list[VideoEntry], int]:
    """One entry per content that has labels, the most suspicious first; and how many did not fit."""
    scanned = summed.filter(pl.col("outcome").is_in(["labelled", "unlabelled"])).unique("content_id", keep="first", maintain_order=True)
    contents = scanned["content_id"].head(MAX_ROWS).to_list()
    drawn = contents[: params.max_timelines]
    own = labels.filter(pl.col("content_id").is_in(contents)).collect(engine="streaming").sort(_ORDER, maintain_order=True)
    rows = {key[0]: part for key, part in own.partition_by("content_id", as_dict=True).items()}
    spans = {key[0]: part for key, part in segments.partition_by("content_id", as_dict=True).items()}
    damage = {key[0]: part for key, part in failures.filter(outcome="done").partition_by("content_id", as_dict=True).items()}
    names = dict(inventory.sort("uri").group_by("content_id").agg("uri").drop_nulls("content_id").iter_rows())
    with_truth = inventory.filter(pl.col("truth_dataset").is_not_null(), pl.col("content_id").is_in(contents))
    told = {key[0]: part for key, part in with_truth.partition_by("content_id", as_dict=True).items()}
    media = {row["content_id"]: row for row in inventory.sort("uri", descending=True).iter_rows(named=True)}
    pictures: dict[str, list[Picture]] = pictures_of({c: rows[c] for c in drawn if c in rows}, params.thumbnails, thumbnails)
    entries = [
        video_entry(
            row,
            media[row["content_id"]],
            names[row["content_id"]],
            rows.get(row["content_id"], own.clear()),
            spans.get(row["content_id"], segments.clear()),
            damage.get(row["content_id"], failures.clear()),
            pictures.get(row["content_id"], []),
            draw=i < len(drawn),
            truth=truth_entry(told[row["content_id"]]) if row["content_id"] in told else None,
        )
        for i, row in enumerate(scanned.head(MAX_ROWS).iter_rows(named=True))
    ]
    return entries, scanned.height - len(entries)


def _tiles(totals: dict[str, Any]) -> list[dict[str, Any]]:
    opinions = totals["verdicts"]
    copies = _plural(totals["copies"], "copy of another file", "copies of other files")
    tiles: list[dict[str, Any]] = [
        {"title": "Files", "count": totals["files"], "note": f"with {copies}" if totals["copies"] else ""},
        {"title": "Labelled", "count": totals["labelled"], "note": "of which:"},
        *({"title": name, "count": opinions[name], "note": ""} for name in ("fake", "uncertain", "real")),
        {"title": "Filtered", "count": totals["filtered"], "note": "nothing to label"},
        {"title": "Failed", "count": totals["failed"], "note": "something is wrong with them"},
    ]
    if totals["unlabelled"]:
        tiles.append({"title": "Unlabelled", "count": totals["unlabelled"], "note": "scanned in vain"})
    if totals["pending"]:
        tiles.append({"title": "Pending", "count": totals["pending"], "note": "not scanned yet"})
    return tiles


def _sum_text(totals: dict[str, Any]) -> str:
    parts = [f"{totals['labelled']:,} labelled"]
    parts += [f"{totals['unlabelled']:,} unlabelled"] if totals["unlabelled"] else []
    parts += [f"{totals['filtered']:,} filtered", f"{totals['failed']:,} failed"]
    parts += [f"{totals['pending']:,} pending"] if totals["pending"] else []
    opinions = " + ".join(f"{totals['verdicts'][name]:,} {name}" for name in ("fake", "uncertain", "real"))
    return (
        f"Every file is accounted for: {_plural(totals['files'], 'file')} = {' + '.join(parts)}. "
        f"Of the labelled ones, {totals['labelled']:,} = {opinions}. Copies count as files of their own."
    )


def _videos_text(entries: list[VideoEntry], shown: int, num_left: int) -> str:
    copies = sum(len(entry.names) - 1 for entry in entries)
    text = [f"{_plural(len(entries), 'video')}, the most suspicious first."]
    if copies:
        verb = "is" if copies == 1 else "are"
        text.append(f"Files with the same bytes share one row: {_plural(copies, 'further name')} {verb} listed there.")
    if shown < len(entries):
        text.append(f"Timelines and pictures for the {shown:,} most suspicious; {len(entries) - shown:,} left out (report.max_timelines).")
    if num_left:
        text.append(f"{num_left:,} less suspicious videos are counted above but have no row here.")
    return " ".join(text)


def _troubles_text(totals: dict[str, Any]) -> str:
    without = totals["files"] - totals["labelled"]
    verb = "has" if without == 1 else "have"
    return (
        f"{_plural(without, 'file')} {verb} no label, each for one of the reasons below. "
        "Damaged files were labelled all the same, except where the damage is; they count as labelled."
    )


def _frames_text(totals: dict[str, Any]) -> str:
    by_label = " + ".join(f"{count:,} {'without a label' if name == 'null' else name}" for name, count in totals["frames_by_label"].items())
    spans = ", ".join(f"{count:,} {name}" for name, count in totals["fake_segments"].items())
    return (
        f"{_plural(totals['frames'], 'frame')} of video; {_plural(totals['frame_labels'], 'frame label')}, one for each face in a frame "
        f"and one for each frame without a face: {by_label}. Fake segments: {spans}. The same bytes under several names count once here."
    )


def _provenance_rows(provenance: pl.DataFrame, labels: pl.LazyFrame) -> list[dict[str, Any]]:
    """One row per provenance that made a label, known or not."""
    counts = labels.group_by("provenance_id").agg(count=pl.len()).collect(engine="streaming")
    rows = counts.join(plain(provenance), on="provenance_id", how="left").sort("count", "provenance_id", descending=[True, False])
    return rows.to_dicts()


def _plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
