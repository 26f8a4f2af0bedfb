from __future__ import annotations

import functools
import os
import pickle
import socket
import sys
import types
from collections.abc import Iterator

import pytest

from pipelines import engine, sandbox
from schemas.errors import FauScanError
from schemas.params import EngineParams


class Double:
    def __init__(self, offset: int) -> None:
        self._offset = offset

    def __call__(self, task: int, /) -> tuple[int, int]:
        if task == 13:
            raise FauScanError("thirteen is not welcome")
        if task == 666:
            raise LookupError("of ours")
        if task == 999:
            os._exit(1)
        return task, 2 * task + self._offset

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True, scope="module")
def _end_of_ray() -> Iterator[None]:
    """Ray speaks of dead workers when the interpreter ends, which would come after pytest's closing line."""
    yield
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
def test_an_error_of_ours_comes_through_too(name: str) -> None:
    with pytest.raises(LookupError, match="of ours"):
        run([1, 666], name)


@pytest.mark.slow
def test_a_task_that_takes_its_ray_worker_along_is_missed_once_the_others_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_TRIES", 2)  # the first is with all others, each later one is alone
    answers: list[tuple[int, int]] = []
    tasks = engine.run([999, 1, 2], functools.partial(Double, 0), EngineParams(name="ray", workers=1))
    with pytest.raises(FauScanError, match="1 of 3 tasks lost their Ray worker 2 times"):
        answers.extend(tasks)
    assert sorted(answers) == [(i, 2 * i) for i in (1, 2)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["local", "ray"])
def test_closed_early_it_leaves_the_engine_to_the_next_run(name: str) -> None:
    answers = engine.run(list(range(50)), functools.partial(Double, 1), EngineParams(name=name, workers=1))  # type: ignore[arg-type]
    first = next(answers)
    answers.close()
    assert first[1] == 2 * first[0] + 1
    assert run([1, 2], name) == {1: 3, 2: 5}


@pytest.mark.parametrize("name", ["local", "ray"])
def test_nothing_to_do_starts_nothing(name: str) -> None:
    assert run([], name) == {}


def in_an_actor(actor: type) -> object:
    (answer,) = actor()({"index": [0], "task": [pickle.dumps(1)]})["answer"]
    return pickle.loads(answer)


def test_a_node_with_another_fauscan_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    actor = engine._actor(functools.partial(Double, 0))
    assert in_an_actor(actor) == (1, 2)
    monkeypatch.setattr(engine, "version", lambda name: "0.0.1")
    answer = in_an_actor(actor)
    assert isinstance(answer, ImportError)
    assert str(answer) == f"node {socket.gethostname()}: it has FauScan 0.0.1"


@pytest.mark.slow
def test_a_node_that_lacks_a_module_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    here = types.ModuleType("only_here")
    monkeypatch.setattr(Double, "__module__", "only_here")
    monkeypatch.setattr(here, "Double", Double, raising=False)
    monkeypatch.setitem(sys.modules, "only_here", here)
    with pytest.raises(FauScanError, match=r"not fit for the work \(node .*: No module named 'only_here'\); install FauScan"):
        run([1], "ray")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://127.0.0.1:8265", "give the head's HOST:PORT .* or send the run there with"),
        ("127.0.0.1:1", "nobody answers"),
    ],
)
def test_an_address_that_is_no_cluster_is_said_at_once(address: str, message: str) -> None:
    with pytest.raises(FauScanError, match=message):
        engine._check_address(address)


class Held:
    """Does its work in a sandbox, as all workers do."""

    def __init__(self) -> None:
        self._sandbox = sandbox.borrow()

    def __call__(self, task: int, /) -> int:
        return int(self._sandbox.call(pickle.dumps(functools.partial(Double, 0)), task, 60, 4096)[1])

    def close(self) -> None:
        sandbox.give_back(self._sandbox)


@pytest.mark.slow
def test_local_steps_share_processes() -> None:
    params = EngineParams(name="local", workers=1)
    assert list(engine.run([1, 2], Held, params)) == [2, 4]
    before = [held._process for held in sandbox._idle]
    assert list(engine.run([3], Held, params)) == [6]
    assert [held._process for held in sandbox._idle] == before
    assert before[-1] is not None


def test_ray_is_started_again_when_the_machine_was_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    slow, tried = 2, 0

    def init(**_: object) -> None:
        nonlocal tried
        tried += 1
        if tried <= slow:
            raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    engine._start_here()
    assert tried == 3
    slow, tried = 3, 0
    with pytest.raises(FauScanError, match=r"Ray did not start on this machine \(The current node timed out .*--engine local"):
        engine._start_here()
