"""Forge pool: a process pool that survives its processes: a task that kills one is found, named and left out."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

_worker: Callable[[Any], Any] | None = None

MakeWorker = Callable[[], Callable[[Any], Any]]
"""Picklable: it is called in the worker's own process."""


@dataclass(frozen=True, slots=True)
class Crash:
    """A task that raised, or took its process with it."""

    detail: str


def run_all(tasks: Sequence[Any], make_worker: MakeWorker, workers: int) -> Iterator[tuple[Any, Any]]:
    """(task, result or `Crash`) for every task, as they finish.

    Only as many tasks are handed out as there are workers, so that after a crash there are few suspects; each of these is
    tried once more in a process of its own.

    Args:
        tasks: picklable.
        make_worker: builds a worker inside its process.
        workers: processes at once.
    """
    waiting = list(reversed(tasks))
    while waiting:
        suspects: list[Any] = []
        yield from _run_pool(waiting, suspects, make_worker, min(workers, len(waiting)))
        for suspect in suspects:
            alone = [suspect]
            again: list[Any] = []
            yield from _run_pool(alone, again, make_worker, 1)
            for guilty in again:
                yield guilty, Crash("a process died on it (memory, or a crash in native code)")


def _run_pool(waiting: list[Any], suspects: list[Any], make_worker: MakeWorker, workers: int) -> Iterator[tuple[Any, Any]]:
    """Takes tasks from the end of `waiting` until it is empty or a process dies; fills `suspects` then."""
    # A fresh interpreter for each process: forking one that holds torch's threads can hang.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, context, _start, (make_worker,)) as pool:
        running: dict[concurrent.futures.Future[Any], Any] = {}
        try:
            while (waiting and not suspects) or running:
                while waiting and not suspects and len(running) < workers:
                    task = waiting.pop()
                    try:
                        running[pool.submit(_call, task)] = task
                    except BrokenProcessPool:
                        suspects.append(task)
                done, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in done:
                    task, error = running.pop(future), future.exception()
                    if isinstance(error, BrokenProcessPool):
                        suspects.append(task)
                    elif error is not None:
                        yield task, Crash(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
                    else:
                        yield task, future.result()
        finally:
            for future in running:
                future.cancel()


def _start(make_worker: MakeWorker) -> None:
    global _worker  # noqa: PLW0603 (a pool's initialiser can't hand anything on)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides what Ctrl-C means
    _worker = make_worker()


def _call(task: Any) -> Any:
    if _worker is None:
        raise RuntimeError("the pool called before its initialiser")
    return _worker(task)
