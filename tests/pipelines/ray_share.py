"""A driver that runs workers on a Ray cluster which say what each holds of it."""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from pipelines import engine
from schemas.errors import FauScanError
from schemas.params import EngineParams


class Share:
    """Answers with the process it is in, and its CPUs, GPUs and the names of those."""

    def __init__(self, folder: Path, wanted: int) -> None:
        self._folder, self._wanted = folder, wanted
        (folder / str(os.getpid())).touch()

    def __call__(self, task: int, /) -> tuple[int, float, float, list[str]]:
        # So that it is seen who works at the same time.
        while len(list(self._folder.iterdir())) < self._wanted:
            time.sleep(0.05)
        context = sys.modules["ray"].get_runtime_context()
        held = context.get_assigned_resources()
        return os.getpid(), held.get("CPU", 0.0), held.get("GPU", 0.0), context.get_accelerator_ids()["GPU"]

    def close(self) -> None:
        pass


def shares(folder: Path, gpus: engine.Gpus, wanted: int, tasks: int) -> list[Any]:
    """The answers to some tasks, none of which ends before `wanted` workers are there."""
    folder.mkdir()
    return list(engine.run(list(range(tasks)), functools.partial(Share, folder, wanted), EngineParams(name="ray", workers=1), gpus=gpus))


def fitting(share: float) -> int | str:
    """How many workers with such a share of a GPU the cluster holds, or what is said when it is none."""
    try:
        return engine._fitting(share)
    except FauScanError as error:
        return str(error)


def main() -> None:
    """Writes one JSON object."""
    folder = Path(sys.argv[1])
    found = {
        "whole": shares(folder / "whole", engine.Gpus(1.0, workers=8), wanted=2, tasks=6),
        "half": shares(folder / "half", engine.Gpus(0.5, workers=1), wanted=1, tasks=3),
        "fitting": [fitting(share) for share in (0.0, 0.3, 0.5, 0.6, 1.0, 1.5, 2.0)],
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    # Under its own name, or the workers would look for `Share` in their own `__main__`.
    from tests.pipelines.ray_share import main as imported

    imported()
