"""Options that many commands have, and the workspace that they name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from pipelines.workspace import Workspace

WorkspaceOption = Annotated[Path, typer.Option("--workspace", "-w", help="Folder with params.yaml, data/ and store/.")]
EngineOption = Annotated[
    Literal["ray", "local"] | None,
    typer.Option("--engine", help="ray: a cluster (RAY_ADDRESS) or this machine; local: a process pool. Same bytes. Default: params.yaml."),
]


def open_workspace(folder: Path, engine: str | None = None) -> Workspace:
    """The workspace in a folder, with another engine if one is named. Raises WorkspaceError or ParamsError."""
    from pipelines.workspace import Workspace

    opened = Workspace.open(folder)
    if engine is None:
        return opened
    return Workspace(opened.root, opened.params.model_copy(update={"engine": opened.params.engine.model_copy(update={"name": engine})}))
