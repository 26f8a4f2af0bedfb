"""Runs the real chain in processes that die by SIGKILL at a moment that was drawn beforehand.

One process imports everything once and is forked for each run, so that a kill costs what the run did and not torch's start-up.
What a sandbox would compute is computed in place: a sandbox writes nothing, so there is nothing in it to commit.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_CODE = "from tests.pipelines.killing import serve; serve()"


class Nursery:
    """Starts runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(
        self, archive: Path, workspace: Path, params: Path, *, die_at: int = 0, die_before: str = "", fail: str = ""
    ) -> tuple[int, list[str]]:
        """One `fauscan run`.

        Args:
            archive: folder.
            workspace: folder.
            params: the parameters.
            die_at: the how-manieth write to the workspace is the last moment of the process; 0 lives on.
            die_before: as well: the first one whose name matches this pattern.
            fail: name of a file that the storage does not give out today.

        Returns:
            The exit code (-9 when it was killed), and the writes that were begun: `rename data/inventory.parquet` ...
        """
        job = {"archive": str(archive), "workspace": str(workspace), "params": str(params)}
        job |= {"die_at": die_at, "die_before": die_before, "fail": fail}
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        code, writes = json.loads(self._process.stdout.readline())
        return code, writes


@contextmanager
def nursery(log: Path) -> Iterator[Nursery]:
    """`log`: what the runs say."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    with log.open("w", encoding="utf-8") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", _CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True, env=environment
        )
        try:
            yield Nursery(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


def serve() -> None:
    """Forks a run for each line of stdin. Nothing here may start a thread: a fork would lose it."""
    import pipelines.whole  # noqa: F401
    import stages.audio
    import stages.faces
    import stages.fau
    import stages.label
    import stages.score  # noqa: F401

    for line in sys.stdin:
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(ours)
            os._exit(_run(json.loads(line), theirs))
        os.close(theirs)
        with open(ours, encoding="utf-8") as told:  # noqa: PTH123 - a descriptor
            writes = told.read().splitlines()
        _, status = os.waitpid(child, 0)
        sys.stdout.write(json.dumps([os.waitstatus_to_exitcode(status), writes]) + "\n")
        sys.stdout.flush()


def _run(job: dict[str, Any], told: int) -> int:
    from pipelines import cli

    os.dup2(2, 1)  # stdout is the nursery's
    _compute_in_place(job["fail"])
    _die_at(Path(job["workspace"]), told, job["die_at"], re.compile(job["die_before"] or "(?!)"))
    sys.argv = ["fauscan", "run", job["archive"], "-w", job["workspace"], "--params", job["params"], "--engine", "local"]
    try:
        cli.main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def _compute_in_place(fail: str) -> None:
    import pickle

    from pipelines.archive import Archive
    from pipelines.sandbox import Sandbox
    from schemas.reasons import Reason
    from stages.contract import MediaError

    runners: dict[bytes, Any] = {}

    def call(_: Sandbox, make_runner: bytes, task: Any, timeout_s: float, memory_mb: int) -> Any:
        if make_runner not in runners:
            runners[make_runner] = pickle.loads(make_runner)()
        return pickle.loads(pickle.dumps(runners[make_runner](pickle.loads(pickle.dumps(task)))))

    Sandbox.call = call  # type: ignore[method-assign]
    whole = Archive.open_media

    @contextmanager
    def open_media(self: Archive, uri: str) -> Iterator[Path]:
        with whole(self, uri) as path:
            # The inventory could still read it.
            if fail and uri == fail and sys._getframe(2).f_globals["__name__"] == "pipelines.runner":
                raise MediaError(Reason.READ_FAILED, "the storage has a bad moment")
            yield path

    Archive.open_media = open_media  # type: ignore[method-assign]


def _die_at(root: Path, told: int, count: int, before: re.Pattern[str]) -> None:
    """Names every write below `root` before it happens, and ends the process group instead of the one that was asked for."""
    seen = 0
    os.setsid()

    def moment(kind: str, path: str, handle: int | None = None) -> None:
        nonlocal seen
        if not path.startswith(f"{root}/"):
            return
        seen += 1
        name = f"{kind} {path.removeprefix(f'{root}/')}"
        os.write(told, f"{name}\n".encode())
        if seen == count or before.search(name):
            if handle is not None:
                os.ftruncate(handle, os.fstat(handle).st_size // 2)  # a kill in the middle of writing
            os.killpg(0, signal.SIGKILL)

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        match event, arguments:
            case "open", (str() | os.PathLike() as path, str() as mode, _) if mode.strip("bt") != "r":
                moment("open", os.fspath(path))
            case "os.rename", (_, target, *_):
                moment("rename", os.fspath(target))
            case "os.remove" | "os.mkdir" | "os.rmdir", (path, *_):
                moment(event.removeprefix("os."), os.fspath(path))

    whole = os.fsync

    def fsync(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        moment("fsync", str(path), None if path.is_dir() else handle)
        whole(handle)

    os.fsync = fsync
    sys.addaudithook(audit)
