"""Whole: the chain from archive to report in one go, without DVC. The same functions, the same outputs."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

from pipelines.archive import absolute_uri
from pipelines.chain import Fingerprints
from pipelines.features import check_checkpoint
from pipelines.listing import update_inventory
from pipelines.params_file import render
from pipelines.parquet import write_bytes_if_changed
from pipelines.publish import publish_labels
from pipelines.step import UNIT_STEPS, run_step
from pipelines.view import print_verdicts, write_report
from pipelines.weights.needed import needed, require
from pipelines.workspace import Workspace
from schemas import params as params_module
from schemas.errors import WorkspaceError
from schemas.params import Params, PipelineParams


def open_for_run(archive: str, folder: Path, engine: str | None, params_file: Path | None) -> Workspace:
    """The workspace for `fauscan run`; its parameters are written down beside its results.

    Args:
        archive: folder or URL.
        folder: the workspace; made here once the archive is known to exist.
        engine: overrides the parameters.
        params_file: parameters to use instead of the workspace's own, or the defaults.

    Raises:
        ParamsError, ArchiveError: wrong input; nothing was made.
        WeightsError, CheckpointError: weights are missing or wrong; nothing was made.
        WorkspaceError: the folder holds the labels of another archive.
    """
    own = folder / "params.yaml"
    source = params_file or (own if own.is_file() else None)
    params = params_module.load(source) if source else PipelineParams()
    uri = absolute_uri(archive)
    if own.is_file():
        before = params_module.load(own).archive.uri
        if before is not None and absolute_uri(before, folder) != uri:
            raise WorkspaceError(f"{folder}: holds the labels of {before}; give another --workspace for {archive}")
    update: dict[str, Params] = {"archive": params.archive.model_copy(update={"uri": uri})}
    if engine is not None:
        update["engine"] = params.engine.model_copy(update={"name": engine})
    workspace = Workspace(folder, params.model_copy(update=update))
    workspace.archive().listing(leave_out=workspace.root)
    require(workspace.root, needed(workspace.params))
    Fingerprints(workspace).of("label")
    workspace.root.mkdir(parents=True, exist_ok=True)
    kept = workspace.params.model_copy(update={"engine": params.engine})  # --engine is for this run only
    write_bytes_if_changed(render(kept).encode(), own)
    return workspace


def label_all(workspace: Workspace, only: Set[str] | None = None) -> None:
    """Every step in order, up to the labels. Raises what the steps raise; what was finished before stays.

    Args:
        workspace: made by `open_for_run`.
        only: names of the files to label; all of the archive by default.
    """
    check_checkpoint(workspace)
    update_inventory(workspace, only)
    for name in UNIT_STEPS:
        receipts = run_step(workspace, name)
    publish_labels(workspace, receipts)


def run_all(workspace: Workspace) -> None:
    """Labels the archive, holds the labels against the truth where there is one, writes the report, prints the verdicts."""
    from pipelines.evaluate_known import evaluate_if_known  # noqa: PLC0415 - which needs this module

    label_all(workspace)
    evaluate_if_known(workspace)
    write_report(workspace)
    print_verdicts(workspace)
