"""Forge report: what a run made, as a table of 80 columns."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from rich.table import Table

from pipelines.forge_sources import Skipped
from pipelines.progress import console
from schemas.recipe import KINDS, REAL
from stages.view.names import visible_name

_SPLITS = ("train", "dev", "test")
_NAMED = 8  # skipped sources that are named; the rest is in the file


def print_summary(target: Path, rows: list[dict[str, Any]], skipped: list[Skipped]) -> None:
    """Kinds by splits, identities, hours, gigabytes; then what was left out."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for name in (*_SPLITS, "all"):
        table.add_column(name, justify="right")
    for kind in (REAL, *KINDS):
        counts = Counter(row["split"] for row in rows if row["kind"] == kind)
        if counts:
            table.add_row(kind, *(f"{counts[s]:,}" for s in _SPLITS), f"{counts.total():,}")
    groups = [[row for row in rows if row["split"] == s] for s in _SPLITS] + [rows]
    table.add_section()
    table.add_row("identities", *(f"{len({row['identity'] for row in group})}" for group in groups))
    table.add_row("hours", *(f"{sum(row['duration'] for row in group) / 3600:.2f}" for group in groups))
    table.add_row("GB", *(f"{sum((target / row['file']).stat().st_size for row in group) / 1e9:.2f}" for group in groups))
    console.print(table)
    skipped = [entry for entry in skipped if entry.reason != "excluded"]
    for entry in skipped[:_NAMED]:
        line = visible_name(f"{entry.uri}: {entry.reason} ({entry.detail}): {entry.consequence}")
        console.print(line, highlight=False, markup=False, style="yellow")
    if len(skipped) > _NAMED:
        console.print(f"and {len(skipped) - _NAMED} more; all are in {target / 'skipped.csv'}", highlight=False, style="yellow")
