"""A Ray cluster of several nodes on this machine, all on a loopback address, kept by a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from typing import Any

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
    """A head that does no work, with a job server, and nodes that come and go. A node is the process id of its raylet."""

    def __init__(self, environment: dict[str, str]) -> None:
        # Ray's sockets need a shorter path than pytest's folders have.
        self._folder = tempfile.mkdtemp(prefix="ray")
        # A process of its own: after a cluster in this one, Ray starts no other here.
        self._keeper = subprocess.Popen(
            [sys.executable, "-P", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **_ENVIRONMENT, **environment, "RAY_TMPDIR": self._folder},
        )
        self.alive: list[int] = []
        head = self._ask("add", num_cpus=0, include_dashboard=True, dashboard_host="127.0.0.1", no_monitor=True)
        self.address: str = head["address"]
        """What RAY_ADDRESS should be."""
        self.job_server: str = f"http://{head['job_server']}"
        """What `ray job submit --address` takes."""

    def add(self, **what: Any) -> int:
        """A node; returns once it is up."""
        self.alive.append(self._ask("add", **what)["raylet"])
        return self.alive[-1]

    def kill(self, node: int, but: str) -> list[psutil.Process]:
        """SIGKILL for a node and its workers, except processes with `but` in their command line: those are returned."""
        processes = psutil.Process(node).children(recursive=True)
        spared = [process for process in processes if but in " ".join(process.cmdline())]
        self.alive.remove(node)
        self._ask("kill", raylet=node)
        for process in processes:
            if process not in spared and process.is_running():
                process.kill()
        return spared

    def close(self) -> None:
        """Ends all nodes."""
        self._keeper.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ask(self, what: str, **details: Any) -> dict[str, Any]:
        assert self._keeper.stdin is not None and self._keeper.stdout is not None
        self._keeper.stdin.write(json.dumps([what, details]) + "\n")
        self._keeper.stdin.flush()
        for line in self._keeper.stdout:
            if line.startswith("{"):  # the rest is Ray's
                return dict(json.loads(line))
        raise AssertionError("the process that keeps the nodes has ended; its last words are above")


def _raylet(node: Any) -> int:
    return int(node.all_processes["raylet"][0].process.pid)


def _free_port() -> int:
    """For a node's agent: the usual port may be another Ray's on this machine, and a head whose agent has none takes no jobs."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _add(cluster: Any, details: dict[str, Any]) -> Any:
    for left in reversed(range(_STARTS)):
        try:
            node = cluster.add_node(
                wait=False,
                node_ip_address=_HOST,
                object_store_memory=80 * 2**20,
                include_log_monitor=False,
                dashboard_agent_listen_port=_free_port(),
                **details,
            )
        except Exception:
            # Ray raises nothing more precise when a busy machine takes longer than its 30 s.
            if not left:
                raise
        else:
            cluster.wait_for_nodes(120)
            return node
    raise AssertionError


def _keep() -> None:
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    for line in sys.stdin:
        what, details = json.loads(line)
        answer: dict[str, Any] = {}
        if what == "add":
            node = _add(cluster, details)
            answer = {"raylet": _raylet(node), "address": cluster.address, "job_server": cluster.webui_url}
        else:
            (node,) = (node for node in cluster.worker_nodes if _raylet(node) == details["raylet"])
            cluster.remove_node(node, allow_graceful=False)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    cluster.shutdown()


if __name__ == "__main__":
    _keep()
