"""View: hands the public tables to the report page and to the terminal."""

from __future__ import annotations

import json

import polars as pl
from rich.console import Console

from pipelines.listing import read_inventory
from pipelines.parquet import damage_found_late, read_frame, write_bytes_if_changed
from pipelines.progress import console
from pipelines.publish import scan_labels
from pipelines.step import receipts_of
from pipelines.truth import read_problems
from pipelines.workspace import Workspace
from schemas.errors import WorkspaceError
from schemas.tables import FAILURES, PROVENANCE, SEGMENTS
from stages import report, terminal
from stages.contract import as_frame
from stages.view.comparison import ComparisonEntry, comparison_entry
from stages.view.evaluation import EvaluationEntry, evaluation_entry

EVALUATION_NAME = "metrics-evaluate.json"
"""Beside the report: what `fauscan evaluate` found."""

COMPARISON_NAME = "compare-backends.json"
"""Beside the report: what `fauscan compare-backends` found."""

_MOST_ROWS = 40


def write_report(workspace: Workspace) -> None:
    """Writes `reports/index.html` and `reports/metrics.json`.

    Raises:
        WorkspaceError: there are no labels yet, or the figures of an evaluation are damaged.
    """
    inventory, labels, segments, failures = _tables(workspace)
    provenance = read_frame(workspace.data / "provenance.parquet", "fauscan label", PROVENANCE)
    with damage_found_late(workspace.labels):
        page = report.render(
            inventory,
            labels,
            segments,
            failures,
            provenance,
            _Thumbnails(workspace),
            workspace.params.report,
            workspace.archive().name,
            _evaluations(workspace),
            read_problems(workspace),
            _comparison(workspace),
        )
        found = report.metrics(inventory, labels, segments, failures)
    write_bytes_if_changed(page.encode(), workspace.report)
    totals = json.dumps(found, indent=2, sort_keys=True) + "\n"
    write_bytes_if_changed(totals.encode(), workspace.report.with_name("metrics.json"))
    console.print(f"{'report':<10} {workspace.report}", highlight=False, soft_wrap=True)


def _evaluations(workspace: Workspace) -> list[EvaluationEntry]:
    path = workspace.report.with_name(EVALUATION_NAME)
    if not path.is_file():
        return []
    try:
        return [evaluation_entry(result) for result in json.loads(path.read_bytes())["results"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise WorkspaceError(f"{path}: not what `fauscan evaluate` writes; delete it, or run `fauscan evaluate` again") from None


def _comparison(workspace: Workspace) -> ComparisonEntry | None:
    path = workspace.report.with_name(COMPARISON_NAME)
    if not path.is_file():
        return None
    try:
        return comparison_entry(json.loads(path.read_bytes()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise WorkspaceError(f"{path}: not what `fauscan compare-backends` writes; delete it, or run that again") from None


def print_verdicts(workspace: Workspace) -> None:
    """A table of videos on stdout, the most suspicious first."""
    inventory, labels, segments, failures = _tables(workspace)
    with damage_found_late(workspace.labels):
        rows = report.verdicts(inventory, labels, segments, failures)
    out = Console()
    out.print(terminal.verdict_table(rows.head(_MOST_ROWS)))
    if rows.height > _MOST_ROWS:
        out.print(f"… and {rows.height - _MOST_ROWS} more files in {workspace.report}")


def show_video(workspace: Workspace, wanted: str) -> None:
    """Prints one video.

    Raises:
        WorkspaceError: no video, or several, have that name.
    """
    inventory, labels, segments, failures = _tables(workspace)
    rows = inventory.filter(pl.col("uri") == wanted)
    if rows.is_empty():
        rows = inventory.filter(pl.col("uri").str.ends_with("/" + wanted) | pl.col("content_id").str.starts_with(wanted).fill_null(False))
    if rows.is_empty():
        rows = inventory.filter(pl.col("uri").str.contains(wanted, literal=True))
    if rows.is_empty():
        raise WorkspaceError(f"{wanted}: no such file in the inventory of {workspace.root} ({inventory.height} files)")
    if rows["content_id"].n_unique() > 1:
        names = ", ".join(rows["uri"].head(5)) + (", …" if rows.height > 5 else "")
        raise WorkspaceError(f"{wanted}: {rows.height} files have that name; give more of the path: {names}")
    video = rows.to_dicts()[0]
    same = pl.col("content_id") == (video["content_id"] or "")
    out = Console()
    own_failures = failures.filter(same | (pl.col("uri") == video["uri"]))
    with damage_found_late(workspace.labels):
        own = labels.filter(same).collect()
    out.print(terminal.show(video["uri"], video, own, segments.filter(same), own_failures, out.width))


def _tables(workspace: Workspace) -> tuple[pl.DataFrame, pl.LazyFrame, pl.DataFrame, pl.DataFrame]:
    """Inventory, labels, segments and failures. Labels have a row for each frame of the archive, and stay on the disk."""
    if not (workspace.data / "segments.parquet").is_file():
        raise WorkspaceError(f"{workspace.root}: no labels yet; run `dvc repro`, or `fauscan label` after the steps before it")
    return (
        read_inventory(workspace.inventory),
        scan_labels(workspace),
        read_frame(workspace.data / "segments.parquet", "fauscan label", SEGMENTS),
        read_frame(workspace.data / "failures.parquet", "fauscan label", FAILURES),
    )


class _Thumbnails:
    """Face crops from the store, by (content_id, track, frame_index)."""

    def __init__(self, workspace: Workspace) -> None:
        self._store = workspace.store()
        self._key_of = {content_id: r.unit_key for r in receipts_of(workspace, "faces") for content_id in r.outcomes}

    def __call__(self, wanted: list[tuple[str, int, int]]) -> dict[tuple[str, int, int], bytes]:
        found: dict[tuple[str, int, int], bytes] = {}
        keys = sorted({self._key_of[content_id] for content_id, _, _ in wanted if content_id in self._key_of})
        for key in keys:
            frame = as_frame(self._store.read("faces", key, "frames", ["content_id", "frame_index", "tick"]))
            crops = as_frame(self._store.read("faces", key, "faces", ["content_id", "track", "tick", "crop"]))
            asked = pl.DataFrame(wanted, schema={"content_id": pl.String, "track": pl.Int16, "frame_index": pl.Int32}, orient="row")
            rows = asked.join(frame, on=["content_id", "frame_index"]).join(crops, on=["content_id", "track", "tick"])
            found |= {(r["content_id"], r["track"], r["frame_index"]): r["crop"] for r in rows.to_dicts()}
        return found
