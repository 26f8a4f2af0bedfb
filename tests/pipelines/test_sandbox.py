"""A process that crashes, hangs or eats memory is ended and replaced; nothing of it outlives its driver."""

from __future__ import annotations

import functools
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipelines.sandbox import DeathError, Sandbox, SetupError, StoppedError
from schemas.errors import FauScanError, ParamsError
from schemas.reasons import Reason


class Runner:
    def __init__(self, name: str = "") -> None:
        if name == "no weights":
            raise ParamsError("no weights there")
        if name == "bug":
            raise KeyError("bug")
        self._name = name

    def __call__(self, task: Any) -> Any:
        match task:
            case "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "exit":
                os._exit(7)
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                threading.Event().wait()
            case "memory":
                kept = []
                while len(kept) < 100:  # 1.6 GB: above the limit, and nothing that endangers the machine if nobody looks
                    kept.append(b"x" * 2**24)
                threading.Event().wait()
            case "MemoryError":
                raise MemoryError
            case "error":
                raise ValueError("of ours")
            case "people":
                raise FauScanError("for people")
            case "odd":
                raise OddError(1, 2)
        return self._name, os.getpid(), task


class OddError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox()
    yield made
    made.close()


def call(sandbox: Sandbox, task: Any, name: str = "", timeout_s: float = 600, memory_mb: int = 4096) -> Any:
    return sandbox.call(pickle.dumps(functools.partial(Runner, name)), task, timeout_s, memory_mb)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "reason", "detail", "by_chance"),
    [
        ("segfault", Reason.DECODER_CRASHED, "SIGSEGV", True),
        ("exit", Reason.DECODER_CRASHED, "exit code 7", True),
        ("killed", Reason.OUT_OF_MEMORY, "from outside", True),
        ("MemoryError", Reason.OUT_OF_MEMORY, "could not be had", True),
    ],
)
def test_a_death_says_why_and_the_next_task_has_a_new_process(
    sandbox: Sandbox, task: str, reason: Reason, detail: str, by_chance: bool
) -> None:
    with pytest.raises(DeathError, match=detail) as caught:
        call(sandbox, task)
    assert (caught.value.reason, caught.value.by_chance) == (reason, by_chance)
    assert call(sandbox, 1)[2] == 1


@pytest.mark.slow
def test_a_process_that_is_killed_before_its_first_word_is_a_death_as_any_other(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def stillborn(_: int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"])
        process.wait()
        return process

    with monkeypatch.context() as patched:
        patched.setattr("pipelines.sandbox._spawn", stillborn)
        with pytest.raises(DeathError, match="SIGSEGV") as caught:
            call(sandbox, 1)
    assert caught.value.by_chance
    assert call(sandbox, 1)[2] == 1


@pytest.mark.slow
def test_limits_of_time_and_memory_are_kept(sandbox: Sandbox) -> None:
    with pytest.raises(DeathError, match="longer than 1 s") as caught:
        call(sandbox, "hang", timeout_s=1)
    assert caught.value.reason is Reason.TIMEOUT
    with pytest.raises(DeathError, match="more than 500 MB") as caught:
        call(sandbox, "memory", memory_mb=500)
    assert caught.value.reason is Reason.OUT_OF_MEMORY
    assert call(sandbox, 1)[2] == 1


@pytest.mark.slow
def test_errors_come_through_and_the_process_stays(sandbox: Sandbox) -> None:
    first = call(sandbox, 1)
    with pytest.raises(ValueError, match="of ours") as caught:
        call(sandbox, "error")
    assert "in __call__" in caught.value.__notes__[0]
    with pytest.raises(FauScanError, match="for people"):
        call(sandbox, "people")
    with pytest.raises(RuntimeError, match="OddError: 1 and 2"):
        call(sandbox, "odd")
    assert call(sandbox, 1) == first


@pytest.mark.slow
def test_a_runner_that_can_not_be_made_is_nobodys_video(sandbox: Sandbox) -> None:
    with pytest.raises(ParamsError, match="no weights there"):
        call(sandbox, 1, "no weights")
    with pytest.raises(SetupError, match="KeyError: 'bug'"):
        call(sandbox, 1, "bug")
    one, two = call(sandbox, 1, "one"), call(sandbox, 1, "two")
    assert (one[0], two[0]) == ("one", "two")
    assert one[1] == two[1]


@pytest.mark.slow
def test_a_process_that_does_not_come_up_is_nobodys_video_either(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyarrow.py").write_text("raise SystemExit(3)", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(FauScanError, match="exit code 3 before its first video"):
        call(sandbox, 1)


@pytest.mark.slow
def test_pandas_is_not_imported_but_can_be(sandbox: Sandbox) -> None:
    see = pickle.dumps(functools.partial(eval, "lambda _: __import__('sys').modules.get('pandas')"))
    use = pickle.dumps(functools.partial(eval, "lambda _: __import__('pandas').DataFrame({'a': [1]}).shape"))
    assert sandbox.call(see, 1, 60, 4096) is None
    assert sandbox.call(use, 1, 60, 4096) == (1, 1)


@pytest.mark.slow
def test_closed_from_another_thread_it_stops_at_once(sandbox: Sandbox) -> None:
    _, pid, _ = call(sandbox, 1)
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            call(sandbox, "hang")
        except StoppedError as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    sandbox.close()
    thread.join()
    assert len(caught) == 1
    assert not psutil.pid_exists(pid)
    with pytest.raises(StoppedError):
        call(sandbox, 1)


@pytest.mark.slow
def test_it_dies_with_its_driver_even_while_it_hangs(tmp_path: Path) -> None:
    code = """
import functools, pickle, threading
from pipelines.sandbox import Sandbox
from tests.pipelines.test_sandbox import Runner
sandbox, recipe = Sandbox(), pickle.dumps(Runner)
print(sandbox.call(recipe, 1, 600, 4096)[1], flush=True)
sandbox.call(recipe, "hang", 600, 4096)
"""
    root = Path(__file__).parents[2]
    driver = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=root)
    assert driver.stdout is not None
    child = psutil.Process(int(driver.stdout.readline()))
    driver.kill()
    driver.wait()
    child.wait(timeout=300)
