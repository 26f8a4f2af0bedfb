"""Evaluate known: holds the labels of a workspace against the truth of its own inventory."""

from __future__ import annotations

from typing import Any

import polars as pl
from rich.console import Console

from fauforensics.checkpoint_info import read_info
from pipelines.evaluate import write_results
from pipelines.listing import read_inventory
from pipelines.parquet import damage_found_late, read_frame
from pipelines.progress import console
from pipelines.publish import scan_labels
from pipelines.workspace import Workspace
from schemas.errors import TruthError
from schemas.fingerprint import digest
from schemas.tables import SEGMENTS
from schemas.truth import TruthRow
from stages import evaluate as stage
from stages import figures_table
from stages.metrics.bootstrap import RESAMPLES
from stages.truth_frames import FrameRule
from stages.truth_rows import truth_rows

MOST_CLIPS = 500
"""In a run that was not asked for figures: a thousand clips of eight seconds with 500 draws take a minute and a half."""
_MOST_DRAWS = 50_000
"""Clips times draws, then."""


def evaluate_known(
    workspace: Workspace,
    split: str | None = None,
    rule: FrameRule | None = None,
    resamples: int = RESAMPLES,
    most_clips: int | None = None,
) -> dict[str, Any]:
    """Measures, writes what `fauscan evaluate` writes but for the page. Labels nothing.

    Args:
        workspace: with labels.
        split: of the truth; by default `test` where any video is in it, else all.
        rule: which frames of a span are fake; by default that of the parameters.
        resamples: of the bootstrap.
        most_clips: takes a sample of the clips, always the same one, where there are more.

    Raises:
        TruthError: of no labelled video it is known whether it is fake, or those are all real or all forged.
        WorkspaceError: there is no inventory, or there are no labels.
    """
    inventory = read_inventory(workspace.inventory)
    known = truth_rows(inventory)
    if not known:
        raise TruthError(
            f"{workspace.inventory}: of no video it is known whether it is fake; the archive needs the metadata of a data set "
            "(`fauscan inventory --dataset NAME` says what it misses), or give --data"
        )
    chosen = split or ("test" if any(row.split == "test" for row in known) else "all")
    found: list[TruthRow] = stage.select(known, chosen)
    rows = found if most_clips is None else _sample(found, most_clips)
    resamples = min(resamples, _MOST_DRAWS // len(rows)) if most_clips is not None else resamples
    every = scan_labels(workspace)
    own = inventory.filter(pl.col("uri").is_in([row.file for row in rows]))["content_id"].drop_nulls().unique()
    with damage_found_late(workspace.labels):
        labels = every.filter(pl.col("content_id").is_in(own.implode())).collect()  # a sample of a large archive need not read all of it
    segments = read_frame(workspace.data / "segments.parquet", "fauscan label", SEGMENTS)
    try:
        figures = stage.run(rows, inventory, labels, segments, rule or workspace.params.dataset.frame_rule, resamples)
    except TruthError as error:
        raise TruthError(f"{workspace.inventory}: split {chosen!r}: {error}") from None
    labelled = every.select(pl.col("content_id").unique()).collect()["content_id"]
    without = pl.col("content_id").is_in(labelled.implode()) & ~pl.col("uri").is_in([row.file for row in known])
    figures["missing_truth"] = inventory.filter(without)["uri"].sort().to_list()
    info = read_info(workspace.weights())
    result: dict[str, Any] = {"weights": workspace.weights().stem, "data": workspace.archive().name, "weights_sha256": info.sha256}
    result |= {"preset": info.config.preset, "split": chosen} | figures
    if len(rows) < len(found):
        result["sampled_from"] = len(found)
    write_results(workspace, [result])
    return result


def _sample(rows: list[TruthRow], most: int) -> list[TruthRow]:
    """As many real clips as forged ones, as far as there are, in the order of the rows."""
    if len(rows) <= most:
        return rows
    drawn = sorted(rows, key=lambda row: digest(row.file))
    forged, real = ([row for row in drawn if stage.is_forged(row) is wanted] for wanted in (True, False))
    num_real = min(len(real), max(most // 2, most - len(forged)))
    taken = {row.file for row in (*real[:num_real], *forged[: most - num_real])}
    return [row for row in rows if row.file in taken]


def print_figures(result: dict[str, Any]) -> None:
    """Tables on stdout."""
    printed = Console()
    for part in figures_table.figure_tables(result):
        printed.print(part)


def evaluate_if_known(workspace: Workspace, leave_nothing_out: bool = False) -> None:
    """`evaluate_known` where it can be done, of a sample, and one line; nothing where there is no truth, as of most archives.

    Args:
        workspace: with labels.
        leave_nothing_out: writes files without figures then, for DVC, which wants to see all of them.
    """
    said = None
    if truth_rows(read_inventory(workspace.inventory)):
        try:
            said = _in_short(evaluate_known(workspace, most_clips=MOST_CLIPS))
        except TruthError as error:
            console.print(f"{'evaluate':<10} {error}", highlight=False, soft_wrap=True, markup=False)
    if said is not None:
        console.print(f"{'evaluate':<10} {said}", highlight=False, soft_wrap=True, markup=False)
    elif leave_nothing_out:
        write_results(workspace, [])


def _in_short(result: dict[str, Any]) -> str:
    clips, auc = result["clips"], result["heads"]["total"]["kinds"][stage.ALL]["frame_auc"]["value"]
    told = "not known" if auc is None else f"{auc:.3f}"
    text = f"frame AUC {told} over {clips['real']:,} real and {clips['forged']:,} forged videos of split {result['split']}"
    return text + (f" (a sample of {result['sampled_from']:,})" if "sampled_from" in result else "")
