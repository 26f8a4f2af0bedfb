"""Engine: spreads tasks over workers, on a Ray cluster or on this machine. The only file that imports ray."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import logging
import os
import pickle
import queue
import socket
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from schemas.errors import FauScanError
from schemas.params import EngineParams
from stages.quiet import quiet_stderr

# Only receipts travel, so the object store can stay small; Ray's default is a third of the memory.
_OBJECT_STORE_BYTES = 256 * 2**20
_STARTS = 3
_TRIES = 3
_ANSWER_S = 20.0


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
    recipe, ours = pickle.dumps(make_worker), version("fauscan")

    class UnitActor:
        """Names nothing of FauScan's before its first task: so that a node that lacks it can say so."""

        _worker: Any = None

        def __call__(self, block: dict[str, Any]) -> dict[str, list[Any]]:
            return {"index": list(block["index"]), "answer": [pickle.dumps(self._answer(task)) for task in block["task"]]}

        def _answer(self, task: bytes) -> Any:
            # Ray drops blocks that raise (max_errored_blocks), and wraps exceptions in layers of its own: ours travel as answers.
            try:
                if self._worker is None:
                    if (theirs := version("fauscan")) != ours:
                        raise ImportError(f"it has FauScan {theirs}")
                    self._worker = pickle.loads(recipe)()
                return self._worker(pickle.loads(task))
            except ImportError as error:
                return ImportError(f"node {socket.gethostname()}: {error}")
            except Exception as error:  # noqa: BLE001
                return error

    return UnitActor


def _run_ray(tasks: Sequence[Any], make_worker: MakeWorker, workers: int, gpus: Gpus) -> Iterator[Any]:
    _connect()
    import ray

    fit = _fitting(gpus.per_worker)
    # A number that was asked for may exceed what is there now: clusters grow.
    most = (gpus.workers if gpus.per_worker else workers) or fit
    actor = _actor(make_worker)
    missing, why = dict(enumerate(tasks)), "a node short of memory, or nodes that went away"
    for again in range(_TRIES):
        try:
            for index, answer in _pass(dict(missing), actor, min(most, len(missing)), gpus.per_worker, alone=again > 0):
                del missing[index]
                yield answer
        except ray.exceptions.RayError as error:
            why = " ".join(str(error).split())[:200]
        if not missing:
            return
    raise FauScanError(
        f"{len(missing)} of {len(tasks)} tasks lost their Ray worker {_TRIES} times ({why}); "
        "the others are finished, run the same command to go on"
    )


def _pass(tasks: Mapping[int, Any], actor: type, most: int, gpus_per_worker: float, *, alone: bool) -> Iterator[tuple[int, Any]]:
    """Answers to the tasks whose worker did not go away meanwhile.

    Ray itself tries nothing again: until it notices that a node is gone, it spends all the tries of a task within seconds on
    that node. A later pass has new actors, on nodes that are there. With `alone`, no task waits behind another one that
    may take its worker along.
    """
    import ray.data

    items = [{"index": index, "task": pickle.dumps(task)} for index, task in tasks.items()]
    pool = {"size": most, "max_tasks_in_flight_per_actor": 1} if alone else {"min_size": 1, "max_size": most}
    with warnings.catch_warnings():
        # max_restarts has no other way in yet; Ray warns of the way that it will have.
        warnings.simplefilter("ignore", DeprecationWarning)
        results = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            actor,
            batch_size=1,  # a block is a task; Ray wants a number here for GPUs
            compute=ray.data.ActorPoolStrategy(**pool),
            num_cpus=1,
            num_gpus=gpus_per_worker or None,
            max_restarts=-1,
            max_task_retries=0,  # the default is for ever
        )
    for row in results.iter_rows():
        answer = pickle.loads(row["answer"])
        if isinstance(answer, ImportError):
            raise FauScanError(f"a Ray node is not fit for the work ({answer}); install FauScan {version('fauscan')} on every node")
        if isinstance(answer, Exception):
            raise answer
        yield row["index"], answer


