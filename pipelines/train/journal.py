"""Journal: a run's curve as DVCLive metrics and as lines on the terminal."""

from __future__ import annotations

import contextlib
import io
import logging
import time
from pathlib import Path

from pipelines.progress import console


class Journal:
    """Writes `DIR/plots/metrics/**.tsv` and `DIR/metrics.json`; a resumed run writes its earlier rows again first."""

    def __init__(self, folder: Path, curve: list[dict[str, float]]) -> None:
        logging.getLogger("dvclive").setLevel(logging.ERROR)
        with contextlib.redirect_stderr(io.StringIO()):  # it says at length where it is not in a git repository
            from dvclive import Live  # type: ignore[attr-defined]  # noqa: PLC0415 - a second of imports

            self._live = Live(str(folder), save_dvc_exp=False, dvcyaml=None, report=None, monitor_system=False)
        self._started = time.monotonic()
        for row in curve:
            self._log(row)

    def __call__(self, row: dict[str, float], steps: int) -> None:
        """Notes one validation."""
        self._log(row)
        minutes = (time.monotonic() - self._started) / 60
        measured = f"dev AUC {row['dev_auc']:.3f}  " if "dev_auc" in row else ""
        console.print(f"step {int(row['step'])}/{steps}  loss {row['loss']:.3f}  {measured}{minutes:.1f} min", highlight=False)

    def _log(self, row: dict[str, float]) -> None:
        self._live.step = int(row["step"])
        for name, value in row.items():
            if name != "step":
                self._live.log_metric(name.replace(" ", "/"), value, timestamp=False)
        self._live.make_summary()  # type: ignore[no-untyped-call]
