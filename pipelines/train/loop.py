"""Loop: steps, validations, early stopping; one process or several, from the start or from where a run was."""

from __future__ import annotations

import contextlib
import copy
import math
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from fauforensics.network import FauForensics
from fauforensics.reference import ReferenceFauForensics
from pipelines.train.batches import Batch, make_batch
from pipelines.train.dataset import Dataset
from pipelines.train.draws import Sampler
from pipelines.train.objective import LiteObjective, ReferenceObjective
from pipelines.train.optimiser import make_optimiser, set_rate
from pipelines.train.pixels import ReadCrops
from pipelines.train.state import TrainState, save_state
from pipelines.train.validate import auc_by_kind, judge_clips, picture_px, selection_score
from schemas.errors import FauScanError
from schemas.train import Phase, TrainParams

_AHEAD = 2  # batches that are made while the network works
_STRIDE_TICKS = 10  # of the windows in a validation
_TIMED_STEPS = 3

Tell = Callable[[dict[str, float], int], None]
"""(row of the curve, steps in all): called after each validation."""


class Trainer:
    """Holds what a run needs in one process; `state` is what would be saved now."""

    def __init__(
        self, net: FauForensics | ReferenceFauForensics, data: Dataset, params: TrainParams, read: ReadCrops, folder: Path, device: str
    ) -> None:
        self.params, self.folder, self.device, self._read, self._data = params, folder, device, read, data
        self._px = picture_px(net)
        net.to(device)
        if isinstance(net, FauForensics):
            net.video_encoder.picture.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a third faster on a CPU
        torch.manual_seed(params.seed)
        self.net = net
        objective = LiteObjective(net, params) if isinstance(net, FauForensics) else ReferenceObjective(net, params)
        self.objective: nn.Module = objective.to(device)
        self.optimiser = make_optimiser(self.objective, params)
        kind = ("float16" if device == "cuda" else "none") if params.amp == "auto" else params.amp
        self._amp: Callable[[], Any] = contextlib.nullcontext if kind == "none" else lambda: torch.autocast(device, getattr(torch, kind))
        enabled = kind == "float16" and device == "cuda"
        self.scaler = torch.amp.GradScaler(device, enabled=enabled)  # type: ignore[attr-defined]
        self._several = dist.is_initialized() and dist.get_world_size() > 1
        self._rank = dist.get_rank() if self._several else 0
        self.is_first = self._rank == 0
        # In each phase but the last some parts have no gradient.
        self._shared = (
            DistributedDataParallel(self.objective, find_unused_parameters=len(params.phases) > 1) if self._several else self.objective
        )
        self._sampler = Sampler(data.split("train"), params)
        self._pictures = Sampler(data.split("train"), params, pictures=True) if params.picture_steps else None

    def fit(self, state: TrainState, tell: Tell) -> TrainState:
        """Trains until the schedule ends or validations stop getting better. Saves `state` after each validation."""
        p, total = self.params, self.params.total_steps
        if state.step:
            self._restore(state)
        losses: list[float] = []
        batches = self._batches(state.step, total)
        for step, batch in batches:
            losses.append(self._step(step, batch))
            done = step + 1
            _, first, length = p.phase_of(step)
            if (done - first) % p.validate_every and done != first + length:
                continue
            stop = self._validate(state, done, losses, tell)
            losses = []
            if stop:
                batches.close()
                break
        state.finished = True
        if self._rank == 0:
            save_state(state, self.folder)
        return state

    def seconds_per_step(self) -> dict[Phase, float]:
        """Measured on a copy, for turning minutes into steps. Phases without steps are left out."""
        kept = copy.deepcopy((self.objective.state_dict(), self.optimiser.state_dict()))
        took: dict[Phase, float] = {}
        first = 0
        for phase, steps in self.params.phases:
            if steps:
                self._step(first, self._make(first))  # the first one pays for warming up
                started = time.monotonic()
                for k in range(_TIMED_STEPS):
                    self._step(first, self._make(first + k % steps))
                took[phase] = (time.monotonic() - started) / _TIMED_STEPS
            first += steps
        self.objective.load_state_dict(kept[0])
        self.optimiser.load_state_dict(kept[1])
        return took

    def _step(self, step: int, batch: Batch) -> float:
        set_rate(self.optimiser, step, self.params)
        self.objective.train()
        with self._amp():
            loss: Tensor = self._shared(batch.to(self.device), self.params.phase_of(step)[0])
        value = float(loss.detach())
        if not math.isfinite(value) and not self.scaler.is_enabled():
            raise FauScanError(f"the loss is {value} at step {step}; lower train.lr, or start from other weights")
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimiser)  # before clipping: the published loop has it the other way round
        nn.utils.clip_grad_norm_([q for q in self.objective.parameters() if q.grad is not None], self.params.clip_norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        return value

    def _make(self, step: int) -> Batch:
        phase, _, _ = self.params.phase_of(step)
        if phase == "picture" and self._pictures is not None:
            return make_batch(self._pictures(step, self._rank), self.params, 1, self._px, self._read)
        read = self._read if phase == "whole" else None
        return make_batch(self._sampler(step, self._rank), self.params, self.params.stretch_ticks, self._px, read)

    def _batches(self, first: int, total: int) -> Generator[tuple[int, Batch], None, None]:
        """Batches in order, a few of them made ahead in threads (decoding and scaling leave Python's lock)."""
        with ThreadPoolExecutor(_AHEAD) as pool:
            waiting: deque[tuple[int, Future[Batch]]] = deque()
            for step in range(first, total + _AHEAD):
                if step < total:
                    waiting.append((step, pool.submit(self._make, step)))
                if step - first >= _AHEAD and waiting:
                    number, future = waiting.popleft()
                    yield number, future.result()

    def _validate(self, state: TrainState, done: int, losses: list[float], tell: Tell) -> bool:
        """Notes and saves; in the last phase measures. True when training should stop."""
        p, whole = self.params, self.params.phase_of(done - 1)[0] == "whole"
        state.step = done
        row: dict[str, float] = {"step": float(done), "loss": sum(losses) / max(1, len(losses))}
        if self._rank == 0 and whole:
            with self._amp():
                judged = judge_clips(self.net, self._data.split("dev"), p, self._read, _STRIDE_TICKS, self.device)
            aucs = auc_by_kind(judged)
            row |= {"dev_auc": selection_score(aucs)} | {f"dev {name}": value for name, value in aucs.items()}
        row = _from_first(row, self._several)
        state.curve.append(row)
        if whole and row["dev_auc"] > state.best_score:
            state.best_score, state.best_step = row["dev_auc"], done
            state.best = copy.deepcopy(self.net.state_dict())
        state.objective = self.objective.state_dict()
        state.optimiser = self.optimiser.state_dict()
        state.scaler = self.scaler.state_dict()
        if self._rank == 0:
            save_state(state, self.folder)
            tell(row, p.total_steps)
        return whole and done - state.best_step >= p.patience * p.validate_every

    def _restore(self, state: TrainState) -> None:
        self.objective.load_state_dict(state.objective)
        self.optimiser.load_state_dict(state.optimiser)
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state.scaler)


def _from_first(row: dict[str, float], several: bool) -> dict[str, float]:
    """The first worker's row, in every worker."""
    if not several:
        return row
    box: list[Any] = [row]
    dist.broadcast_object_list(box, src=0)
    return dict(box[0])