def _fitting(gpus_per_worker: float) -> int:
    """How many workers the cluster holds now: each has a CPU, and its share of one GPU or whole ones, on one node."""
    import ray

    if gpus_per_worker > 1 and gpus_per_worker % 1:
        raise FauScanError(f"engine.gpus_per_worker is {gpus_per_worker:g}; give a share up to 1, or a whole number of GPUs")
    have = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cpus, gpus = (sum(node.get(kind, 0) for node in have) for kind in ("CPU", "GPU"))
    if not gpus_per_worker:
        fit = int(cpus)
    elif gpus_per_worker <= 1:
        fit = sum(int(min(node.get("CPU", 0), int(node.get("GPU", 0)) * int(1 / gpus_per_worker + 1e-6))) for node in have)
    else:
        fit = sum(int(min(node.get("CPU", 0), node.get("GPU", 0) // gpus_per_worker)) for node in have)
    if fit:
        return fit
    if gpus_per_worker:
        raise FauScanError(
            f"engine.gpus_per_worker is {gpus_per_worker:g}, but no node of the cluster has that beside a CPU "
            f"({gpus:g} GPUs, {cpus:g} CPUs in all); set it to 0 to score on CPUs"
        )
    raise FauScanError("the Ray cluster has no CPUs to work on; add a node (`ray start --address=HEAD:PORT`)")


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
    _connect()
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

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
    # What Ray says about nodes and actors that went away comes past every logger. Read when ray is imported.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    import ray
    from ray.data import DataContext

    logging.getLogger("ray").setLevel(logging.ERROR)
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _check_address(address)
        try:
            # To join somebody who answers, but is no Ray: an attempt takes 40 s, and Ray makes twenty.
            with quiet_stderr(), _environment("RAY_gcs_server_port_wait_time_s", "1"):
                ray.init(address=address, **quiet)
        except (ConnectionError, RuntimeError) as error:
            raise FauScanError(f"RAY_ADDRESS is {address!r}: {' '.join(str(error).split())[:200]}; start the cluster or unset it") from None
    else:
        # Ray Train asks a dashboard whether its controller lives. Ours has none; at the usual port may be another cluster's,
        # which has never heard of it, whereupon Ray Train ends its own workers. (Port 9 is nobody's.)
        with quiet_stderr(), _environment("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:9"):
            _start_here(include_dashboard=False, object_store_memory=_OBJECT_STORE_BYTES, **quiet)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # A lost block is found missing at the end of a pass; the default ends the run for all.
    context.max_errored_blocks = -1
    for name in ("ray.data", "ray.data._internal"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _start_here(**how: Any) -> None:
    """Ray gives each start 30 s, which a busy machine may take to load seven interpreters from a cold disk."""
    import ray

    for left in reversed(range(_STARTS)):
        try:
            ray.init(address="local", **how)
        except Exception as error:  # noqa: BLE001 - Ray raises nothing more precise
            ray.shutdown()
            if not left:
                why = " ".join(str(error).split())[:200]
                raise FauScanError(f"Ray did not start on this machine ({why}); try again, or use --engine local") from None
        else:
            return


def _check_address(address: str) -> None:
    """Ray itself tries for minutes, in silence, to join a cluster that is not there."""
    if "://" in address:
        raise FauScanError(f"RAY_ADDRESS is {address!r}; give the head's HOST:PORT (6379), or send the run there with `ray job submit`")
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        return  # auto, local
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_S).close()
    except OSError as error:
        raise FauScanError(f"RAY_ADDRESS is {address!r}, where nobody answers ({error}); start the cluster or unset it") from None


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """A variable for what Ray starts or reads meanwhile, unless the user has set it."""
    own = name in os.environ
    os.environ.setdefault(name, value)
    try:
        yield
    finally:
        if not own:
            del os.environ[name]
