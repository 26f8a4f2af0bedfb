"""View: what is in a curated set, for a terminal of 80 columns."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.curation import SPLITS
from stages.curate.select import Selected
from stages.view.names import visible_name

_NUMBERS = ("clips", "real", "fake", "videos", "components", "identities")


def print_set(name: str, folder: Path, selected: Selected, written: list[str]) -> None:
    """Prints the steps, the splits, and what they share, on stdout."""
    console = Console()
    steps = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    steps.add_column("step", overflow="fold")
    steps.add_column("left", justify="right")
    for step in selected.funnel.steps:
        steps.add_row(Text(visible_name(step.step)), f"{step.count:,} {step.unit}")
    splits = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    splits.add_column("split")
    for column in (*_NUMBERS, "wanted", "reached"):
        splits.add_column(column.replace("components", "groups").replace("identities", "people"), justify="right", no_wrap=True)
    for split in SPLITS:
        row = selected.proof["splits"][split]
        splits.add_row(split, *(f"{row[n]:,}" for n in _NUMBERS), f"{row['wanted']:.0%}", f"{row['reached']:.1%}")
    console.print(steps, Text(), splits, Text(), _shared(selected), sep="\n")
    unknown = selected.proof["videos_without_identity"]
    if unknown:
        console.print(Text(f"{unknown:,} videos have no known identity: nothing keeps their people in one split.", "yellow"))
    what = f"{len(written)} files written" if written else "nothing new"
    where = visible_name(str(folder))
    console.print(Text(f"{visible_name(name)}: {selected.selection.height:,} clips in {where} ({what})"), soft_wrap=True)


def _shared(selected: Selected) -> Text:
    parts = []
    for name, row in selected.proof["relations"].items():
        note = "" if row["enforced"] else ", not asked for"
        parts.append(f"{name} {row['overlaps']}/{row['groups']:,}{note}")
    return Text("Shared by splits (of all): " + "; ".join(parts))
