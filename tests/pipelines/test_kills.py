"""Fifty runs that die by SIGKILL: what the next run makes of it is, byte for byte, what an undisturbed run makes."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import psutil
import pytest

from pipelines.garbage import Kind, collect_garbage, find_waste
from pipelines.parquet import sha256
from pipelines.store import Receipt
from pipelines.verify import verify
from pipelines.workspace import Workspace
from tests.conftest import NO_FACE, SINGLE_FACE
from tests.pipelines.clips import short_clip
from tests.pipelines.killing import Nursery, nursery
from tests.pipelines.test_whole import tree

pytestmark = pytest.mark.slow
SEED = 20
NOT_COMPARED = {"logs/lock", "logs/runs.jsonl"}
"""The only files that hold clocks, or nothing."""


@dataclass(frozen=True)
class Undisturbed:
    """An archive, and what a run makes of it that nobody kills."""

    archive: Path
    params: Path
    files: dict[str, bytes]
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    root = tmp_path_factory.mktemp("undisturbed")
    (root / "archive").mkdir()
    short_clip(SINGLE_FACE, 27, root / "archive" / "face.mp4", sound=True)
    short_clip(SINGLE_FACE, 26, root / "archive" / "mute.mp4", sound=False)
    short_clip(NO_FACE, 4, root / "archive" / "nobody.mp4", sound=True)
    (root / "archive" / "notes.txt").write_text("not a video", encoding="utf-8")
    params = root / "params.yaml"
    params.write_text("units: {max_videos: 2}\nengine: {workers: 1}\nfaces: {detect_every_ticks: 10}", encoding="utf-8")
    started = time.monotonic()
    done = subprocess.run(command(root / "archive", root / "ws", params), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    files = without_logs(root / "ws")
    verdicts = pl.read_parquet(root / "ws" / "data" / "labels")
    assert verdicts["label"].drop_nulls().len() >= 50
    assert len({name.split("/")[3] for name in files if name.startswith("store/faces")}) == 2
    return Undisturbed(root / "archive", params, files, time.monotonic() - started)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with nursery(tmp_path_factory.mktemp("nursery") / "log") as ready:
        yield ready


def command(archive: Path, workspace: Path, params: Path, engine: str = "local") -> list[str]:
    return [sys.executable, "-m", "pipelines.cli", "run", *map(str, (archive, "-w", workspace, "--params", params, "--engine", engine))]


def without_logs(workspace: Path) -> dict[str, bytes]:
    return {name: data for name, data in tree(workspace).items() if name not in NOT_COMPARED}


def nothing_lies(workspace: Path) -> None:
    """After any kill: a receipt has its tables, byte for byte, and whatever looks like a table in data/ is one."""
    for path in (workspace / "store").rglob("receipt.json"):
        for name, blob in Receipt.from_json(path.read_bytes()).tables.items():
            assert sha256(path.with_name(f"{name}.parquet").read_bytes()) == blob.sha256, path
    for path in (workspace / "data").rglob("*.parquet"):
        pl.read_parquet(path)


def ends_as_if_nothing_had_happened(workspace: Path, expected: Undisturbed) -> int:
    """gc finds exactly what should not be there; without it every byte is as expected. Returns how many files it found."""
    left = sorted(without_logs(workspace).keys() - expected.files.keys())
    opened = Workspace.open(workspace)
    assert list(verify(opened)) == []
    waste = list(find_waste(opened, superseded=False))
    assert {item.kind for item in waste} <= {Kind.TEMPORARY, Kind.ORPHAN, Kind.UNNAMED}
    assert sorted(f"store/{item.file.name}" for item in waste) == left
    collect_garbage(opened, delete=True, superseded=False)
    assert without_logs(workspace) == expected.files
    assert list(verify(opened)) == []
    return len(left)


def test_killed_before_each_kind_of_write(undisturbed: Undisturbed, runs: Nursery, tmp_path: Path) -> None:
    """In the order in which they come, so that one workspace is killed at every one of them."""
    moments = (
        "rename params.yaml",
        "fsync store/.tmp-",  # half a ledger of probes
        "rename store/probes.parquet",
        "rename store/units.parquet",  # between the notes on the files and the units
        "fsync data/.tmp-inventory",  # between the units and the inventory
        "rename data/inventory.parquet",
        "rename data/truth_problems.parquet",
        "fsync store/faces/.*/.tmp-",  # half a table
        "rename store/faces/.*/faces.parquet",  # between writing a table and giving it its name
        "rename store/faces/.*/frames.parquet",  # between the first table and the second
        "rename store/faces/.*/receipt.json",  # between data and receipt
        "rename data/manifests/faces.parquet",
        "rename store/audio/.*/receipt.json",
        "rename store/score/.*/receipt.json",
        "rename store/label/.*/segments.parquet",
        "rename store/label/.*/receipt.json",
        "fsync data/labels/.tmp-",
        "rename data/labels/.*.parquet",
        "rename data/segments.parquet",
        "rename data/provenance.parquet",
        "rename data/failures.parquet",
        "fsync reports/.tmp-index",
        "rename reports/metrics.json",
    )
    for moment in moments:
        code, writes = runs.run(undisturbed.archive, tmp_path / "ws", undisturbed.params, die_before=moment)
        assert code == -signal.SIGKILL, moment
        assert writes[-1].split()[0] == moment.split()[0]
        nothing_lies(tmp_path / "ws")
    assert runs.run(undisturbed.archive, tmp_path / "ws", undisturbed.params)[0] == 0
    assert ends_as_if_nothing_had_happened(tmp_path / "ws", undisturbed) > 3
    # And there is nothing left to do: the only write is that of the lock.
    code, writes = runs.run(undisturbed.archive, tmp_path / "ws", undisturbed.params)
    assert (code, {write for write in writes if not write.startswith("mkdir")}) == (0, {"open logs/lock"})


def test_killed_at_moments_drawn_from_the_whole_run(undisturbed: Undisturbed, runs: Nursery, tmp_path: Path) -> None:
    code, writes = runs.run(undisturbed.archive, tmp_path / "whole", undisturbed.params)
    assert code == 0
    assert without_logs(tmp_path / "whole") == undisturbed.files
    draw, kills, workspaces = random.Random(SEED), 0, 0
    while kills < 20:
        workspace, code = tmp_path / f"ws{workspaces}", -signal.SIGKILL
        workspaces += 1
        while code == -signal.SIGKILL:
            # A third of the run at most: then the moments lie all over it, and a workspace is killed several times.
            code, _ = runs.run(undisturbed.archive, workspace, undisturbed.params, die_at=draw.randrange(2, len(writes) // 3))
            kills += code == -signal.SIGKILL
            nothing_lies(workspace)
            if (workspace / "data" / "inventory.parquet").is_file() and draw.random() < 0.2:
                collect_garbage(Workspace.open(workspace), delete=True, superseded=True)  # in the middle, too
        assert code == 0
        ends_as_if_nothing_had_happened(workspace, undisturbed)


def test_killed_while_a_unit_is_mended(undisturbed: Undisturbed, runs: Nursery, tmp_path: Path) -> None:
    """A video that the storage did not give out is read the next time: its unit's tables are replaced one by one."""
    workspace = tmp_path / "ws"
    assert runs.run(undisturbed.archive, workspace, undisturbed.params, fail="face.mp4")[0] == 0
    assert pl.read_parquet(workspace / "data" / "failures.parquet").filter(outcome="failed")["reason"].unique().to_list() == ["read_failed"]
    for moment in (
        "remove store/faces/.*/receipt.json",
        "mkdir store/faces",  # the receipt is gone, the old tables are there
        "rename store/faces/.*/frames.parquet",  # one table is old and one is new
        "rename store/faces/.*/receipt.json",
        "remove store/fau/.*/receipt.json",
        "fsync store/fau/.*/.tmp-",
        "rename store/score/.*/receipt.json",
        "rename data/manifests/label.parquet",
        "rename data/labels/.*.parquet",
    ):
        code, _ = runs.run(undisturbed.archive, workspace, undisturbed.params, die_before=moment)
        assert code == -signal.SIGKILL, moment
        nothing_lies(workspace)
    assert runs.run(undisturbed.archive, workspace, undisturbed.params)[0] == 0
    ends_as_if_nothing_had_happened(workspace, undisturbed)


