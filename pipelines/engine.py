"""Engine: spreads tasks over processes, on a Ray cluster or in a local pool. The only file that imports ray."""

from __future__ import annotations

import concurrent.futures
import functools
import logging
import multiprocessing
import os
import pickle
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Protocol

from schemas.errors import FauScanError
from schemas.params import EngineParams
from stages.quiet import quiet_stderr

# Only receipts travel, so the object store can stay small; Ray's default is a third of the memory.
_OBJECT_STORE_BYTES = 256 * 2**20


class Worker(Protocol):
    """What an engine drives: made once in each process, called once for each task."""

    def __call__(self, task: Any, /) -> Any: ...

    def close(self) -> None: ...


MakeWorker = Callable[[], Worker]
"""Picklable: it is called in the worker's own process."""


def run(tasks: Sequence[Any], make_worker: MakeWorker, params: EngineParams, *, gpus_per_worker: float = 0.0) -> Iterator[Any]:
    """Results of all tasks, in the order in which they are finished.

    Args:
        tasks: picklable; nothing is started when there are none.
        make_worker: builds a worker inside its process.
        params: which engine, and how many processes.
        gpus_per_worker: share of a GPU that each worker reserves (Ray only).

    Raises:
        FauScanError: a process died. What was committed stays; the same command goes on from there.
    """
    if not tasks:
        return
    if params.name == "ray":
        yield from _run_ray(tasks, make_worker, params.workers, gpus_per_worker)
    else:
        yield from _run_local(tasks, make_worker, params.workers or os.cpu_count() or 1)


# --- local ---------------------------------------------------------------------------------------------------------

_made: tuple[bytes, Worker] | None = None


def _call_local(recipe: bytes, task: Any) -> Any:
    """Runs in a process of the pool. It keeps its worker until a task of another step comes."""
    global _made
    if _made is None or _made[0] != recipe:
        if _made is not None:
            _made[1].close()
        _made = recipe, pickle.loads(recipe)()
    return _made[1](task)


@functools.cache
def _pool(workers: int) -> concurrent.futures.ProcessPoolExecutor:
    """Processes for all steps of a run, started when there is work for them: importing torch takes longer than many a unit."""
    # A fresh interpreter for each process: forking one that holds torch's threads can hang.
    # The driver decides what Ctrl-C means.
    return concurrent.futures.ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN)
    )


def _run_local(tasks: Sequence[Any], make_worker: MakeWorker, workers: int) -> Iterator[Any]:
    pool = _pool(workers)
    recipe = pickle.dumps(make_worker)
    futures: list[concurrent.futures.Future[Any]] = []
    try:
        futures += [pool.submit(_call_local, recipe, task) for task in tasks]
        for future in concurrent.futures.as_completed(futures):
            yield future.result()
    except BrokenProcessPool:
        _pool.cache_clear()
        raise FauScanError("a worker process died (memory, or a crash in native code); run the same command to go on") from None
    finally:
        for future in futures:
            future.cancel()


# --- ray -----------------------------------------------------------------------------------------------------------


def _actor(make_worker: MakeWorker) -> type:
    """An actor class: one worker in one Ray process, one task a block.

    The worker's recipe is part of the class, not a constructor argument: arguments lie in the object store, and an
    actor that restarts after its arguments were evicted would fail.
    """

    class UnitActor:
        def __init__(self) -> None:
            self._worker = make_worker()

        def __call__(self, block: dict[str, Any]) -> dict[str, list[bytes]]:
            return {"answer": [pickle.dumps(self._answer(pickle.loads(task))) for task in block["task"]]}

        def _answer(self, task: Any) -> Any:
            # Ray wraps an exception in layers of its own; an error for people travels as an answer.
            try:
                return self._worker(task)
            except FauScanError as error:
                return error

    return UnitActor


def _run_ray(tasks: Sequence[Any], make_worker: MakeWorker, workers: int, gpus_per_worker: float) -> Iterator[Any]:
    import ray
    import ray.data

    _connect()
    cpus = int(ray.cluster_resources().get("CPU", 1))
    most = max(1, min(workers or cpus, len(tasks)))
    items = [{"task": pickle.dumps(task)} for task in tasks]
    with warnings.catch_warnings():
        # max_restarts has no other way in yet; Ray warns of the way that it will have.
        warnings.simplefilter("ignore", DeprecationWarning)
        results = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            _actor(make_worker),
            batch_size=None,  # a block is a task; splitting blocks can deadlock an actor pool that holds every CPU
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most),
            num_cpus=1,
            num_gpus=gpus_per_worker or None,
            max_restarts=-1,
            max_task_retries=1,  # without it a task that kills its process is tried for ever
        )
    try:
        for row in results.iter_rows():
            answer = pickle.loads(row["answer"])
            if isinstance(answer, FauScanError):
                raise answer
            yield answer
    except ray.exceptions.RayActorError as error:
        raise FauScanError(f"a Ray worker died ({' '.join(str(error).split())[:200]}); run the same command to go on") from None


def train_on_ray(loop: Callable[[], None], workers: int, use_gpu: bool, folder: Path) -> None:
    """Runs a training loop in several processes that share a torch process group, by Ray Train.

    Args:
        loop: picklable; the whole loop of one worker. What it leaves behind it writes itself.
        workers: processes; with `use_gpu` each has a GPU of its own.
        use_gpu: gradients travel by NCCL, else by Gloo.
        folder: where Ray keeps its notes; every worker must reach it.

    Raises:
        FauScanError: a worker failed; the message is the worker's own.
    """
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    _connect()
    have = ray.cluster_resources()
    if workers > have.get("GPU" if use_gpu else "CPU", 0):
        kind = "GPUs" if use_gpu else "CPUs"
        raise FauScanError(f"--workers is {workers}, but the cluster has {int(have.get(kind[:-1], 0))} {kind}; ask for fewer")
    trainer = TorchTrainer(
        loop,
        torch_config=TorchConfig(backend="nccl" if use_gpu else "gloo"),
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=use_gpu),
        run_config=RunConfig(storage_path=str(folder.absolute()), name="ray"),
    )
    try:
        trainer.fit()
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise FauScanError(f"training on {workers} workers failed: {lines[-1] if lines else type(error).__name__}") from error


@functools.cache
def _connect() -> None:
    """Joins the cluster that RAY_ADDRESS names, or starts one here; once for each process."""
    import ray
    from ray.data import DataContext

    logging.getLogger("ray").setLevel(logging.ERROR)
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    address = os.environ.get("RAY_ADDRESS")
    if address:
        try:
            with quiet_stderr():
                ray.init(address=address, **quiet)
        except (ConnectionError, RuntimeError) as error:
            raise FauScanError(f"RAY_ADDRESS is {address!r}: {' '.join(str(error).split())[:200]}; start the cluster or unset it") from None
    else:
        try:
            with quiet_stderr():
                ray.init(address="local", include_dashboard=False, object_store_memory=_OBJECT_STORE_BYTES, **quiet)
        except Exception as error:  # noqa: BLE001 - Ray raises nothing more precise when a busy machine is too slow for its start
            why = " ".join(str(error).split())[:200]
            raise FauScanError(f"Ray did not start on this machine ({why}); try again, or use --engine local") from None
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for name in ("ray.data", "ray.data._internal"):
        logging.getLogger(name).setLevel(logging.ERROR)
