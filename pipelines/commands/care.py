"""Commands that look after a workspace: plan, status, verify, gc, failures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipelines.commands.options import WorkspaceOption, open_workspace

app = typer.Typer()


@app.command(rich_help_panel="Look after a workspace")
def plan(
    workspace: WorkspaceOption = Path(),
    settle: Annotated[str, typer.Option("--settle", help="Files that changed within this time are left, as nightly does with 10m.")] = "0s",
    as_json: Annotated[bool, typer.Option("--json", help="For a program.")] = False,
) -> None:
    """Says what a run would do: files to read, videos that are due, and how long it would take. Does nothing."""
    import json

    from pipelines.nightly import seconds
    from pipelines.plan import make_plan, plan_json, print_plan

    made = make_plan(open_workspace(workspace, None), seconds(settle, "--settle"))
    if as_json:
        typer.echo(json.dumps(plan_json(made), indent=1))
    else:
        print_plan(made)


@app.command(rich_help_panel="Look after a workspace")
def status(workspace: WorkspaceOption = Path()) -> None:
    """Where the archive stands: files by outcome, what each step has done, what waits for another try. Reads tables only."""
    from pipelines.status import print_status

    print_status(open_workspace(workspace, None))


@app.command(rich_help_panel="Look after a workspace")
def verify(
    workspace: WorkspaceOption = Path(),
    forget: Annotated[
        bool, typer.Option("--forget", help="Take away the receipts of units whose tables are damaged; the next run makes them again.")
    ] = False,
) -> None:
    """Checks that every receipt, table, manifest row and label is there, byte for byte. Exit code 1 when something is not."""
    from pipelines.lock import locked
    from pipelines.verify import forget_faulty, run_verify

    opened = open_workspace(workspace, None)
    with locked(opened.root):
        if forget:
            typer.echo(f"{forget_faulty(opened)} receipts taken away; now: fauscan run, or dvc repro")
            return
        run_verify(opened)


@app.command(rich_help_panel="Look after a workspace")
def gc(
    workspace: WorkspaceOption = Path(),
    delete: Annotated[bool, typer.Option("--delete", help="Delete it; without this, only say what would go.")] = False,
    superseded: Annotated[bool, typer.Option("--superseded", help="Units of other parameters, weights or versions too.")] = False,
    older_than: Annotated[
        float | None,
        typer.Option("--older-than", min=0, help="Hours; younger files stay. Default: 0, or 24 when the store lies outside the workspace."),
    ] = None,
) -> None:
    """Finds files of the store that count for nothing: what killed runs left behind. Deletes nothing by default."""
    from pipelines.garbage import collect_garbage
    from pipelines.lock import locked

    opened = open_workspace(workspace, None)
    with locked(opened.root):
        collect_garbage(opened, delete=delete, superseded=superseded, older_than_s=None if older_than is None else older_than * 3600)


failures = typer.Typer(help="What went wrong with which file, and another try.", no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(failures, name="failures", rich_help_panel="Look after a workspace")
ReasonOption = Annotated[list[str] | None, typer.Option("--reason", help="Only this reason; again for more.")]


@failures.command("list")
def failures_list(
    workspace: WorkspaceOption = Path(),
    reason: ReasonOption = None,
    outcome: Annotated[Literal["done", "filtered", "failed"] | None, typer.Option("--outcome", help="Only files that ended so.")] = None,
    every_row: Annotated[bool, typer.Option("--all", help="Every row, not the first 40.")] = False,
) -> None:
    """Reasons, how many files each has, and what they mean; then the files."""
    from pipelines.failures import list_failures, reasons_named
    from schemas.reasons import Outcome

    opened = open_workspace(workspace, None)
    list_failures(opened, reasons_named(reason or ()), Outcome(outcome) if outcome else None, every_row=every_row)


@failures.command("retry")
def failures_retry(workspace: WorkspaceOption = Path(), reason: ReasonOption = None) -> None:
    """Makes the next run try failed videos again, although neither they nor the parameters have changed."""
    from pipelines.failures import reasons_named, retry_failures
    from pipelines.lock import locked

    opened = open_workspace(workspace, None)
    with locked(opened.root):
        typer.echo(f"{retry_failures(opened, reasons_named(reason or ())):,} files will be tried again by the next run")
