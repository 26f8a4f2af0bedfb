from __future__ import annotations

import copy

from rich.console import Console

from schemas.au import AU_NAMES
from stages.compare_table import comparison_tables

AGREEMENT = {"pairs": 1_234_567, "pearson": -0.987654, "mean_abs_diff": 0.123456, "mean_a": 0.5, "mean_b": None}
RESULT = {
    "a": {"name": "faces.detect_every_ticks=1", "speed": {"faces": 1234.5, "fau": None}},
    "b": {"name": "evil\x1b[31m", "speed": {"faces": 3.25, "fau": 10_000.0}},
    "videos": 8,
    "frames": 100_000,
    "left_out": ["broken\n.mp4"],
    "min_iou": 0.5,
    "faces": {"a": 99_999, "b": 98_765, "matched": 98_000, "recall_of_a": 0.98, "recall_of_b": None, "mean_iou": 0.91},
    "aus": dict.fromkeys(AU_NAMES, AGREEMENT),
}


def printed(result: dict, width: int = 80) -> str:
    console = Console(width=width, record=True, file=None, force_terminal=False, quiet=False)
    with console.capture() as capture:
        for part in comparison_tables(result):
            console.print(part)
    return capture.get()


def test_it_fits_80_columns_with_every_figure() -> None:
    text = printed(RESULT)
    assert max(map(len, text.splitlines())) <= 80
    line = next(row for row in text.splitlines() if row.startswith("AU12"))
    assert line.split() == ["AU12", "1,234,567", "-0.988", "0.123", "0.500", "\N{EN DASH}"]
    assert "98.0 %" in text and "1,234.5" in text


def test_names_can_not_write_to_the_terminal() -> None:
    text = printed(RESULT)
    assert "\x1b" not in text and "evil\\u001b[31m" in text
    assert "left out, failed on one side: broken\\n.mp4" in text


def test_nothing_left_out_is_not_mentioned() -> None:
    result = copy.deepcopy(RESULT) | {"left_out": []}
    assert "left out" not in printed(result)
