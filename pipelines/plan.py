"""Plan: what a run would do, from the listing, the manifests and the receipts. Reads no video and writes nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import polars as pl
from rich.table import Table

from pipelines.due import find_due
from pipelines.features import check_checkpoint
from pipelines.listing import read_inventory
from pipelines.progress import console
from pipelines.runlog import read_log
from pipelines.step import UNIT_STEPS
from pipelines.survey import survey
from pipelines.units import LEDGER
from pipelines.weights.needed import needed, require
from pipelines.workspace import Workspace
from schemas.reasons import Outcome
from stages.contract import as_frame

_RECENT_RUNS = 20
"""Runs of a step that its rate is taken from."""


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What is due in one step, of the videos that are known already."""

    units: int
    videos: int
    media_s: float
    estimate_s: float | None
    """Seconds, by past runs; None when there are none."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Every listed file is new, changed, again, retry, settling or known."""

    listed: int
    new: int
    changed: int
    again: int
    """To be read once more for another version of FauScan, or other `decode` parameters."""
    retry: int
    settling: int
    known: int
    vanished: int
    """In the last inventory, not in the archive."""
    read_bytes: int
    read_estimate_s: float | None
    new_media_s: float | None
    """How long the unread videos last, by the bytes of the known ones."""
    steps: dict[str, StepPlan]
    stale: bool
    """A manifest is behind its receipts: the steps must run to catch up."""

    @property
    def to_read(self) -> int:
        return self.new + self.changed + self.again + self.retry

    @property
    def due(self) -> bool:
        """Whether a step has work on videos that are known already."""
        return any(step.units for step in self.steps.values())

    @property
    def estimate_s(self) -> float | None:
        """Seconds for everything, by past runs."""
        parts = [step.estimate_s for step in self.steps.values()]
        if self.to_read:
            parts.append(self.read_estimate_s)
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None


def make_plan(workspace: Workspace, settle_s: float = 0.0) -> Plan:
    """The plan of one night.

    Raises:
        ArchiveError, WorkspaceError: archive or store can't be read.
        WeightsError, CheckpointError: a run would have no weights, or none that fit.
    """
    require(workspace.root, needed(workspace.params))
    check_checkpoint(workspace)
    seen = survey(workspace, settle_s)
    rates = Rates(workspace)
    why = dict(seen.to_read.group_by("why").len().iter_rows())
    before = set(read_inventory(workspace.inventory)["uri"]) if workspace.inventory.is_file() else set()
    videos = _videos(workspace, seen.known)
    length_s = {content_id: us / 1e6 for content_id, us in videos.select("content_id", "duration_us").iter_rows()}
    read_bytes = int(seen.to_read["size_bytes"].sum())
    known_bytes, known_s = int(videos["size_bytes"].sum()), int(videos["duration_us"].sum()) / 1e6
    new_media_s = read_bytes * known_s / known_bytes if known_bytes and read_bytes else None if read_bytes else 0.0
    steps = {}
    due = find_due(workspace, videos)
    for name, units in due.videos.items():
        wanted = [content_id for part in units.values() for content_id in part]
        media_s = sum(length_s[content_id] for content_id in wanted)
        total_s = None if new_media_s is None else media_s + new_media_s
        steps[name] = StepPlan(len(units), len(wanted), media_s, rates.step_s(name, total_s))
    return Plan(
        listed=seen.files.height,
        **{name: why.get(name, 0) for name in ("new", "changed", "again", "retry")},
        settling=seen.settling.height,
        known=seen.known.height,
        vanished=len(before - set(seen.files["uri"])),
        read_bytes=read_bytes,
        read_estimate_s=rates.read_s(read_bytes),
        new_media_s=new_media_s,
        steps=steps,
        stale=due.stale,
    )


def _videos(workspace: Workspace, known: pl.DataFrame) -> pl.DataFrame:
    """Known videos with their units: content_id, unit, size_bytes, duration_us; those without a unit yet count as new."""
    ledger = as_frame(workspace.store().read_ledger("units", LEDGER))
    usable = known.filter(pl.col("outcome") == Outcome.DONE.value).select("content_id", "size_bytes", "duration_us")
    return usable.join(ledger, on="content_id", how="inner")


class Rates:
    """How fast the steps were lately, on this engine."""

    def __init__(self, workspace: Workspace) -> None:
        lines = [line for line in read_log(workspace) if line.get("engine") == workspace.params.engine.name]
        self._lines: dict[str, list[dict[str, Any]]] = {
            name: [line for line in lines if line["step"] == name][-_RECENT_RUNS:] for name in ("inventory", *UNIT_STEPS)
        }

    def read_s(self, size_bytes: int) -> float | None:
        """Seconds to hash and probe so many bytes."""
        done = sum(line["bytes"] for line in self._lines["inventory"])
        return sum(line["seconds"] for line in self._lines["inventory"]) * size_bytes / done if done else None

    def step_s(self, name: str, media_s: float | None) -> float | None:
        """Seconds for so many seconds of video."""
        if media_s == 0:
            return 0.0
        done = sum(unit.get("media_s", 0.0) for line in self._lines[name] for unit in line["units"])
        return None if media_s is None or not done else sum(line["seconds"] for line in self._lines[name]) * media_s / done

    def chain_s(self, media_s: float) -> float | None:
        """Seconds for all steps together."""
        parts = [self.step_s(name, media_s) for name in UNIT_STEPS]
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None


def print_plan(plan: Plan) -> None:
    """For a person."""
    files = Table("files", "", "", box=None, pad_edge=False, show_header=False)
    meaning = (
        ("new", plan.new, "to be read"),
        ("changed", plan.changed, "replaced in place, to be read again"),
        ("again", plan.again, "to be read again: other version or decode parameters"),
        ("retry", plan.retry, "could not be read, another try"),
        ("settling", plan.settling, "changed a moment ago, left for later"),
        ("vanished", plan.vanished, "no longer in the archive; their labels go"),
        ("known", plan.known, "unchanged"),
    )
    for name, count, what in meaning:
        if count or name == "known":
            files.add_row(f"{count:,}", name, what)
    console.print(f"{plan.listed:,} files; {plan.to_read:,} to read, {plan.read_bytes / 1e9:,.2f} GB", highlight=False)
    console.print(files)
    if plan.due:
        steps = Table("step", "units", "videos", "minutes", "estimate", box=None, pad_edge=False)
        for name, step in plan.steps.items():
            if step.units:
                steps.add_row(name, f"{step.units:,}", f"{step.videos:,}", f"{step.media_s / 60:,.1f}", duration(step.estimate_s))
        console.print("known videos that are due:", highlight=False)
        console.print(steps)
    if not plan.to_read and not plan.due and not plan.vanished and not plan.stale:
        console.print("nothing to do", highlight=False)
    else:
        told = duration(plan.estimate_s)
        console.print(
            f"estimate: {told}" + ("" if plan.estimate_s is not None else " (no run of this engine to judge by)"), highlight=False
        )


def plan_json(plan: Plan) -> dict[str, Any]:
    """The same for a program."""
    return asdict(plan) | {"to_read": plan.to_read, "due": plan.due, "estimate_s": plan.estimate_s}


def duration(seconds: float | None) -> str:
    """As people say it."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
