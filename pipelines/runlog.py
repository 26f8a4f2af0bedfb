"""Run log: what ran when and how fast. Clocks live here, and nowhere in the outputs."""

from __future__ import annotations

import contextlib
import json
import platform
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pipelines.worker import Done
from pipelines.workspace import Workspace


class StepLog:
    """Collects the units of one step. `videos`, `frames` and `media_s` are those that were computed, not taken over."""

    def __init__(self) -> None:
        self.units: list[dict[str, object]] = []
        self.errors: list[str] = []

    def unit(self, done: Done) -> None:
        """One unit is committed."""
        facts = {"unit": done.receipt.unit, "videos": done.computed, "frames": done.frames}
        self.units.append(facts | {"media_s": round(done.media_s, 3), "seconds": round(done.seconds, 3)})
        self.errors += done.errors


@contextlib.contextmanager
def log_step(workspace: Workspace, step: str) -> Iterator[StepLog]:
    """Appends one line of JSON to `logs/runs.jsonl` when the step ends, however it ends; none when it had nothing to do."""
    log, started, clock = StepLog(), datetime.now(UTC), time.monotonic()
    try:
        yield log
    finally:
        if log.units:
            line: dict[str, object] = {
                "step": step,
                "started": started.isoformat(timespec="seconds"),
                "seconds": round(time.monotonic() - clock, 3),
                "engine": workspace.params.engine.name,
                "host": platform.node(),
                "units": log.units,
                **({"errors": log.errors} if log.errors else {}),
            }
            _append(workspace, line)


def log_inventory(workspace: Workspace, files: int, size_bytes: int, seconds: float, errors: list[str]) -> None:
    """Appends one line for the files that an inventory read."""
    started = datetime.fromtimestamp(time.time() - seconds, UTC).isoformat(timespec="seconds")
    line: dict[str, object] = {"step": "inventory", "started": started, "seconds": round(seconds, 3), "files": files, "bytes": size_bytes}
    _append(workspace, line | {"engine": workspace.params.engine.name, "host": platform.node()} | ({"errors": errors} if errors else {}))


def log_errors(workspace: Workspace, step: str, errors: list[str]) -> None:
    """Appends one line with tracebacks of errors of ours that cost no video."""
    _append(
        workspace, {"step": step, "started": datetime.now(UTC).isoformat(timespec="seconds"), "seconds": 0.0, "units": [], "errors": errors}
    )


def read_log(workspace: Workspace) -> list[dict[str, Any]]:
    """All lines, oldest first; a line that a kill cut short is left out."""
    path = workspace.root / "logs" / "runs.jsonl"
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        with contextlib.suppress(ValueError):
            lines.append(json.loads(text))
    return lines


def _append(workspace: Workspace, line: dict[str, object]) -> None:
    path = workspace.root / "logs" / "runs.jsonl"
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
