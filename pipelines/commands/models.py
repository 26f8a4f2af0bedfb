"""Commands for weights that do not ship with FauScan: models list, fetch, verify, lock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.options import WorkspaceOption
from schemas.errors import WeightsError

if TYPE_CHECKING:
    from pipelines.weights.registry import Weight

app = typer.Typer()
models = typer.Typer(help="Weights that do not ship with FauScan.", no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(models, name="models", rich_help_panel="Look after a workspace")
NamesArgument = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Names as `fauscan models list` has them.")]


@models.command("list")
def models_list(as_json: Annotated[bool, typer.Option("--json", help="For a program.")] = False) -> None:
    """What there is, how large, under which licence, and whether it is on this machine."""
    from pipelines.weights.show import print_list

    print_list(as_json)


@models.command("fetch")
def models_fetch(
    names: NamesArgument = None,
    workspace: WorkspaceOption = Path(),
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="You have read the licences that forbid commercial use, and keep to them.")
    ] = False,
) -> None:
    """Downloads into one folder (FAUSCAN_MODELS); goes on where it stopped. Without names: what the workspace's params.yaml needs.

    A mirror: HF_ENDPOINT. Exit codes: 0, 1 for what trying again does not help, 75 for trouble with the network.
    """
    from pipelines.weights.fetch import fetch
    from pipelines.weights.records import read_lock

    fetch(_named(names, workspace, "fetch"), read_lock(workspace), accept_licence)


@models.command("verify")
def models_verify(names: NamesArgument = None, workspace: WorkspaceOption = Path()) -> None:
    """Compares files with the registry, the workspace's lock, and what was fetched. Exit code 1 when one is wrong or missing."""
    from pipelines.weights.show import print_check

    if not print_check(None if not names else _named(names, workspace, "verify"), workspace):
        raise typer.Exit(1)


@models.command("lock")
def models_lock(names: NamesArgument = None, workspace: WorkspaceOption = Path()) -> None:
    """Pins revision and SHA-256 of the files that are here in the workspace's models.lock.yaml; keep it in git."""
    from pipelines.weights.check import pins_of
    from pipelines.weights.records import read_lock, write_lock

    if not workspace.is_dir():
        raise WeightsError(f"{workspace}: no such folder; name the workspace with -w")
    pins = pins_of(_named(names, workspace, "lock"))
    path = write_lock(workspace, read_lock(workspace) | pins)
    typer.echo(f"{path}: {', '.join(f'{name} {pin.sha256[:12]}' for name, pin in pins.items())}")


def _named(names: list[str] | None, workspace: Path, command: str) -> list[Weight]:
    """The weights of these names, or those that the workspace needs."""
    from pipelines.weights.needed import needed
    from pipelines.weights.registry import weight_named
    from schemas.params import load

    if names:
        return [weight_named(name) for name in dict.fromkeys(names)]
    if not (workspace / "params.yaml").is_file():
        raise WeightsError(f"fauscan models {command} needs names, or a workspace (-w) whose params.yaml says what it needs")
    found = needed(load(workspace / "params.yaml"))
    if not found:
        raise WeightsError(f"{workspace / 'params.yaml'}: its backends need no weights but those that ship with FauScan")
    return [weight_named(name) for name in found]
