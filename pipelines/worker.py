"""Worker: takes units of a step, has them computed in a sandbox, commits their output, answers with receipts."""

from __future__ import annotations

import functools
import pickle
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute

from pipelines import quarantine, sandbox
from pipelines.chain import step_of
from pipelines.runner import StepRunner
from pipelines.store import Receipt, Store
from schemas.params import LimitParams, PipelineParams
from schemas.reasons import Failure, Outcome
from stages.contract import StageResult, concat


@dataclass(frozen=True, slots=True)
class UnitTask:
    """One unit of one step."""

    unit: str
    unit_key: str
    videos: list[dict[str, Any]]
    """Rows of MEDIA, one for each distinct content_id."""
    upstream_keys: dict[str, str]
    inputs: dict[str, str] = field(default_factory=dict)
    """Digest of what each upstream stage holds for this unit, for the receipt."""
    lost: frozenset[str] = frozenset()
    """content_ids that failed in an upstream stage: there is nothing to compute from."""
    before: Receipt | None = None
    """The receipt of an earlier try, whose finished videos are taken over where the step looks at one video at a time."""


@dataclass(frozen=True, slots=True)
class Done:
    """What travels back to the driver: about 200 bytes a video, never pixels."""

    receipt: Receipt
    computed: int
    """Videos that were really looked at; the others were taken over."""
    frames: int
    media_s: float
    """How long the computed videos last."""
    seconds: float
    errors: list[str]
    """Tracebacks of errors of ours."""


class StepWorker:
    """Runs one step over units. A video that kills its process, or takes too much of it, costs itself only."""

    def __init__(self, step: str, params: PipelineParams, archive_uri: str, store_uri: str, weights: Path, fingerprint: str) -> None:
        self._step = step_of(step, params)
        self._limits = params.limits
        self._store = Store(store_uri)
        self._fingerprint = fingerprint
        self._runner = pickle.dumps(functools.partial(StepRunner, step, params, archive_uri, store_uri, weights, fingerprint))
        self._sandbox = sandbox.borrow()
        self._busy = False

    def __call__(self, task: UnitTask) -> Done:
        self._busy = True
        started = time.monotonic()
        kept, todo = self._taken_over(task)
        # One at a time where the videos have nothing to do with each other: then the guilty one is known at once.
        groups = [[video] for video in todo] if self._step.reads_media else [todo]
        results: list[StageResult] = []
        failures: list[Failure] = []
        notes: dict[str, str] = {}
        errors: list[str] = []
        outcomes: dict[str, Outcome] = {}
        for group in groups:
            for answer in quarantine.each(group, functools.partial(self._attempt, task)):
                if isinstance(answer, quarantine.GivenUp):
                    video = answer.item
                    outcomes[video["content_id"]] = Outcome.FAILED
                    failures.append(
                        Failure(video["content_id"], video["uri"], self._step.name, answer.reason, Outcome.FAILED, answer.detail)
                    )
                    errors += [answer.traceback] if answer.traceback else []
                else:
                    result, notes = answer
                    results.append(result)
        for result in results:
            outcomes |= result.outcomes
            failures += result.failures
        tables = {name: self._table(name, schema, task, kept, results) for name, schema in self._step.outputs.items()}
        receipt = self._commit(task, kept, outcomes, failures, tables, notes)
        self._busy = False
        media_s = sum(video["duration_us"] or 0 for video in todo) / 1e6
        return Done(receipt, len(todo), sum(r.frames_seen for r in results), media_s, time.monotonic() - started, errors)

    def close(self) -> None:
        """Ends the sandbox when something is running in it; else the next step has it."""
        if self._busy:
            self._sandbox.close()
        else:
            sandbox.give_back(self._sandbox)

    def _taken_over(self, task: UnitTask) -> tuple[set[str], list[dict[str, Any]]]:
        """content_ids whose rows of the earlier try still hold, and the videos to compute."""
        if task.before is None or not self._step.reads_media:
            return set(), [video for video in task.videos if video["content_id"] not in task.lost]
        due = task.before.due(self._limits.max_attempts)
        kept = {v["content_id"] for v in task.videos if v["content_id"] in task.before.outcomes and v["content_id"] not in due}
        return kept, [v for v in task.videos if v["content_id"] not in kept]

    def _attempt(self, task: UnitTask, videos: Sequence[dict[str, Any]]) -> tuple[StageResult, dict[str, str]]:
        timeout_s = sum(timeout_of(video, self._limits) for video in videos)
        whole = len(videos) == len(task.videos)
        job = replace(task, videos=list(videos), before=None), whole
        answer: tuple[StageResult, dict[str, str]] = self._sandbox.call(self._runner, job, timeout_s, self._limits.memory_mb)
        return answer

    def _table(self, name: str, schema: pa.Schema, task: UnitTask, kept: set[str], results: list[StageResult]) -> pa.Table:
        main = next(iter(self._step.outputs))
        parts = [result.rows if name == main else result.side[name] for result in results]
        if not kept:
            return concat(parts, schema)
        old = self._store.read(self._step.name, task.unit_key, name)
        every = concat([old.filter(pa.compute.is_in(old["content_id"], value_set=pa.array(sorted(kept)))), *parts], schema)
        ordered = [every.filter(pa.compute.equal(every["content_id"], video["content_id"])) for video in task.videos]
        return concat(ordered, schema)

    def _commit(
        self,
        task: UnitTask,
        kept: set[str],
        outcomes: dict[str, Outcome],
        failures: list[Failure],
        tables: dict[str, pa.Table],
        notes: dict[str, str],
    ) -> Receipt:
        ends = {video["content_id"]: outcomes.get(video["content_id"], Outcome.FILTERED) for video in task.videos}
        rows = failures
        if task.before is not None:
            ends |= {content_id: Outcome(task.before.outcomes[content_id]) for content_id in kept}
            tries = task.before.attempts()
            rows = [
                *(f for f in task.before.known_failures() if f.content_id in kept),
                *(replace(f, attempt=tries.get(f.content_id or "", 0) + 1) if f.outcome is Outcome.FAILED else f for f in failures),
            ]
            # The tables are replaced one by one: until all are, the unit is not finished.
            self._store.forget(self._step.name, task.unit_key)
        place = {video["content_id"]: i for i, video in enumerate(task.videos)}
        rows.sort(key=lambda failure: place[failure.content_id or ""])
        return self._store.commit(self._step.name, task.unit, task.unit_key, self._fingerprint, ends, rows, tables, notes, task.inputs)


def timeout_of(video: dict[str, Any], limits: LimitParams) -> float:
    """Seconds that one step may take for a video: a row of MEDIA."""
    return limits.timeout_s + limits.timeout_per_s * (video["duration_us"] or 0) / 1e6
