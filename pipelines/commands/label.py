"""Commands that label an archive: run, init, nightly, demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import EngineOption, WorkspaceOption

app = typer.Typer()


@app.command(rich_help_panel="Label an archive")
def run(
    archive: Annotated[str, typer.Argument(help="Folder or fsspec URL with the videos.")],
    workspace: Annotated[Path, typer.Option("--workspace", "-w", help="Folder for the results; made if it does not exist.")],
    engine: EngineOption = None,
    params: Annotated[Path | None, typer.Option("--params", help="A params.yaml to use instead of the workspace's own.")] = None,
) -> None:
    """Labels an archive from end to end, without git or DVC. Run it again to go on, or to add what is new."""
    from pipelines.lock import locked
    from pipelines.whole import open_for_run, run_all

    opened = open_for_run(archive, workspace, engine, params)
    with locked(opened.root):
        run_all(opened)


@app.command(rich_help_panel="Label an archive")
def init(
    folder: Annotated[Path, typer.Argument(help="New folder for the workspace.")],
    archive: Annotated[str, typer.Option("--archive", help="Folder or fsspec URL with the videos.")],
) -> None:
    """Makes a repository (git and DVC) for one archive's labels. Then: cd FOLDER, dvc repro."""
    from pipelines.initialise import initialise
    from pipelines.progress import console

    initialise(folder, archive)
    console.print(f"{folder} is ready. Next: cd {folder} && dvc repro", highlight=False)


@app.command(rich_help_panel="Label an archive")
def nightly(
    workspace: WorkspaceOption = Path(),
    budget: Annotated[str | None, typer.Option("--budget", help="6h, 90m: no new work is begun after that; the rest is left.")] = None,
    settle: Annotated[str, typer.Option("--settle", help="Files that changed within this time are left for the next night.")] = "10m",
    max_failed: Annotated[
        float, typer.Option("--max-failed", min=0, max=1, help="Share of the night's files that may fail; above it the exit code is 3.")
    ] = 0.1,
    push: Annotated[bool, typer.Option("--push", help="`dvc push` in the end.")] = False,
    tag: Annotated[bool, typer.Option("--tag", help="Git tag labels-DATE in the end.")] = False,
    commit: Annotated[bool, typer.Option("--commit/--no-commit", help="Git commit in the end, in a repository.")] = True,
) -> None:
    """One unattended run over a growing archive: plans, labels what is new within a budget, says what changed, keeps it in git.

    Exit codes: 0 done, 1 wrong set-up, 3 too many failures, 75 another FauScan is at work here, 130 and 143 stopped.
    """
    from pipelines.nightly import NightlyJob, seconds
    from pipelines.nightly import nightly as run_night

    budget_s = None if budget is None else seconds(budget, "--budget")
    job = NightlyJob(budget_s, seconds(settle, "--settle"), max_failed, push=push, tag=tag, commit=commit)
    code = run_night(workspace, job)
    if code:
        raise typer.Exit(code)


@app.command(rich_help_panel="Label an archive")
def demo(
    folder: Annotated[Path, typer.Argument(help="Workspace of the demo; made if it does not exist.")] = Path("demo"),
    archive: Annotated[str | None, typer.Option("--archive", help="Your own folder, instead of the clips that FauScan builds.")] = None,
) -> None:
    """Builds a small archive with forged clips, labels it with `dvc repro`, and says where the report is."""
    from pipelines.demo import run_demo

    run_demo(folder, archive)
