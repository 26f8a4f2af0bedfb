"""Train: from a folder of labelled clips to a calibrated checkpoint."""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from fauforensics import FauForensics, ReferenceFauForensics, build, save_checkpoint
from fauforensics.checkpoint_info import OWN_FAU
from pipelines import engine
from pipelines.curated import open_curated
from pipelines.lock import locked
from pipelines.parquet import replace_file
from pipelines.progress import console
from pipelines.step import run_step
from pipelines.train.calibrate import calibrate
from pipelines.train.curated import load_curated
from pipelines.train.dataset import Dataset, load_dataset
from pipelines.train.journal import Journal
from pipelines.train.kept import adopt_trunk, check_kept, sizes
from pipelines.train.loop import Trainer
from pipelines.train.pixels import ReadCrops, VideoCrops, stored_crops
from pipelines.train.starts import Starts
from pipelines.train.state import TrainState, load_state, run_id
from pipelines.train.validate import auc_by_kind, judge_clips
from pipelines.whole import open_for_run
from pipelines.workspace import Workspace
from schemas.errors import ParamsError, WorkspaceError
from schemas.fingerprint import digest
from schemas.timebase import WINDOW_TICKS
from schemas.train import Phase, TrainParams, train_params
from schemas.truth import TruthRow, read_truth
from stages.device import resolve_device

_SHARE: dict[Phase, float] = {"au": 0.1, "picture": 0.4, "whole": 0.5}  # of the minutes
_OVERHEAD = 0.85  # of the minutes for steps; the rest is validation
_MIN_STEPS = 20
_PIXELS_AT_FIRST = 0.3  # weight beside the action units, which have found together with the sound by then
_CALIBRATE_STRIDE = 5


@dataclass(frozen=True, slots=True)
class TrainJob:
    """One run, as it is asked for. Picklable: each worker gets it."""

    data: Path
    out: Path
    workspace: Path
    params: TrainParams
    starts: Starts
    device: str = "auto"
    curated: str | None = None
    """A curated set of the workspace, whose clips are used instead of `data`."""

    @property
    def folder(self) -> Path:
        """Where the run's state and curve lie."""
        return self.out.with_name(f"{self.out.stem}-run")


def train(
    data: Path,
    out: Path,
    *,
    preset: str = "lite",
    minutes: float | None = None,
    seed: int = 1,
    params_file: Path | None = None,
    overrides: dict[str, Any] | None = None,
    workspace: Path | None = None,
    workers: int = 1,
    device: str = "auto",
    engine_name: str | None = None,
    fresh: bool = False,
    starts: Starts | None = None,
    curated: str | None = None,
) -> dict[str, Any]:
    """Trains on the `train` split of `data`, watches `dev`, and writes a checkpoint with calibration and thresholds.

    Args:
        data: folder with videos and `metadata.json`.
        out: the checkpoint, `.safetensors`; figures go to `.json` beside it, the run's state to `<name>-run/`.
        preset: `lite` or `reference`.
        minutes: turned into steps once, by timing a few; the steps are then kept, so that a resumed run does the same.
        seed: of weights, draws and variations.
        params_file: YAML with fields of `TrainParams`.
        overrides: fields that win over the file.
        workspace: where faces, action units and sound of `data` are kept; default `<data>-labels`.
        workers: processes that share the gradient, by Ray Train; 1 trains in this process.
        device: auto, cpu or cuda.
        engine_name: ray or local, for the steps before training.
        fresh: start over instead of going on.
        starts: weights to start from.
        curated: a curated set of `workspace`, where everything up to `audio` has run; `data` is not looked at then.

    Returns:
        What is written to the `.json`.

    Raises:
        TruthError, ParamsError, WorkspaceError, CheckpointError: wrong input, one line each.
    """
    if out.suffix != ".safetensors":
        raise ParamsError(f"--out is {out}; the name of a checkpoint must end in .safetensors")
    if curated is None:
        read_truth(data)
    # A curated clip has the length of a window; neighbours make longer stretches, but not all have any.
    usual = {} if curated is None else {"stretch_ticks": WINDOW_TICKS}
    asked = usual | _given(params_file) | (overrides or {}) | {"seed": seed}
    params = train_params(preset, asked, str(params_file or "training"))
    job = TrainJob(data, out, workspace or data.with_name(f"{data.name}-labels"), params, starts or Starts(), device, curated)
    if curated is None:
        _prepare(job, _used(job), engine_name)
    if fresh:
        shutil.rmtree(job.folder, ignore_errors=True)
    dataset = _dataset(job)
    console.print(_told(dataset), highlight=False)
    if len(dataset.unused):
        console.print(f"{len(dataset.unused)} clips can't be used; {job.folder / 'unused.csv'} says why", highlight=False)
        _write_unused(dataset, job.folder)
    job = _with_steps(job, dataset, minutes, asked)
    if workers > 1:
        engine.train_on_ray(functools.partial(_run_worker, job), workers, torch.cuda.is_available() and device != "cpu", job.folder)
        state = load_state(job.folder)
    else:
        state = _run(job, dataset)
    if state is None or not state.best:
        raise WorkspaceError(f"{job.folder}: the run left no weights; use --fresh to start over")
    return _finish(job, dataset, state)


