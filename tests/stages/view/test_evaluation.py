"""The evaluation section of the report page."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.params import ReportParams
from schemas.tables import PROVENANCE
from stages import report
from stages.view.evaluation import EvaluationEntry, evaluation_entry
from tests.stages import test_report
from tests.stages.test_evaluate import perfect
from tests.stages.test_figures_table import FACTS


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    return FACTS | perfect().run()


def page(entries: list[EvaluationEntry]) -> str:
    archive = test_report.Archive()
    archive.video("a.mp4")
    provenance = test_report.table(PROVENANCE, [])
    return report.render(*archive.tables(), provenance, archive.thumbnails, ReportParams(), "archive", entries)


def test_without_an_evaluation_the_page_does_not_speak_of_one() -> None:
    assert "fauscan evaluate" not in page([])


def test_the_page_shows_a_row_for_each_head_and_kind_and_a_diagram_for_each_head(result: dict[str, Any]) -> None:
    entry = evaluation_entry(result)
    assert [(row.head, row.kind) for row in entry.rows] == [
        ("total", "all"), ("total", "audio_swap"), ("total", "face_swap"),
        ("audio", "all"), ("audio", "audio_swap"), ("visual", "all"), ("visual", "face_swap"),
    ]  # fmt: skip
    assert entry.rows[0].figures[0].startswith("1.000")
    shown = page([entry])
    assert shown.count('class="reliability"') == 3
    assert 'href="#evaluation"' in shown and "8 forged clips of split test" in shown


def test_the_diagram_stays_in_its_square(result: dict[str, Any]) -> None:
    for chart in evaluation_entry(result).charts:
        assert chart.points
        for point in chart.points:
            assert 0 <= point["x"] <= 100 and 0 <= point["y"] <= 100
        assert sum(bar["height"] for bar in chart.bars) == pytest.approx(100, abs=0.1)


def test_names_can_do_no_harm(result: dict[str, Any]) -> None:
    for hostile in test_report.HOSTILE:
        kinds = {hostile: result["heads"]["total"]["kinds"]["all"]}
        heads = {hostile: result["heads"]["total"] | {"kinds": kinds, "without_trace": 3}}
        entry = evaluation_entry(
            result | {"weights": hostile, "data": hostile, "split": hostile, "weights_sha256": hostile, "heads": heads}
        )
        shown = page([entry])
        assert shown.count("<script") == 1 and "onerror=alert(1)>" not in shown and "\x1b" not in shown and "\u202e" not in shown


@pytest.mark.parametrize("broken", [{}, {"heads": {"total": {}}}, {"clips": None}])
def test_what_is_no_evaluation_is_an_error(broken: dict[str, Any], result: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        evaluation_entry((result | broken) if broken else broken)
