"""Commands for what leaves a curated set: export, curate-diff."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipelines.commands.options import WorkspaceOption, open_workspace
from pipelines.exports.formats import Format

app = typer.Typer()
PANEL = "Training sets"


@app.command(rich_help_panel=PANEL)
def export(
    name: Annotated[str, typer.Argument(help="A curated set of the workspace, by its name.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New or empty folder, or one that holds this very export.")],
    form: Annotated[Format, typer.Option("--format", help="Who is to read it (docs/exports.md).")],
    workspace: WorkspaceOption = Path(),
    media: Annotated[
        Literal["none", "link", "copy"],
        typer.Option("--media", help="none: name the videos by their path in the archive; link, copy: put them into OUT."),
    ] = "none",
    shard_mb: Annotated[float, typer.Option("--shard-mb", min=0.01, help="Size of a shard, for webdataset and huggingface.")] = 256.0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Empty OUT first when it holds another export.")] = False,
) -> None:
    """Writes a curated set for another tool: WebDataset, Hugging Face, LAV-DF, AV-Deepfake1M, FauForensics, COCO, FiftyOne."""
    from pipelines.exports.export import export as run_export

    run_export(open_workspace(workspace), name, form, out, media, shard_mb, fresh)


@app.command(name="curate-diff", rich_help_panel=PANEL)
def curate_diff(
    a: Annotated[str, typer.Argument(metavar="[A]", help="A folder with a curated set, a workspace, or a commit, branch or tag.")] = "HEAD",
    b: Annotated[str, typer.Argument(metavar="[B]", help="The same; '.' is the workspace as it is now.")] = ".",
    name: Annotated[str | None, typer.Option("--name", help="Which set; not needed for folders of sets.")] = None,
    workspace: WorkspaceOption = Path(),
    out: Annotated[Path | None, typer.Option("--out", help="Every changed clip as FILE.parquet.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Counts as JSON on stdout.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit code 1 when a clip changed.")] = False,
) -> None:
    """Says which clips came, went, changed their split or their target between two versions of a curated set."""
    from pipelines.curated_diff import run_curated_diff

    if run_curated_diff(a, b, name, workspace, out, as_json) and exit_code:
        raise typer.Exit(1)