def _given(params_file: Path | None) -> dict[str, Any]:
    if params_file is None:
        return {}
    try:
        raw = yaml.safe_load(params_file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ParamsError(f"{params_file}: can't be read as YAML: {' '.join(str(error).split())[:200]}") from None
    if raw is not None and not isinstance(raw, dict):
        raise ParamsError(f"{params_file}: must be a mapping of training parameters")
    return dict(raw or {})


def _used(job: TrainJob) -> list[TruthRow]:
    """Clips of train and dev; of a person with many, so many whole takes that the limit holds, drawn by the seed.

    A take is a real clip and the forgeries made of it.
    """
    limit, rows = job.params.max_clips_per_identity, read_truth(job.data)
    takes: dict[str, dict[str, list[TruthRow]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.split == "train":
            takes[row.identity or row.original or row.file][row.original or row.file].append(row)
    used = [row for row in rows if row.split == "dev"]
    for own in takes.values():
        count = 0
        for name in sorted(own, key=lambda n: digest([job.params.seed, n])):
            if limit and count and count + len(own[name]) > limit:
                break
            used += own[name]
            count += len(own[name])
    return used


def _prepare(job: TrainJob, used: Sequence[TruthRow], engine_name: str | None) -> None:
    """Faces, action units and sound of the clips; what is there already is not computed again."""
    opened = open_for_run(str(job.data), job.workspace, engine_name, None)
    if job.params.fau_features:
        check_kept(opened, job.params.preset)
    if job.params.pixels == "video" and opened.params.faces.backend != "mesh":
        raise ParamsError(
            f"pixels is 'video', which cuts faces by the 468 points of faces.backend: mesh, but {opened.root / 'params.yaml'} has "
            f"{opened.params.faces.backend!r}; use pixels: crops"
        )
    with locked(opened.root):
        from pipelines.listing import update_inventory  # noqa: PLC0415 - polars and PyAV, which workers that only train don't need

        update_inventory(opened, frozenset(row.file for row in used))
        for step in ("faces", "fau", "audio"):
            run_step(opened, step)


def _dataset(job: TrainJob) -> Dataset:
    opened = Workspace.open(job.workspace)
    p = job.params
    if p.fau_features:
        check_kept(opened, p.preset)
    if job.curated is not None:
        return load_curated(opened, open_curated(opened, job.curated), p.stretch_ticks, p.pixels == "video", p.fau_features)
    return load_dataset(opened, _used(job), p.stretch_ticks, p.pixels == "video", p.fau_features)


def _network(job: TrainJob, dataset: Dataset) -> FauForensics | ReferenceFauForensics:
    fixed = sizes(Workspace.open(job.workspace), job.params.preset, dataset.num_features) if job.params.fau_features else {}
    return build(job.params.preset, **(job.params.network | fixed))


def _reader(job: TrainJob) -> ReadCrops:
    if job.params.pixels == "crops":
        return stored_crops
    opened = Workspace.open(job.workspace)
    return VideoCrops(opened.archive(), opened.params.faces, opened.params.decode)


def _trainer(job: TrainJob, dataset: Dataset) -> Trainer:
    _leave_a_core()
    torch.manual_seed(job.params.seed)
    net = _network(job, dataset)
    if isinstance(net, FauForensics):
        torch.nn.init.constant_(net.video_encoder.norm.gamma, _PIXELS_AT_FIRST)
    job.starts.load_into(net)
    if job.params.fau_features:
        adopt_trunk(net, Workspace.open(job.workspace), job.starts.fau is not None or job.starts.checkpoint is not None)
    return Trainer(net, dataset, job.params, _reader(job), job.folder, resolve_device(job.device))


def _with_steps(job: TrainJob, dataset: Dataset, minutes: float | None, asked: dict[str, Any]) -> TrainJob:
    """The job with its number of steps; a run that was begun keeps the one it has."""
    plan = job.folder / "plan.json"
    request = {"minutes": minutes, "asked": asked, "preset": job.params.preset, "data": dataset.digest, "starts": job.starts.digest()}
    request = json.loads(json.dumps(request))
    if plan.is_file():
        before = json.loads(plan.read_text(encoding="utf-8"))
        if before["request"] != request:
            different = ", ".join(sorted(k for k in request if before["request"].get(k) != request[k]))
            raise WorkspaceError(f"{job.folder}: holds a run that differs in {different}; use --fresh to start over, or another --out")
        return _replaced(job, before["steps"])
    steps: dict[str, int] = {}
    if minutes is not None:
        seconds = _trainer(job, dataset).seconds_per_step()
        shares = {phase: _SHARE[phase] for phase in seconds}
        budget_s = minutes * 60 * _OVERHEAD / sum(shares.values())
        fit = {phase: max(_MIN_STEPS, int(budget_s * share / seconds[phase])) for phase, share in shares.items()}
        steps = {"au_steps": fit.get("au", 0), "picture_steps": fit.get("picture", 0), "steps": fit["whole"]}
        steps["validate_every"] = max(10, min(job.params.validate_every, fit["whole"] // 8))
        told = ", ".join(f"{count} {phase} ({seconds[phase]:.2f} s)" for phase, count in fit.items())
        console.print(f"{minutes:g} minutes are so many steps: {told}", highlight=False)
    job.folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"request": request, "steps": steps}, indent=2) + "\n"
    replace_file(plan, text.encode(), plan.with_name(".plan.tmp"))
    return _replaced(job, steps)


def _replaced(job: TrainJob, steps: dict[str, int]) -> TrainJob:
    return TrainJob(job.data, job.out, job.workspace, job.params.model_copy(update=steps), job.starts, job.device, job.curated)


def _run_worker(job: TrainJob) -> None:
    """The whole run in one of several processes."""
    _run(job, _dataset(job))


def _leave_a_core() -> None:
    """One core is for making batches: torch's threads spin while they wait, and steps took 12 times as long when they had to share."""
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) - 1))


