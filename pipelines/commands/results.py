"""Commands that look at results: show, diff."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import WorkspaceOption, open_workspace

app = typer.Typer()


@app.command(rich_help_panel="Look at results")
def show(
    video: Annotated[str, typer.Argument(help="Path inside the archive, its end (a file name), or a content_id.")],
    workspace: WorkspaceOption = Path(),
) -> None:
    """Prints one video's fake segments, and its probabilities over time."""
    from pipelines.view import show_video

    show_video(open_workspace(workspace, None), video)


@app.command(rich_help_panel="Look at results")
def diff(
    a: Annotated[str, typer.Argument(metavar="[A]", help="A folder with labels (a workspace, say), or a commit, branch or tag.")] = "HEAD",
    b: Annotated[str, typer.Argument(metavar="[B]", help="The same; '.' is the workspace as it is now.")] = ".",
    workspace: WorkspaceOption = Path(),
    out: Annotated[
        Path | None, typer.Option("--out", help="Changed frames as FILE.parquet; or a folder for frames.parquet and segments.parquet.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Counts as JSON on stdout, of every video.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit code 1 when a frame or a segment changed.")] = False,
) -> None:
    """Says which frames and segments changed between two versions of the labels, and what made the difference."""
    from pipelines.diff import run_diff

    if run_diff(a, b, workspace, out, as_json) and exit_code:
        raise typer.Exit(1)
