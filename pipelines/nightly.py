"""Nightly: one unattended run over a growing archive: lock, plan, label within a budget, say what changed, keep it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import psutil
from rich.markup import escape

from pipelines.evaluate_known import evaluate_if_known
from pipelines.initialise import commit_all
from pipelines.listing import read_inventory, update_inventory
from pipelines.lock import locked, told
from pipelines.parquet import read_frame
from pipelines.plan import Plan, Rates, duration, make_plan, print_plan
from pipelines.progress import console
from pipelines.publish import publish_labels
from pipelines.step import UNIT_STEPS, run_step
from pipelines.survey import Bounds
from pipelines.view import write_report
from pipelines.workspace import Workspace
from schemas.errors import ParamsError, WorkspaceError
from schemas.reasons import Outcome
from schemas.tables import FAILURES

TOO_MANY_FAILURES = 3
"""Exit code when more of the night's files failed than `max_failed` allows."""

_ROUND_S = 1800.0
"""A night with a budget goes in rounds: the budget is looked at between them."""
_FIRST_MINUTES = 5.0
"""Video in the first round, when no past run tells how fast this machine is."""
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class NightlyJob:
    """What the operator asked for."""

    budget_s: float | None = None
    settle_s: float = 600.0
    max_failed: float = 0.1
    push: bool = False
    tag: bool = False
    commit: bool = True


def nightly(root: Path, job: NightlyJob) -> int:
    """Runs one night. Returns the exit code: 0, or TOO_MANY_FAILURES.

    In a DVC workspace the steps run by `dvc repro`, else one after the other here. The same functions, the same outputs.

    Raises:
        BusyError: another FauScan is at work in the workspace.
        FauScanError: what the steps raise; finished units are kept, and the next night goes on from there.
    """
    workspace = Workspace.open(root)
    with locked(workspace.root) as descriptor:
        started = time.monotonic()
        before = _Snapshot.of(workspace)
        plan = make_plan(workspace, job.settle_s)
        print_plan(plan)
        for bounds in _rounds(workspace, job, started):
            _label(workspace, bounds, plan, descriptor)
        after = _Snapshot.of(workspace)
        night = changes(before, after) | {"seconds": round(time.monotonic() - started, 1), "planned_files": plan.to_read}
        _print_night(night)
        _keep(workspace, job, night)
        tried = plan.to_read + max((step.videos for step in plan.steps.values()), default=0)
        failed = len(night["failures_new"])
        if failed > job.max_failed * max(tried, failed, 1):
            console.print(f"{failed:,} of {tried:,} files failed, more than --max-failed {job.max_failed:g} allows", highlight=False)
            return TOO_MANY_FAILURES
        return 0


def _rounds(workspace: Workspace, job: NightlyJob, started: float) -> Iterator[Bounds]:
    """Bounds of one round after the other, until nothing is pending or the budget is over; one round there always is."""
    if job.budget_s is None:
        yield Bounds(job.settle_s)
        return
    left_s = max(job.budget_s, 0.0)
    while True:
        round_s = min(_ROUND_S, left_s)
        a_minute_s = Rates(workspace).chain_s(60.0)
        # Half a round for reading, half for labelling; what one half leaves over, the next round has.
        minutes = min(_FIRST_MINUTES, round_s / 60) if a_minute_s is None else round_s / 2 / a_minute_s
        yield Bounds(job.settle_s, round_s / 2, minutes)
        waiting = read_inventory(workspace.inventory).filter((pl.col("outcome") == Outcome.PENDING.value) & (pl.col("reason").is_null()))
        left_s = job.budget_s - (time.monotonic() - started)
        if waiting.is_empty() or left_s <= 0:
            return


