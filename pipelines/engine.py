"""Engine: spreads tasks over workers, on a Ray cluster or on this machine. The only file that imports ray."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import logging
import os
import pickle
import queue
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from schemas.errors import FauScanError
from schemas.params import EngineParams
from stages.quiet import quiet_stderr

# Only receipts travel, so the object store can stay small; Ray's default is a third of the memory.
_OBJECT_STORE_BYTES = 256 * 2**20
_TRIES = 4


class Worker(Protocol):
    """What an engine drives. Whatever may crash or hang it does in a `Sandbox` of its own."""

    def __call__(self, task: Any, /) -> Any: ...

    def close(self) -> None:
        """Ends the worker, also one that is at work in another thread."""


MakeWorker = Callable[[], Worker]
"""Picklable: it is called where the worker works, which may be another machine."""


@dataclass(frozen=True, slots=True)
class Gpus:
    """What each worker reserves on a Ray cluster, and how many there may be; 0 workers: as many as the GPUs hold."""

    per_worker: float = 0.0
    workers: int = 0


NO_GPUS = Gpus()


def run(tasks: Sequence[Any], make_worker: MakeWorker, params: EngineParams, *, gpus: Gpus = NO_GPUS) -> Generator[Any, None, None]:
    """Results of all tasks, in the order in which they are finished. Closed early, it ends what is still running.

    Args:
        tasks: picklable; nothing is started when there are none.
        make_worker: builds a worker.
        params: which engine, and how many processes.
        gpus: share of a GPU that each worker reserves (Ray only).

    Raises:
        FauScanError: what a worker raised; or tasks that lost their node again and again, once all others are done. What was
            committed stays; the same command goes on from there.
    """
    if not tasks:
        return
    if params.name == "ray":
        yield from _run_ray(tasks, make_worker, params.workers, gpus)
    else:
        yield from _run_local(tasks, make_worker, params.workers or os.cpu_count() or 1)


# --- local ---------------------------------------------------------------------------------------------------------


def _run_local(tasks: Sequence[Any], make_worker: MakeWorker, workers: int) -> Iterator[Any]:
    """A thread for each worker: the work itself is done in the processes that the workers hold."""
    made = [make_worker() for _ in range(min(workers, len(tasks)))]
    idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    for worker in made:
        idle.put(worker)

    def work(task: Any) -> Any:
        worker = idle.get()
        try:
            return worker(task)
        finally:
            idle.put(worker)

    pool = concurrent.futures.ThreadPoolExecutor(len(made), "worker")
    finished: queue.SimpleQueue[concurrent.futures.Future[Any]] = queue.SimpleQueue()
    try:
        for task in tasks:
            pool.submit(work, task).add_done_callback(finished.put)
        left = len(tasks)
        while left:
            # Waiting without an end would miss a Ctrl-C that the system hands to another thread.
            with contextlib.suppress(queue.Empty):
                future = finished.get(timeout=0.5)
                left -= 1
                yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in made:
            worker.close()


# --- ray -----------------------------------------------------------------------------------------------------------


def _actor(make_worker: MakeWorker) -> type:
    """An actor class: one worker in one Ray process, one task a block.

    The worker's recipe is part of the class, not a constructor argument: arguments lie in the object store, and an
    actor that restarts after its arguments were evicted would fail.
    """

    class UnitActor:
        def __init__(self) -> None:
            self._worker = make_worker()

        def __call__(self, block: dict[str, Any]) -> dict[str, list[Any]]:
            return {"index": list(block["index"]), "answer": [pickle.dumps(self._answer(pickle.loads(task))) for task in block["task"]]}

        def _answer(self, task: Any) -> Any:
            # Ray drops blocks that raise (max_errored_blocks), and wraps exceptions in layers of its own: ours travel as answers.
            try:
                return self._worker(task)
            except Exception as error:  # noqa: BLE001
                return error

    return UnitActor


def _run_ray(tasks: Sequence[Any], make_worker: MakeWorker, workers: int, gpus: Gpus) -> Iterator[Any]:
    import ray
    import ray.data

    _connect()
    have = ray.cluster_resources()
    slots = int(have.get("GPU", 0) / gpus.per_worker) if gpus.per_worker else int(have.get("CPU", 1))
    if not slots:
        raise FauScanError(
            f"engine.gpus_per_worker is {gpus.per_worker:g}, but the cluster has {have.get('GPU', 0):g} GPUs; set it to 0 to score on CPUs"
        )
    # A number that was asked for may exceed what is there now: clusters grow.
    most = max(1, min((gpus.workers if gpus.per_worker else workers) or slots, len(tasks)))
    items = [{"index": index, "task": pickle.dumps(task)} for index, task in enumerate(tasks)]
    with warnings.catch_warnings():
        # max_restarts has no other way in yet; Ray warns of the way that it will have.
        warnings.simplefilter("ignore", DeprecationWarning)
        results = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            _actor(make_worker),
            batch_size=None,  # a block is a task; splitting blocks can deadlock an actor pool that holds every CPU
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most),
            num_cpus=1,
            num_gpus=gpus.per_worker or None,
            max_restarts=-1,
            max_task_retries=_TRIES - 1,  # without it a task that loses its actor is tried for ever
        )
    missing = set(range(len(tasks)))
    try:
        for row in results.iter_rows():
            answer = pickle.loads(row["answer"])
            if isinstance(answer, Exception):
                raise answer
            missing.discard(row["index"])
            yield answer
    except ray.exceptions.RayError as error:
        raise FauScanError(f"Ray gave up ({' '.join(str(error).split())[:200]}); run the same command to go on") from None
    if missing:
        raise FauScanError(
            f"{len(missing)} of {len(tasks)} tasks lost their Ray worker {_TRIES} times (a node short of memory, or nodes that went away); "
            "the others are finished, run the same command to go on"
        )


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
    # A lost block is found missing at the end and said; the default ends the run for all.
    context.max_errored_blocks = -1
    for name in ("ray.data", "ray.data._internal"):
        logging.getLogger(name).setLevel(logging.ERROR)
