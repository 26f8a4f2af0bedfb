"""Commands that dvc.yaml calls, one step each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import EngineOption, WorkspaceOption, open_workspace

app = typer.Typer()
PANEL = "One step at a time (what dvc.yaml calls)"


@app.command(rich_help_panel=PANEL)
def inventory(
    workspace: WorkspaceOption = Path(),
    engine: EngineOption = None,
    settle: Annotated[
        float, typer.Option("--settle", min=0, envvar="FAUSCAN_SETTLE", help="Seconds; files that changed since are left for later.")
    ] = 0.0,
    probe: Annotated[
        float | None, typer.Option("--probe", min=0, envvar="FAUSCAN_PROBE", help="Seconds after which no more files are opened.")
    ] = None,
    admit: Annotated[
        float | None, typer.Option("--admit", min=0, envvar="FAUSCAN_ADMIT", help="Minutes of video that the steps get at once.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Take the truth of this data set, for this call; `none`, or `auto`: by its layout.")
    ] = None,
) -> None:
    """Lists the archive; reads and probes what is new. The bounds are what `fauscan nightly` sets; what is left is pending."""
    from pipelines.listing import update_inventory
    from pipelines.lock import locked
    from pipelines.survey import Bounds
    from pipelines.weights.needed import needed, require
    from pipelines.workspace import Workspace

    opened = open_workspace(workspace, engine)
    require(opened.root, needed(opened.params))
    if dataset is not None:
        changed = opened.params.dataset.model_copy(update={"name": dataset})
        opened = Workspace(opened.root, opened.params.model_copy(update={"dataset": changed}))
    with locked(opened.root):
        update_inventory(opened, bounds=Bounds(settle, probe, admit))


@app.command(rich_help_panel=PANEL)
def faces(workspace: WorkspaceOption = Path(), engine: EngineOption = None) -> None:
    """Decodes each video once; finds, follows and cuts out faces."""
    run_one(workspace, engine, "faces")


@app.command(rich_help_panel=PANEL)
def fau(workspace: WorkspaceOption = Path(), engine: EngineOption = None) -> None:
    """Facial action units of every face."""
    run_one(workspace, engine, "fau")


@app.command(rich_help_panel=PANEL)
def audio(workspace: WorkspaceOption = Path(), engine: EngineOption = None) -> None:
    """Log-mel, loudness and speech activity."""
    run_one(workspace, engine, "audio")


@app.command(rich_help_panel=PANEL)
def score(workspace: WorkspaceOption = Path(), engine: EngineOption = None) -> None:
    """Runs the network over windows of one second."""
    run_one(workspace, engine, "score")


@app.command(rich_help_panel=PANEL)
def label(workspace: WorkspaceOption = Path(), engine: EngineOption = None) -> None:
    """Frame labels, segments, failures and provenance."""
    from pipelines.lock import locked
    from pipelines.publish import publish_labels
    from pipelines.step import run_step

    opened = open_workspace(workspace, engine)
    with locked(opened.root):
        publish_labels(opened, run_step(opened, "label"))


@app.command(rich_help_panel=PANEL)
def report(workspace: WorkspaceOption = Path()) -> None:
    """The report page and the metrics."""
    from pipelines.lock import locked
    from pipelines.view import write_report

    opened = open_workspace(workspace, None)
    with locked(opened.root):
        write_report(opened)


def run_one(folder: Path, engine: str | None, name: str) -> None:
    from pipelines.lock import locked
    from pipelines.step import run_step

    opened = open_workspace(folder, engine)
    with locked(opened.root):
        run_step(opened, name)
