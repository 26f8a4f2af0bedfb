from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from pipelines.forge_pool import Crash, run_all


def _double(task: int) -> int:
    if task == 3:
        raise ValueError("three is not allowed")
    if task == 5:
        os._exit(9)  # as a crash in native code would
    return 2 * task


def _make() -> Callable[[int], int]:
    return _double


@pytest.mark.slow
def test_a_task_that_kills_its_process_costs_itself_only() -> None:
    answers = dict(run_all(list(range(8)), _make, 2))
    assert answers[3] == Crash("ValueError: three is not allowed")
    assert isinstance(answers[5], Crash) and "died" in answers[5].detail
    assert {task: answer for task, answer in answers.items() if task not in {3, 5}} == {t: 2 * t for t in (0, 1, 2, 4, 6, 7)}


def test_no_tasks_start_no_process() -> None:
    assert list(run_all([], _make, 2)) == []
