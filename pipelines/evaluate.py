"""Evaluate: labels clips whose truth is known, measures the labels, and writes down how good they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import polars as pl
from rich.console import Console

from fauforensics.checkpoint_info import read_info
from pipelines.listing import read_inventory
from pipelines.lock import locked
from pipelines.parquet import damage_found_late, read_frame, write_bytes_if_changed
from pipelines.progress import console
from pipelines.publish import scan_labels
from pipelines.view import EVALUATION_NAME, write_report
from pipelines.whole import label_all, open_for_run
from pipelines.workspace import Workspace
from schemas import params as params_module
from schemas.errors import ParamsError, TruthError
from schemas.tables import SEGMENTS
from schemas.truth import METADATA_NAME, TruthRow, read_truth
from stages import evaluate as stage
from stages import figures_table
from stages.metrics.bootstrap import RESAMPLES
from stages.truth_frames import FrameRule

_ROC, _RELIABILITY = ["weights", "head", "fpr", "tpr"], ["weights", "head", "p_from", "p_to", "count", "confidence", "observed"]
_SEED = 1  # of a training that is part of an evaluation


@dataclass(frozen=True, slots=True)
class EvaluateJob:
    """What is asked for: every one of `weights` (the workspace's own when there are none) on every one of `data`."""

    data: Sequence[Path]
    weights: Sequence[Path] = ()
    split: str = "test"
    workspace: Path | None = None
    frame_rule: FrameRule = "exact"
    train_minutes: float | None = None
    engine: Literal["ray", "local"] | None = None
    json_file: Path | None = None
    resamples: int = RESAMPLES

    def workspace_of(self, data: Path) -> Path:
        """Beside the data and not in it: an archive is never written to."""
        return self.workspace or data.with_name(f"{data.name}-labels")


def evaluate(job: EvaluateJob) -> list[dict[str, Any]]:
    """Labels, measures, writes `reports/metrics-evaluate.json`, plots and the page of every workspace, and prints tables.

    Returns:
        One result for each pair of weights and data.

    Raises:
        TruthError, ParamsError, CheckpointError and what labelling raises: wrong input, one line each. Truth and weights
        are read before anything is computed.
    """
    if not job.data:
        raise ParamsError("--data is missing; give a folder with videos and metadata.json")
    if job.workspace is not None and len(job.data) > 1:
        raise ParamsError(f"--workspace takes one --data, not {len(job.data)}; leave it out, and each gets a folder of its own beside it")
    folders = list(dict.fromkeys(data.expanduser().absolute() for data in job.data))
    truth = {folder: _truth(folder, job.split) for folder in folders}
    data_names = _short_names(folders)
    weights: dict[str, Path | None] = {name: path for path, name in _short_names([w.expanduser().absolute() for w in job.weights]).items()}
    for path in job.weights:
        read_info(path)
    if job.train_minutes is not None:
        for folder in folders:
            out = job.workspace_of(folder) / "models" / f"lite-{job.train_minutes:g}min.safetensors"
            weights[f"{data_names[folder]} (trained)"] = _train(folder, out, job.train_minutes)
    printed, results = Console(), []
    for folder, rows in truth.items():
        opened = open_for_run(str(folder), job.workspace_of(folder), job.engine, None)
        with locked(opened.root):
            asked = weights or {opened.weights().stem: None}
            own = [{"weights": name, "data": data_names[folder]} | _result(job, folder, rows, opened, asked[name]) for name in asked]
            write_results(opened, own)
            write_report(opened)
        for result in own:
            for part in figures_table.figure_tables(result):
                printed.print(part)
        results += own
    if len(results) > 1:
        printed.print(figures_table.cross_table(results))
    if job.json_file is not None:
        write_bytes_if_changed(_json({"results": [_without_roc(r) for r in results]}), job.json_file)
    return results


def _train(data: Path, out: Path, minutes: float) -> Path:
    """A lite checkpoint trained on the train split of `data`."""
    from pipelines.train.train import train  # noqa: PLC0415 - seconds of imports that an evaluation without training does not need

    train(data=data, out=out, preset="lite", minutes=minutes, seed=_SEED)
    return out


def _truth(folder: Path, split: str) -> list[TruthRow]:
    """The clips of one split, checked as far as it goes without looking at a video."""
    where = folder / METADATA_NAME
    try:
        rows = stage.select(read_truth(folder), split)
    except TruthError as error:
        raise TruthError(str(error) if str(where) in str(error) else f"{where}: {error}") from None
    if not any((folder / row.file).is_file() for row in rows):
        raise TruthError(
            f"{where}: none of its {len(rows)} clips of split {split!r} is there, as {folder / rows[0].file}; is this the right folder?"
        )
    forged = sum(stage.is_forged(row) for row in rows)
    if forged in (0, len(rows)):
        raise TruthError(f"{where}: all {len(rows)} clips of split {split!r} are {'forged' if forged else 'real'}; figures need both")
    return rows


def _result(job: EvaluateJob, folder: Path, rows: list[TruthRow], opened: Workspace, weights: Path | None) -> dict[str, Any]:
    used = opened if weights is None else _with_weights(opened, weights)
    info = read_info(used.weights())
    console.print(f"{used.weights().name} on {folder.name}: {len(rows)} clips of split {job.split}", highlight=False)
    label_all(used, frozenset(row.file for row in rows))
    inventory = read_inventory(used.inventory)
    with damage_found_late(used.labels):
        labels = scan_labels(used).collect()
    segments = read_frame(used.data / "segments.parquet", "fauscan label", SEGMENTS)
    try:
        figures = stage.run(rows, inventory, labels, segments, job.frame_rule, job.resamples)
    except TruthError as error:
        raise TruthError(f"{folder / METADATA_NAME}: {error}") from None
    figures["missing_truth"] = _without_truth(folder, used)
    return {"weights_sha256": info.sha256, "preset": info.config.preset, "split": job.split} | figures


def _with_weights(opened: Workspace, weights: Path) -> Workspace:
    """The same workspace with other weights, for this run only; its parameters on disk stay."""
    raw = opened.params.model_dump(mode="json")
    raw["score"] |= {"weights": str(weights.absolute()), "preset": read_info(weights).config.preset}
    return Workspace(opened.root, params_module.validate(raw, str(weights)))


def _without_truth(folder: Path, opened: Workspace) -> list[str]:
    """Files of the archive that look like clips of the truth and are in none of its splits."""
    known = {row.file for row in read_truth(folder)}
    suffixes = {PurePosixPath(file).suffix for file in known}
    found: list[str] = opened.archive().listing(leave_out=opened.root)["uri"].to_pylist()
    return [uri for uri in found if uri not in known and PurePosixPath(uri).suffix in suffixes]


def _short_names(paths: Sequence[Path]) -> dict[Path, str]:
    """The last part without its ending, with the folder before it where two would be called the same."""
    short = {path: path.with_suffix("").name if path.suffix == ".safetensors" else path.name for path in paths}
    called = list(short.values())
    names = {path: name if called.count(name) == 1 else f"{path.parent.name}/{name}" for path, name in short.items()}
    if len(set(names.values())) < len(paths):
        raise ParamsError(f"{', '.join(map(str, paths))}: one of them twice, or names that a table can't tell apart")
    return names


def write_results(opened: Workspace, results: Sequence[dict[str, Any]]) -> None:
    """`reports/metrics-evaluate.json` and the plots; with no results, files that say so."""
    write_bytes_if_changed(_json({"results": [_without_roc(r) for r in results]}), opened.report.with_name(EVALUATION_NAME))
    _write_plots(opened, results)


def _write_plots(opened: Workspace, results: Sequence[dict[str, Any]]) -> None:
    """CSV files that `dvc plots` can draw: `reports/roc.csv` and `reports/reliability.csv`."""
    roc, reliability = [], []
    for result in results:
        for head, figures in result["heads"].items():
            label = {"weights": result["weights"], "head": head}
            points, curve = figures["roc"], figures["reliability"]
            roc += [label | {"fpr": fpr, "tpr": tpr} for fpr, tpr in zip(points["fpr"], points["tpr"], strict=True)]
            bins = zip(curve["edges"], curve["edges"][1:], curve["count"], curve["confidence"], curve["observed"], strict=False)
            reliability += [label | dict(zip(_RELIABILITY[2:], row, strict=True)) for row in bins]
    for name, rows, columns in (("roc.csv", roc, _ROC), ("reliability.csv", reliability, _RELIABILITY)):
        table = pl.DataFrame(rows, infer_schema_length=None) if rows else pl.DataFrame(schema=columns)
        write_bytes_if_changed(table.write_csv().encode(), opened.report.with_name(name))


def _without_roc(result: dict[str, Any]) -> dict[str, Any]:
    """The curve has a file of its own."""
    heads = {name: {k: v for k, v in head.items() if k != "roc"} for name, head in result["heads"].items()}
    return result | {"heads": heads}


def _json(table: dict[str, Any]) -> bytes:
    return (json.dumps(table, indent=2, allow_nan=False) + "\n").encode()
