from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console, RenderableType

from stages.figures_table import DASH, cross_table, figure_tables
from tests.stages.test_evaluate import perfect

FACTS = {"weights": "lite", "weights_sha256": "ab" * 32, "preset": "lite", "data": "forged", "split": "test"}


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    archive = perfect()
    archive.clip("mouth_replay_of_a_long_name", [(1.0, 2.0)], known_from=1)
    archive.clip("desync", [(0.0, 4.0)], streams=("audio",), traces=[])
    return FACTS | archive.run()


def lines(*parts: RenderableType) -> list[str]:
    out = StringIO()
    console = Console(file=out, width=80)
    for part in parts:
        console.print(part)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_fits_in_eighty_columns_and_cuts_no_figure(result: dict[str, Any]) -> None:
    shown = lines(*figure_tables(result))
    assert max(map(len, shown)) <= 80
    assert not any("…" in line for line in shown)
    assert "lite on forged, split test" in shown
    assert any(line.split()[:3] == ["total", "all", "10"] for line in shown)
    assert "total, all: 99 % of the frames have a probability" in shown  # 100 % would mean every frame
    assert any(line.split()[:3] == ["audio", "all", "4"] for line in shown)
    assert "audio: forged clips left out, whose audio shows no trace by itself: 1" in shown


def test_names_what_is_missing(result: dict[str, Any]) -> None:
    missing = {"missing_labels": [f"{n}.mp4" for n in range(7)], "missing_truth": ["\x1b[31mred.mp4"]}
    shown = " ".join(lines(*figure_tables(result | missing)))
    assert "clips of the truth without labels: 7 (0.mp4, 1.mp4, 2.mp4, 3.mp4, 4.mp4 and 2 more)" in shown
    assert "videos that the truth does not know: 1 (\\u001b[31mred.mp4)" in shown


def test_the_cross_table_has_weights_for_rows_and_data_for_columns(result: dict[str, Any]) -> None:
    other = result | {"weights": "own", "data": "elsewhere"}
    shown = lines(cross_table([result, result | {"data": "elsewhere"}, other]))
    header, lite, own = shown[-3:]
    assert header.split() == ["weights", "forged", "elsewhere"]
    assert lite.split()[0] == "lite" and lite.split().count("1.000") == 2
    assert own.split()[:2] == ["own", DASH]
