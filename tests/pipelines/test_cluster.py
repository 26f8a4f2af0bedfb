"""A Ray cluster of several nodes: nodes die and join, jobs are submitted, GPUs are shared; the labels stay the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pipelines import engine
from pipelines.step import UNIT_STEPS, _gpus
from pipelines.workspace import Workspace
from schemas.params import EngineParams, PipelineParams
from tests.pipelines.clips import different_clips
from tests.pipelines.ray_nodes import Nodes
from tests.pipelines.saboteur import GATE, fauscan_in, sabotage
from tests.pipelines.test_whole import tree

_CLIPS = ["0.mp4", "1.mp4", "2.mp4", "3.mp4", "4.mp4", "gate.mp4"]
_SANDBOX = "pipelines.sandboxed"
_STEPS = ["inventory", "faces", "fau", "audio", "score", "label", "report"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """archive/, params.yaml with a unit for each video, and reference/: what an undisturbed run on this machine says."""
    root = tmp_path_factory.mktemp("cluster")
    different_clips(root / "archive", *_CLIPS)
    (root / "params.yaml").write_text("units: {max_videos: 1}\nengine: {workers: 2}", encoding="utf-8")
    done = fauscan_in(
        dict(os.environ), "run", root / "archive", "-w", root / "reference", "--engine", "local", "--params", root / "params.yaml"
    )
    assert done.returncode == 0, done.stderr
    (root / "reference.txt").write_text(done.stdout, encoding="utf-8")
    (root / "gate").mkdir()
    return root


@pytest.fixture(scope="module")
def nodes(folder: Path) -> Iterator[Nodes]:
    """A head without CPUs and two nodes with two CPUs and, so they say, a GPU."""
    started = Nodes({**sabotage(folder / "hook"), GATE: str(folder / "gate")})
    try:
        for _ in range(2):
            started.add(num_cpus=2, num_gpus=1)
        yield started
    finally:
        started.close()


def without(reference: Path, copy: Path, *steps: str) -> Path:
    """A workspace that has some steps and all of its tables still to make. (Each step on Ray costs ten seconds of starts.)"""
    shutil.copytree(reference, copy)
    for step in steps:
        shutil.rmtree(copy / "store" / step)
    shutil.rmtree(copy / "data")
    return copy


@pytest.mark.slow
def test_gpu_workers_are_as_many_as_fit_and_as_were_asked_for(nodes: Nodes, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.pipelines.ray_share", str(tmp_path)]
    environment = {**os.environ, "RAY_ADDRESS": nodes.address}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [share[1:] for share in found["whole"]] == [[1.0, 1.0, ["0"]]] * 6
    assert len({process for process, *_ in found["whole"]}) == 2  # eight were asked for, but a node has one GPU
    assert [share[1:] for share in found["half"]] == [[1.0, 0.5, ["0"]]] * 3
    assert len({process for process, *_ in found["half"]}) == 1  # as asked for

    # Three shares of 0.3 go on each GPU, but its node has two CPUs.
    *fit, uneven, two = found["fitting"]
    assert fit == [4, 4, 4, 2, 2]
    assert uneven == "engine.gpus_per_worker is 1.5; give a share up to 1, or a whole number of GPUs"
    assert two.startswith("engine.gpus_per_worker is 2, but no node of the cluster has that beside a CPU (2 GPUs, 4 CPUs in all)")


def test_only_score_workers_hold_gpus(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, PipelineParams(engine=EngineParams(gpus_per_worker=0.5, gpu_workers=3)))
    held = {name: _gpus(workspace, name) for name in UNIT_STEPS}
    assert held.pop("score") == engine.Gpus(0.5, 3)
    assert set(held.values()) == {engine.NO_GPUS}


@pytest.mark.slow
def test_a_submitted_job_ends_with_the_same_labels(nodes: Nodes, folder: Path) -> None:
    workspace = without(folder / "reference", folder / "job", "label")
    fauscan = [sys.executable, "-m", "pipelines.cli", "run", folder / "archive", "-w", workspace]
    submit = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--address", nodes.job_server, "--", *fauscan]
    for _ in range(5):
        done = subprocess.run(submit, capture_output=True, text=True, timeout=600)
        if "No available agent" not in done.stderr:  # of a head that has only just come up; Ray waits ten seconds for it
            break
    assert done.returncode == 0, done.stdout + done.stderr
    assert "label      6 videos" in done.stdout
    assert "succeeded" in done.stdout
    assert tree(workspace / "data") == tree(folder / "reference" / "data")


@pytest.mark.slow
def test_a_node_that_dies_and_a_node_that_joins_change_nothing(nodes: Nodes, folder: Path) -> None:
    workspace, gate = without(folder / "reference", folder / "disturbed", "faces", "label"), folder / "gate"
    command = [sys.executable, "-m", "pipelines.cli", "run", folder / "archive", "-w", workspace, "--engine", "ray"]
    run = subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "RAY_ADDRESS": nodes.address},
    )
    # Some faces are there, and those of one video are being worked on.
    while not (waiting := list(gate.iterdir())) or not list(workspace.glob("store/faces/*/*/receipt.json")):
        assert run.poll() is None, run.communicate()[1]
        time.sleep(0.05)
    (at_work,) = (psutil.Process(int(path.name)) for path in waiting)
    above = {process.pid for process in at_work.parents()}
    (node,) = above.intersection(nodes.alive)
    assert at_work in nodes.kill(node, but=_SANDBOX)
    assert ended([at_work])  # it went with its node
    (gate / "open").touch()
    nodes.add(num_cpus=2)
    stdout, stderr = run.communicate(timeout=600)

    assert run.returncode == 0, stderr
    assert stdout == (folder / "reference.txt").read_text(encoding="utf-8")
    assert [line.split()[0] for line in stderr.splitlines()] == _STEPS  # nothing of Ray's
    assert len(list(gate.iterdir())) >= 3  # the video was begun twice, or more often where a busy machine's nodes miss each other
    for part in ("data", "store"):
        ours, theirs = tree(workspace / part), tree(folder / "reference" / part)
        kept = {name for name in ours if not Path(name).name.startswith(".tmp-")}  # the node may have died while it wrote
        assert kept == theirs.keys()
        assert [name for name in theirs if ours[name] != theirs[name]] == []
    assert ended([process for process in psutil.process_iter() if _is_ours(process, gate)])


def ended(processes: list[psutil.Process]) -> bool:
    """Whether they are gone within ten minutes; what nobody has fetched from the process table yet is gone too."""
    deadline = time.monotonic() + 600
    while any(_is_alive(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(_is_alive(process) for process in processes)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_ours(process: psutil.Process, gate: Path) -> bool:
    try:
        return _SANDBOX in process.cmdline() and process.environ().get(GATE) == str(gate)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
