"""Sandbox: a process that may crash, hang or eat memory in somebody's video without taking anybody along."""

from __future__ import annotations

import atexit
import concurrent.futures
import contextlib
import functools
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any

import psutil

from schemas.errors import FauScanError
from schemas.reasons import Reason

_POLL_S = 0.05
READY = b"ready"
MakeRunner = Callable[[], Callable[[Any], Any]]
"""Picklable: it is called in the sandbox's process, once; what it returns is called there for each task."""


class DeathError(Exception):
    """The process ended, or had to be ended, over a task.

    `reason` is DECODER_CRASHED, TIMEOUT or OUT_OF_MEMORY; `by_chance` says whether another try may well go better.
    """

    def __init__(self, reason: Reason, detail: str, *, by_chance: bool) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason, self.detail, self.by_chance = reason, detail, by_chance


class StoppedError(Exception):
    """The sandbox was closed while a task was in it."""


class SetupError(Exception):
    """The runner could not be made: nobody's video is to blame."""


class Sandbox:
    """Runs one task at a time in a process of its own; a process that died is replaced with the next task.

    A process outlives the step that used it and serves the next one: starting an interpreter takes longer than many a unit.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._ready = False
        self._closed = False
        self._lock = threading.Lock()

    def call(self, make_runner: bytes, task: Any, timeout_s: float, memory_mb: int) -> Any:
        """The runner's answer to a task.

        Args:
            make_runner: a pickled `MakeRunner`; a new runner is made when it differs from the last task's.
            task: picklable.
            timeout_s: wall clock; the process is killed after that.
            memory_mb: resident memory; the process is killed above that.

        Raises:
            DeathError: the process died, or was killed for one of the two limits.
            StoppedError: `close` was called meanwhile.
            SetupError: the runner could not be made.
            FauScanError: the process did not come up.
            Exception: what the runner raised.
        """
        pipe, process = self._alive()
        deadline = time.monotonic() + timeout_s
        try:
            pipe.send_bytes(pickle.dumps((make_runner, task), protocol=pickle.HIGHEST_PROTOCOL))
            watched = psutil.Process(process.pid)
            while not self._has_answer(pipe):
                if process.poll() is not None:
                    break
                if time.monotonic() > deadline:
                    self._kill()
                    raise DeathError(Reason.TIMEOUT, f"took longer than {timeout_s:.0f} s", by_chance=False)
                if watched.memory_info().rss > memory_mb * 2**20:
                    self._kill()
                    raise DeathError(Reason.OUT_OF_MEMORY, f"took more than {memory_mb:,} MB", by_chance=False)
            how, answer = pickle.loads(pipe.recv_bytes())
        except (EOFError, OSError, psutil.NoSuchProcess):
            raise self._post_mortem() from None
        if how == "answer":
            return answer
        if how == "setup" and not isinstance(answer, FauScanError):
            raise SetupError("".join(getattr(answer, "__notes__", [])) or str(answer)) from answer
        if isinstance(answer, MemoryError):
            raise DeathError(Reason.OUT_OF_MEMORY, "memory could not be had", by_chance=True)
        raise answer

    def _has_answer(self, pipe: Connection) -> bool:
        """Waits a moment for one. The first thing that a process says is that it is ready."""
        if not pipe.poll(_POLL_S):
            return False
        if self._ready:
            return True
        self._ready = pipe.recv_bytes() == READY
        return False

    def close(self) -> None:
        """Ends the process, whatever it is doing. Nothing runs here afterwards."""
        self._closed = True
        self._kill()

    def _alive(self) -> tuple[Connection, subprocess.Popen[bytes]]:
        if self._closed:
            raise StoppedError
        pipe, process = self._pipe, self._process
        if process is None or process.poll() is not None or pipe is None:
            self._kill()
            pipe, process = _start()
            self._pipe, self._process, self._ready = pipe, process, False
        if self._closed:  # by another thread, which may have seen the old process or none
            self._kill()
            raise StoppedError
        return pipe, process

    def _kill(self) -> None:
        with self._lock:
            process, self._process = self._process, None
            if process is not None:
                process.kill()
                process.wait()
            if self._pipe is not None and not self._closed:  # closed by another thread it would be taken from under a reader
                self._pipe.close()
                self._pipe = None

    def _post_mortem(self) -> Exception:
        process = self._process
        if self._closed or process is None:
            return StoppedError()
        code = process.wait()
        self._kill()
        if code == -signal.SIGKILL:
            return DeathError(Reason.OUT_OF_MEMORY, "killed from outside, as systems do when memory runs out", by_chance=True)
        if code > 0 and not self._ready:
            return FauScanError(f"a worker process ended with exit code {code} before its first video; what it said is above")
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return DeathError(Reason.DECODER_CRASHED, f"the process ended with {how}", by_chance=True)


def _start() -> tuple[Connection, subprocess.Popen[bytes]]:
    ours, theirs = Pipe()
    # The kernel ends a child with the thread that started it, so one thread that lives as long as we do starts them all.
    process = _starter().submit(_spawn, theirs.fileno()).result()
    theirs.close()
    with contextlib.suppress(OSError):  # it is dead already: the task finds out, and what to make of it
        ours.send_bytes(pickle.dumps(sys.path))
    return ours, process


def _spawn(pipe_fd: int) -> subprocess.Popen[bytes]:
    # A fresh interpreter: forking one that holds torch's threads can hang. -P: the working directory is nobody's package.
    command = [sys.executable, "-P", "-m", "pipelines.sandboxed", str(pipe_fd), str(os.getpid())]
    paths = [path for path in sys.path if path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    return subprocess.Popen(command, pass_fds=(pipe_fd,), stdin=subprocess.DEVNULL, env=environment)


@functools.cache
def _starter() -> concurrent.futures.ThreadPoolExecutor:
    return concurrent.futures.ThreadPoolExecutor(1, "sandbox-starter")


_idle: list[Sandbox] = []


def borrow() -> Sandbox:
    """A sandbox, with a process that has been started already if one is free."""
    with contextlib.suppress(IndexError):
        return _idle.pop()
    return Sandbox()


def give_back(sandbox: Sandbox) -> None:
    """For the next one who borrows."""
    _idle.append(sandbox)


@atexit.register
def _close_idle() -> None:
    while _idle:
        _idle.pop().close()