def _label(workspace: Workspace, bounds: Bounds, plan: Plan, descriptor: int) -> None:
    if not (workspace.root / "dvc.yaml").is_file():
        update_inventory(workspace, bounds=bounds)
        for name in UNIT_STEPS:
            receipts = run_step(workspace, name)
        publish_labels(workspace, receipts)
        evaluate_if_known(workspace)
        write_report(workspace)
        return
    command = [sys.executable, "-m", "dvc", "repro", "-q"]
    if plan.due or plan.stale:
        command.append("--force")  # DVC looks at the inventory only; that a video is to be tried again is not in it
    environment = told(workspace.root) | {
        "FAUSCAN_SETTLE": str(bounds.settle_s),
        **({} if bounds.probe_s is None else {"FAUSCAN_PROBE": str(bounds.probe_s)}),
        **({} if bounds.admit_minutes is None else {"FAUSCAN_ADMIT": str(bounds.admit_minutes)}),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    }
    # A session of its own, and the lock's descriptor: killed alone, this process leaves a workspace that is still held.
    with subprocess.Popen(command, cwd=workspace.root, env=environment, pass_fds=(descriptor,), start_new_session=True) as process:
        try:
            code = None
            while code is None:
                # Waiting without an end would miss a signal that the system hands to another thread.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    code = process.wait(timeout=0.5)
        except BaseException:
            # The step is asked, not DVC, which then ends by itself and leaves its locks in order. SIGTERM: shells start what
            # they put in the background with Ctrl-C switched off.
            with contextlib.suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.terminate()
            process.wait()
            raise
    if code:
        raise WorkspaceError(f"{workspace.root}: `dvc repro` failed (exit code {code}); its own words are above")


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What a night is compared by."""

    files: pl.DataFrame
    """uri, content_id, outcome."""
    failures: pl.DataFrame
    """uri, stage, reason, attempt of files that failed."""
    metrics: dict[str, Any]

    @classmethod
    def of(cls, workspace: Workspace) -> _Snapshot:
        files = pl.DataFrame(schema={"uri": pl.String, "content_id": pl.String, "outcome": pl.String})
        failures = pl.DataFrame(schema={"uri": pl.String, "stage": pl.String, "reason": pl.String, "attempt": pl.Int16})
        metrics: dict[str, Any] = {}
        if workspace.inventory.is_file():
            files = read_inventory(workspace.inventory).select(files.columns)
        if (workspace.data / "failures.parquet").is_file():
            rows = read_frame(workspace.data / "failures.parquet", "fauscan label", FAILURES)
            failures = rows.filter(pl.col("outcome") == Outcome.FAILED.value).select(failures.columns)
        if (path := workspace.root / "reports" / "metrics.json").is_file():
            with contextlib.suppress(ValueError):
                metrics = json.loads(path.read_text(encoding="utf-8"))
        return cls(files, failures, metrics)


def changes(before: _Snapshot, after: _Snapshot) -> dict[str, Any]:
    """What is different since the last night, as counts and names."""
    old, new = dict(before.files.select("uri", "content_id").iter_rows()), dict(after.files.select("uri", "content_id").iter_rows())
    known = set(old.values()) - {None}
    arrived = [uri for uri in new if uri not in old]
    moved = [uri for uri in arrived if new[uri] in known]
    tries = after.failures.join(before.failures, on=["uri", "stage", "reason", "attempt"], how="anti")
    solved = before.failures.join(after.failures, on=["uri"], how="anti").filter(pl.col("uri").is_in(list(new)))
    counts = dict(after.files.group_by("outcome").len().iter_rows())
    return {
        "files": len(new),
        "new": len(arrived) - len(moved),
        "moved_or_copied": len(moved),
        "replaced": sum(uri in new and new[uri] is not None and content_id not in (None, new[uri]) for uri, content_id in old.items()),
        "vanished": sum(uri not in new for uri in old),
        "outcomes": {outcome.value: counts.get(outcome.value, 0) for outcome in Outcome},
        "pending": after.files.filter(pl.col("outcome") == Outcome.PENDING.value)["uri"].to_list(),
        "failures_new": tries.unique("uri", maintain_order=True).to_dicts(),
        "failures_solved": solved["uri"].unique(maintain_order=True).to_list(),
        "verdicts": {
            name: [(before.metrics.get("verdicts") or {}).get(name, 0), count]
            for name, count in (after.metrics.get("verdicts") or {}).items()
        },
    }


def _print_night(night: dict[str, Any]) -> None:
    console.print(
        f"{night['files']:,} files: {night['new']:,} new, {night['replaced']:,} replaced, {night['moved_or_copied']:,} moved or copied, "
        f"{night['vanished']:,} vanished, in {duration(night['seconds'])}",
        highlight=False,
    )
    verdicts = ", ".join(f"{count:,} {name} ({count - was:+,})" for name, (was, count) in night["verdicts"].items())
    if verdicts:
        console.print(f"videos by verdict: {verdicts}", highlight=False)
    for title, names in (
        ("failed tonight", [f"{row['uri']}: {row['stage']}, {row['reason']}, attempt {row['attempt']}" for row in night["failures_new"]]),
        ("no longer failing", night["failures_solved"]),
        ("left for the next night", night["pending"]),
    ):
        if names:
            console.print(f"{title}: {len(names):,}", highlight=False)
            for name in names[:_SHOWN]:
                console.print(f"  {escape(repr(name)[1:-1])}", highlight=False)
            if len(names) > _SHOWN:
                console.print(f"  … and {len(names) - _SHOWN:,} more", highlight=False)


def _keep(workspace: Workspace, job: NightlyJob, night: dict[str, Any]) -> None:
    """Appends to `logs/nightly.jsonl`; commits, tags and pushes in a repository."""
    now = datetime.now(UTC)
    with (workspace.root / "logs" / "nightly.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"ended": now.isoformat(timespec="seconds")} | night) + "\n")
    if not (workspace.root / ".git").exists() or shutil.which("git") is None:
        return
    if job.commit:
        summary = f"{night['new']} new, {night['replaced']} replaced, {night['vanished']} vanished, {len(night['failures_new'])} failed"
        commit_all(workspace.root, f"Labels of {now:%Y-%m-%d}: {summary}")
    if job.push:
        _run(workspace.root, sys.executable, "-m", "dvc", "push", "-q")
    if job.tag:
        _run(workspace.root, "git", "tag", "-f", f"labels-{now:%Y-%m-%d}")


def _run(root: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[:300]
        raise WorkspaceError(f"{root}: the labels are made and committed, but `{' '.join(command[-3:])}` failed: {said}")


_UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def seconds(text: str, option: str) -> float:
    """A length of time as people write it: `6h`, `90m`, `1.5h`, `30s`, or seconds.

    Raises:
        ParamsError: it is none, and the message names the option.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|)\s*", text)
    if match is None:
        raise ParamsError(f"{option} is {text!r}; give a time such as 6h, 90m or 30s")
    return float(match[1]) * _UNITS_S[match[2]]
