from __future__ import annotations

import functools
import os
from collections.abc import Iterator

import pytest

from pipelines import engine
from schemas.errors import FauScanError
from schemas.params import EngineParams


class Double:
    def __init__(self, offset: int) -> None:
        self._offset = offset

    def __call__(self, task: int, /) -> tuple[int, int]:
        if task == 13:
            raise FauScanError("thirteen is not welcome")
        if task == 666:
            os._exit(1)
        return task, 2 * task + self._offset

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True, scope="module")
def _end_of_ray() -> Iterator[None]:
    """Ray speaks of dead workers when the interpreter ends, which would come after pytest's closing line."""
    yield
    import sys

    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()
        engine._connect.cache_clear()


def run(tasks: list[int], name: str) -> dict[int, int]:
    return dict(engine.run(tasks, functools.partial(Double, 1), EngineParams(name=name, workers=2)))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["local", "ray"])
def test_every_task_is_done_once(name: str) -> None:
    assert run(list(range(10)), name) == {i: 2 * i + 1 for i in range(10)}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["local", "ray"])
def test_an_error_for_people_comes_through_as_it_is(name: str) -> None:
    with pytest.raises(FauScanError, match="thirteen is not welcome"):
        run([1, 13], name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["local", "ray"])
def test_a_process_that_dies_ends_the_run_with_a_message(name: str) -> None:
    with pytest.raises(FauScanError, match="died"):
        run([666], name)


@pytest.mark.parametrize("name", ["local", "ray"])
def test_nothing_to_do_starts_nothing(name: str) -> None:
    assert run([], name) == {}


class Who:
    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, task: int, /) -> tuple[str, int, int]:
        return self._name, os.getpid(), task

    def close(self) -> None:
        self._name = "closed"


@pytest.mark.slow
def test_steps_share_processes_and_never_workers() -> None:
    params = EngineParams(name="local", workers=1)
    answers = [list(engine.run([1, 2], functools.partial(Who, name), params)) for name in ("one", "two", "one")]
    assert [name for part in answers for name, _, _ in part] == ["one", "one", "two", "two", "one", "one"]
    assert len({pid for part in answers for _, pid, _ in part}) == 1


@pytest.mark.slow
def test_after_a_death_the_next_run_has_new_processes() -> None:
    with pytest.raises(FauScanError, match="died"):
        run([1, 666], "local")
    assert run([1, 2], "local") == {1: 3, 2: 5}
