"""Progress: a bar with videos, frames a second and time left on a terminal; one line a step elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

console = Console(stderr=True)


class StepProgress:
    """Follows one step: a context in which `advance` is told of finished work."""

    def __init__(self, step: str, total: int, noun: str = "videos") -> None:
        self._step, self._total, self._noun = step, total, noun
        self._frames, self._done, self._started = 0, 0, time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> StepProgress:
        if console.is_terminal and self._total:
            self._bar = Progress(
                TextColumn("{task.description:<10}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn(f"{self._noun} {{task.fields[rate]}}"),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._step, total=self._total, rate="")
        return self

    def advance(self, items: int, frames: int) -> None:
        """`items` more are done; `frames` frames were looked at for them."""
        self._done, self._frames = self._done + items, self._frames + frames
        if self._bar is not None and self._task is not None:
            rate = f"{self._frames / max(time.monotonic() - self._started, 1e-3):,.0f} frames/s" if self._frames else ""
            self._bar.update(self._task, advance=items, rate=rate)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def summary(self, already: int) -> str:
        """One line for the log: what was done, what was there already."""
        seconds = time.monotonic() - self._started
        if self._done == 0:
            return f"{self._step:<10} nothing new ({already:,} {self._noun} already done)"
        rate = f", {self._frames / max(seconds, 1e-3):,.0f} frames/s" if self._frames and self._noun == "videos" else ""
        before = f", {already:,} already done" if already else ""
        return f"{self._step:<10} {self._done:,} {self._noun} in {seconds:.1f} s{rate}{before}"
