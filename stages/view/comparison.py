"""Comparison: what `fauscan compare-backends` found, as the report page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stages.view.names import visible_name

DASH = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class ComparisonEntry:
    """Two backends. Cells are texts, ready to show."""

    text: str
    sides: list[list[str]]
    """Letter, settings, faces, share that the other side has, frames/s, faces/s."""
    units: list[list[str]]
    """Action unit, pairs, correlation, mean absolute difference, both means."""


def comparison_entry(result: dict[str, Any]) -> ComparisonEntry:
    """result: the content of compare-backends.json. Raises KeyError, TypeError, ValueError or AttributeError for anything else."""
    faces = result["faces"]
    overlap = _short(faces["mean_iou"], 2)
    text = (
        f"{int(result['videos']):,} videos, {int(result['frames']):,} frames. {int(faces['matched']):,} faces are in both: boxes of one "
        f"frame that overlap by {float(result['min_iou']):g} or more, each the other's best; mean overlap {overlap}."
    )
    if result["left_out"]:
        text += f" Left out, as one side failed: {', '.join(result['left_out'])}."
    sides = [
        [
            side.upper(),
            visible_name(str(result[side]["name"])),
            f"{int(faces[side]):,}",
            DASH if faces[f"recall_of_{side}"] is None else f"{100 * float(faces[f'recall_of_{side}']):.1f} %",
            _short(result[side]["speed"]["faces"], 1),
            _short(result[side]["speed"]["fau"], 1),
        ]
        for side in ("a", "b")
    ]
    units = [
        [visible_name(au), f"{int(row['pairs']):,}", *(_short(row[name], 3) for name in ("pearson", "mean_abs_diff", "mean_a", "mean_b"))]
        for au, row in result["aus"].items()
    ]
    return ComparisonEntry(visible_name(text), sides, units)


def _short(value: float | None, digits: int) -> str:
    return DASH if value is None else f"{float(value):,.{digits}f}"
