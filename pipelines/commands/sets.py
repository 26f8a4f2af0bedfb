"""Commands that make training sets: curate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import WorkspaceOption, open_workspace

app = typer.Typer()


@app.command(rich_help_panel="Training sets")
def curate(
    recipe: Annotated[Path, typer.Argument(help="YAML: which clips, how many, and how they are split (docs/curation.md).")],
    workspace: WorkspaceOption = Path(),
) -> None:
    """Chooses clips of a labelled archive for a training set, with splits that share nothing, into data/curated/NAME."""
    from pipelines.curate.run import curate as run_curation

    run_curation(open_workspace(workspace), recipe)
