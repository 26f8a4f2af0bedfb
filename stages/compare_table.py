"""Comparison table: two backends side by side, for a terminal of 80 columns."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from stages.view.names import visible_name

DASH = "\N{EN DASH}"


def comparison_tables(result: dict[str, Any]) -> list[RenderableType]:
    """What each side is, faces and speed, then the action units. result: of `pipelines.compare`."""
    faces = result["faces"]
    sides = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("", "faces", "the other has", "faces: frames/s", "AUs: faces/s"):
        sides.add_column(name, justify="left" if not name else "right")
    for side in ("a", "b"):
        speed = result[side]["speed"]
        sides.add_row(
            side.upper(), f"{faces[side]:,}", _percent(faces[f"recall_of_{side}"]), _short(speed["faces"], 1), _short(speed["fau"], 1)
        )
    units = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("", "pairs", "correlation", "mean |A-B|", "mean A", "mean B"):
        units.add_column(name, justify="left" if not name else "right")
    for au, row in result["aus"].items():
        figures = (_short(row[name], 3) for name in ("pearson", "mean_abs_diff", "mean_a", "mean_b"))
        units.add_row(au, f"{row['pairs']:,}", *figures)
    lines: list[RenderableType] = [
        Text(f"A: {visible_name(result['a']['name'])}"),
        Text(f"B: {visible_name(result['b']['name'])}"),
        Text(f"{result['videos']:,} videos, {result['frames']:,} frames; {faces['matched']:,} faces in both, {_overlap(faces)}", "dim"),
        Text(),
        sides,
        Text(),
        units,
    ]
    if result["left_out"]:
        lines.append(Text(f"left out, failed on one side: {', '.join(visible_name(uri) for uri in result['left_out'])}", "dim"))
    return lines


def _overlap(faces: dict[str, Any]) -> str:
    return f"mean overlap {_short(faces['mean_iou'], 2)}"


def _percent(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:.1f} %"


def _short(value: float | None, digits: int) -> str:
    return DASH if value is None else f"{value:,.{digits}f}"