def test_the_command_killed_at_any_time(undisturbed: Undisturbed, tmp_path: Path) -> None:
    """By the clock, whatever it is doing: now the driver and its sandbox, now the driver alone."""
    draw, workspace = random.Random(SEED), tmp_path / "ws"
    for kill in (os.killpg, os.kill, os.killpg, os.kill):
        process = subprocess.Popen(
            command(undisturbed.archive, workspace, undisturbed.params), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(timeout=draw.uniform(0.2, 0.9) * undisturbed.seconds)
        except subprocess.TimeoutExpired:
            kill(process.pid, signal.SIGKILL)
        process.wait()
        nothing_lies(workspace)
    done = subprocess.run(command(undisturbed.archive, workspace, undisturbed.params), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ends_as_if_nothing_had_happened(workspace, undisturbed)


def test_a_sandbox_that_is_killed_does_not_end_the_run(undisturbed: Undisturbed, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(undisturbed.archive, tmp_path / "ws", undisturbed.params), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert process.stderr is not None
    killed = [kill_one(process, is_sandbox)]
    for line in process.stderr:
        if line.startswith(("inventory", "fau")):  # it goes on with faces and with audio, which read videos
            killed.append(kill_one(process, is_sandbox))
    assert process.wait() == 0
    assert len(set(killed)) == 3
    assert ends_as_if_nothing_had_happened(tmp_path / "ws", undisturbed) == 0


def test_an_actor_and_then_the_driver_of_a_ray_cluster_are_killed(undisturbed: Undisturbed, tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    process = subprocess.Popen(
        command(undisturbed.archive, workspace, undisturbed.params, "ray"), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("inventory"):
            kill_one(process, is_actor_at_work)  # its unit goes to the actor's successor
        if line.startswith("faces"):
            break
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    nothing_lies(workspace)
    # Whoever can write to the store ends with the driver; Ray's own agents take their time, and have nothing to say here.
    until(lambda: not any(holds(is_actor, one) or holds(is_sandbox, one) for one in family))
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    done = subprocess.run(command(undisturbed.archive, workspace, undisturbed.params), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "faces      nothing new" in done.stderr
    ends_as_if_nothing_had_happened(workspace, undisturbed)


def is_sandbox(process: psutil.Process) -> bool:
    return "pipelines.sandboxed" in process.cmdline()


def is_actor(process: psutil.Process) -> bool:
    return "UnitActor" in " ".join(process.cmdline())


def is_actor_at_work(process: psutil.Process) -> bool:
    return is_actor(process) and any(is_sandbox(child) for child in process.children())


def holds(condition: Callable[[psutil.Process], bool], process: psutil.Process) -> bool:
    try:
        return condition(process)
    except psutil.NoSuchProcess:  # or a zombie
        return False


def kill_one(driver: subprocess.Popen[str], is_wanted: Callable[[psutil.Process], bool]) -> int:
    """Waits until there is such a process, and kills it. Returns its id."""
    found: list[psutil.Process] = []

    def is_there() -> bool:
        found[:] = [process for process in psutil.Process(driver.pid).children(recursive=True) if holds(is_wanted, process)]
        return bool(found)

    until(is_there)
    found[0].kill()
    return found[0].pid


def until(condition: Callable[[], bool]) -> None:
    for _ in range(12_000):
        if condition():
            return
        threading.Event().wait(0.05)
    raise AssertionError("waited for ten minutes")
