"""Commands that train and measure: forge, train, evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipelines.commands.options import EngineOption, WorkspaceOption, open_workspace
from schemas.errors import FauScanError

app = typer.Typer()


@app.command(rich_help_panel="Train and measure")
def forge(
    source: Annotated[str | None, typer.Argument(metavar="SRC", help="Folder or fsspec URL with real videos.")] = None,
    target: Annotated[Path | None, typer.Argument(metavar="DST", help="New folder for the forgeries, or one to go on with.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed, recipe and videos give the same bytes.")] = 1,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="What to make, YAML; see --show-recipe.")] = None,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes at once; 0 takes the number of CPUs.")] = 0,
    show_recipe: Annotated[bool, typer.Option("--show-recipe", help="Print the default recipe, with comments, and stop.")] = False,
) -> None:
    """Makes labelled forgeries of real videos, as real files, to train and to measure with."""
    if show_recipe:
        from pipelines.forge_recipe import default_recipe_text

        typer.echo(default_recipe_text(), nl=False)
        return
    if source is None or target is None:
        raise FauScanError("forge needs two folders: fauscan forge SRC DST")
    from pipelines.forge import forge_archive
    from schemas.recipe import read_recipe

    forge_archive(source, target, read_recipe(recipe), seed, workers)


@app.command(rich_help_panel="Train and measure")
def train(
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder with videos and metadata.json, as `fauscan forge` or LAV-DF has it.")
    ] = None,
    curated: Annotated[str | None, typer.Option("--curated", help="Instead of --data: a curated set of the workspace.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The checkpoint. Default: DATA-model/PRESET.safetensors, or out/NAME/ in the workspace.")
    ] = None,
    preset: Annotated[
        Literal["lite", "reference"], typer.Option("--preset", help="lite: small, for CPUs; reference: as published.")
    ] = "lite",
    minutes: Annotated[float | None, typer.Option("--minutes", min=0.1, help="As many steps as fit; timed once, then fixed.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of weights, draws and variations.")] = 1,
    params: Annotated[Path | None, typer.Option("--params", help="YAML with training parameters (docs/training.md).")] = None,
    workspace: Annotated[
        Path | None, typer.Option("--workspace", "-w", help="Where faces and sound are kept. Default: DATA-labels; with --curated: here.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes (GPUs) that train together, by Ray Train.")] = 1,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option("--device")] = "auto",
    engine: EngineOption = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over; without it an interrupted run goes on.")] = False,
    init_from: Annotated[Path | None, typer.Option("--init-from", help="One of our checkpoints to start from.")] = None,
    init_csn: Annotated[
        Path | None, typer.Option("--init-csn", help="Public CSN-R101 weights (Kinetics-400), for reference: a file, or csn-r101.")
    ] = None,
    init_whisper: Annotated[
        Path | None, typer.Option("--init-whisper", help="Public Whisper base weights, for reference: a file, or whisper-base.")
    ] = None,
    init_fau: Annotated[
        Path | None, typer.Option("--init-fau", help="Public ME-GraphAU or OpenGraphAU weights, for reference: a file, or me-graphau.")
    ] = None,
) -> None:
    """Trains a detector on labelled clips, with early stopping on held-out speakers. An interrupted run goes on where it was."""
    if (data is None) == (curated is None):
        raise FauScanError("train needs one of --data FOLDER and --curated NAME")
    from pipelines.train.starts import Starts
    from pipelines.train.train import train as run_training
    from pipelines.weights.folder import file_or_name

    home = workspace or Path()
    default = home / "out" / str(curated) if data is None else data.with_name(f"{data.name}-model")
    run_training(
        data or home,
        out or default / f"{preset}.safetensors",
        preset=preset,
        minutes=minutes,
        seed=seed,
        params_file=params,
        workspace=home if curated else workspace,
        workers=workers,
        device=device,
        engine_name=engine,
        fresh=fresh,
        starts=Starts(init_from, *(None if given is None else file_or_name(given) for given in (init_csn, init_whisper, init_fau))),
        curated=curated,
    )


@app.command(rich_help_panel="Train and measure")
def evaluate(
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", help="Folder with videos and metadata.json; again for more. Without it: the workspace as it is."),
    ] = None,
    weights: Annotated[
        list[Path] | None, typer.Option("--weights", help="Checkpoint to measure; again for more. Default: params.yaml's.")
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="test, dev, train or all. Default: test; without --data, all if none is in test.")
    ] = None,
    workspace: Annotated[
        Path | None, typer.Option("--workspace", "-w", help="Folder for the labels. Default: DATA-labels, beside DATA.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="All figures in one file, besides those in each workspace.")] = None,
    train_minutes: Annotated[
        float | None, typer.Option("--train-minutes", min=0.1, help="Train on each DATA first, so long; then measure each on all.")
    ] = None,
    frame_rule: Annotated[
        Literal["exact", "upstream"] | None,
        typer.Option("--frame-rule", help="Which frames of a span are fake: by time (exact), or int(25 t) as LAV-DF has it."),
    ] = None,
    engine: EngineOption = None,
    if_known: Annotated[
        bool, typer.Option("--if-known", help="Without --data: no error where no truth is known, as dvc.yaml wants it.")
    ] = False,
) -> None:
    """Says how good labels are where the truth is known, for each kind of forgery; with --data, labels it first.

    Several --data or --weights make a cross table. Without --data, the labels of a workspace are held against the truth in its inventory.
    """
    if not data:
        if weights or train_minutes is not None or json_file is not None:
            raise FauScanError("--weights, --train-minutes and --json go with --data; give the folder of the videos, or leave them out")
        _evaluate_workspace(workspace or Path(), split, frame_rule, if_known)
        return
    from pipelines.evaluate import EvaluateJob
    from pipelines.evaluate import evaluate as run_evaluation

    job = EvaluateJob(data, weights or (), split or "test", workspace, frame_rule or "exact", train_minutes, engine, json_file)
    run_evaluation(job)


def _evaluate_workspace(folder: Path, split: str | None, frame_rule: Literal["exact", "upstream"] | None, if_known: bool) -> None:
    from pipelines.evaluate_known import evaluate_if_known, evaluate_known, print_figures
    from pipelines.lock import locked
    from pipelines.view import write_report

    opened = open_workspace(folder)
    with locked(opened.root):
        if if_known:
            evaluate_if_known(opened, leave_nothing_out=True)
            return
        result = evaluate_known(opened, split, frame_rule)
        write_report(opened)
    print_figures(result)


@app.command("compare-backends", rich_help_panel="Train and measure")
def compare_backends(
    a: Annotated[str, typer.Option("--a", help="mesh, or pyfeat,fau.variant=svm, or faces.detect_every_ticks=1,…")],
    b: Annotated[str, typer.Option("--b", help="The other side, written likewise.")],
    workspace: WorkspaceOption = Path(),
    videos: Annotated[int, typer.Option("--videos", min=1, help="So many of the archive, evenly spread over its names.")] = 8,
    json_file: Annotated[Path | None, typer.Option("--json", help="The figures in a file of your own, too.")] = None,
    engine: EngineOption = None,
) -> None:
    """How far two face and action-unit backends agree on the same frames, and how fast they are. The labels stay as they are."""
    from pipelines.compare import compare_backends as run_comparison
    from pipelines.lock import locked

    opened = open_workspace(workspace, engine)
    with locked(opened.root):
        run_comparison(opened, a, b, videos, json_file)
