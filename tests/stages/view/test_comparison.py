from __future__ import annotations

import pytest

from stages import report
from stages.view.comparison import comparison_entry
from tests.stages.test_compare_table import RESULT
from tests.stages.test_report import PROVENANCE, Archive, Page, ReportParams, table


def test_the_page_shows_both_sides_and_every_action_unit() -> None:
    made = Archive()
    made.video("real.mp4")
    entry = comparison_entry(RESULT | {"a": RESULT["a"] | {"name": "<script>alert(1)</script>"}})
    html = report.render(*made.tables(), table(PROVENANCE, []), made.thumbnails, ReportParams(), "demo", comparison=entry)
    page = Page(html)
    assert page.count("h2", id="backends") == 1 and page.count("a", href="#backends") == 1
    assert "AU12 1,234,567 -0.988 0.123 0.500 \N{EN DASH}" in page.text
    assert "99,999 98.0 % 1,234.5 \N{EN DASH}" in page.text
    assert "<script>alert(1)" not in html
    assert page.open == []


def test_without_a_comparison_there_is_no_such_section() -> None:
    made = Archive()
    made.video("real.mp4")
    html = report.render(*made.tables(), table(PROVENANCE, []), made.thumbnails, ReportParams(), "demo")
    assert "Backends compared" not in html


@pytest.mark.parametrize("wrong", [{}, {"faces": {}}, RESULT | {"aus": {"AU01": {}}}])
def test_a_file_of_something_else_is_noticed(wrong: dict) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        comparison_entry(wrong)