def _run(job: TrainJob, dataset: Dataset) -> TrainState:
    name = run_id(job.params, dataset.digest, job.starts.digest())
    state = load_state(job.folder)
    if state is not None and state.run_id != name:
        raise WorkspaceError(f"{job.folder}: holds a run with other parameters or data; use --fresh to start over, or another --out")
    if state is not None and state.finished:
        return state
    trainer = _trainer(job, dataset)
    if trainer.is_first and state is not None:
        console.print(f"going on after step {state.step}", highlight=False)
    journal = Journal(job.folder / "dvclive", state.curve if state else []) if trainer.is_first else None
    return trainer.fit(state or TrainState(name), journal or _say_nothing)


def _say_nothing(row: dict[str, float], steps: int) -> None:
    """What workers but the first tell."""


def _finish(job: TrainJob, dataset: Dataset, state: TrainState) -> dict[str, Any]:
    """Calibrates the best weights on `dev`, writes the checkpoint and its figures."""
    _leave_a_core()
    device = resolve_device(job.device)
    net = _network(job, dataset).to(device)
    net.load_state_dict(state.best)
    judged = judge_clips(net, dataset.split("dev"), job.params, _reader(job), _CALIBRATE_STRIDE, device)
    calibration = calibrate(judged)
    opened = Workspace.open(job.workspace)
    job.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = job.out.with_name(f".{job.out.name}.tmp")
    backend = OWN_FAU if job.params.preset == "reference" else opened.params.fau.name
    source = dataset.features if job.params.preset == "lite" else None
    save_checkpoint(temporary, net.cpu(), backend, dataset.digest, calibration, source)
    temporary.replace(job.out)
    found = {
        "preset": job.params.preset,
        "parameters": sum(p.numel() for p in net.parameters()),
        "training_data_digest": dataset.digest,
        "clips": {split: len(dataset.split(split)) for split in ("train", "dev")},
        "identities": {split: len({c.truth.identity for c in dataset.split(split)}) for split in ("train", "dev")},
        "recipe": job.params.model_dump(mode="json"),
        "steps_done": state.step,
        "best_step": state.best_step,
        "dev_frame_auc": auc_by_kind(judged),
        "thresholds": {"fake_above": calibration.fake_above, "real_below": calibration.real_below},
        "weights_digest": digest({"state": _weights_digest(state)}),
    }
    if job.curated is not None:
        found["curated"] = {"name": job.curated, "digest": open_curated(opened, job.curated).digest}
    text = json.dumps(found, indent=2) + "\n"
    replace_file(job.out.with_suffix(".json"), text.encode(), job.out.with_name(f".{job.out.stem}.json.tmp"))
    console.print(f"{job.out}: best at step {state.best_step} of {state.step}, mean dev AUC {state.best_score:.3f}", highlight=False)
    return found


def _weights_digest(state: TrainState) -> str:
    import hashlib  # noqa: PLC0415

    found = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(state.best.items()):
        found.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def _told(dataset: Dataset) -> str:
    parts = []
    for split in ("train", "dev"):
        clips = dataset.split(split)
        real = sum(c.is_real for c in clips)
        people = len({c.truth.identity for c in clips})
        parts.append(f"{split}: {real} real and {len(clips) - real} forged clips of {people} people")
    return "; ".join(parts)


def _write_unused(dataset: Dataset, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["file,why", *(f'"{file}","{why}"' for file, why in sorted(dataset.unused.items()))]
    (folder / "unused.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
