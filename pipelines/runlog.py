"""Run log: what ran when and how fast. Clocks live here, and nowhere in the outputs."""

from __future__ import annotations

import contextlib
import json
import platform
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from pipelines.worker import Done
from pipelines.workspace import Workspace


class StepLog:
    """Collects the units of one step."""

    def __init__(self) -> None:
        self.units: list[dict[str, object]] = []

    def unit(self, done: Done) -> None:
        """One unit is committed."""
        self.units.append(
            {"unit": done.receipt.unit, "videos": len(done.receipt.outcomes), "frames": done.frames, "seconds": round(done.seconds, 3)}
        )


@contextlib.contextmanager
def log_step(workspace: Workspace, step: str) -> Iterator[StepLog]:
    """Appends one line of JSON to `logs/runs.jsonl` when the step ends, however it ends; none when it had nothing to do."""
    log, started, clock = StepLog(), datetime.now(UTC), time.monotonic()
    try:
        yield log
    finally:
        if log.units:
            line = {
                "step": step,
                "started": started.isoformat(timespec="seconds"),
                "seconds": round(time.monotonic() - clock, 3),
                "engine": workspace.params.engine.name,
                "host": platform.node(),
                "units": log.units,
            }
            path = workspace.root / "logs" / "runs.jsonl"
            path.parent.mkdir(exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
