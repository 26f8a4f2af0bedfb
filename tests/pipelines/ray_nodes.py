"""A Ray cluster of several nodes on this machine, all on a loopback address; and workers to run on it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import psutil

# Ray turns 127.0.0.1 into the machine's own address; this one it leaves alone.
_HOST = "127.0.0.2"
_ENVIRONMENT = {
    # A node that was killed is missed after two seconds; one that is only slow still has ten for each answer.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "4",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
_STARTS = 3


class Nodes:
    """A head that does no work, with a job server, and nodes that come and go."""

    def __init__(self, environment: dict[str, str]) -> None:
        # Ray's sockets need a shorter path than pytest's folders have.
        self._folder = tempfile.mkdtemp(prefix="ray")
        self._environment = {**_ENVIRONMENT, **environment, "RAY_TMPDIR": self._folder}
        with mock.patch.dict(os.environ, self._environment):
            from ray.cluster_utils import Cluster

            self.cluster = Cluster()
            self.add(num_cpus=0, include_dashboard=True, dashboard_host="127.0.0.1", no_monitor=True)

    @property
    def address(self) -> str:
        """What RAY_ADDRESS should be."""
        return str(self.cluster.address)

    @property
    def job_server(self) -> str:
        """What `ray job submit --address` takes."""
        return f"http://{self.cluster.webui_url}"

    def add(self, **what: Any) -> Any:
        """A node; returns once it is up."""
        with mock.patch.dict(os.environ, self._environment):
            for left in reversed(range(_STARTS)):
                try:
                    node = self.cluster.add_node(
                        wait=False, node_ip_address=_HOST, object_store_memory=80 * 2**20, include_log_monitor=False, **what
                    )
                except Exception:
                    if not left:
                        raise
                else:
                    break
            self.cluster.wait_for_nodes(120)
        return node

    def kill(self, node: Any, but: str) -> list[psutil.Process]:
        """SIGKILL for the node and its workers, except processes with `but` in their command line: those are returned."""
        raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
        processes = raylet.children(recursive=True)
        spared = [process for process in processes if but in " ".join(process.cmdline())]
        with mock.patch.dict(os.environ, self._environment):
            self.cluster.remove_node(node, allow_graceful=False)
        for process in processes:
            if process not in spared and process.is_running():
                process.kill()
        return spared

    def close(self) -> None:
        """Ends all nodes."""
        with mock.patch.dict(os.environ, self._environment):
            self.cluster.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)


class Share:
    """Answers with the process it is in, what it holds of the cluster, and how many such workers there are."""

    def __init__(self, folder: Path, wanted: int) -> None:
        self._folder, self._wanted = folder, wanted
        (folder / str(os.getpid())).touch()

    def __call__(self, task: int, /) -> tuple[int, float, float, list[str]]:
        import time

        # So that it is seen who works at the same time.
        while len(list(self._folder.iterdir())) < self._wanted:
            time.sleep(0.05)
        context = sys.modules["ray"].get_runtime_context()
        held = context.get_assigned_resources()
        return os.getpid(), held.get("CPU", 0.0), held.get("GPU", 0.0), context.get_accelerator_ids()["GPU"]

    def close(self) -> None:
        pass
