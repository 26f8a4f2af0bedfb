"""The command line: `fauscan`. Commands import what they need when they run, so that `--help` is quick."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from schemas.errors import BusyError, FauScanError

if TYPE_CHECKING:
    from pipelines.workspace import Workspace

app = typer.Typer(
    name="fauscan",
    help="Per-frame forgery labels for archives of talking-face videos.\n\n"
    "Start with: [bold]fauscan run FOLDER --workspace OUT[/bold]. For an archive that grows, make a repository for its labels with "
    "[bold]fauscan init[/bold] and run [bold]dvc repro[/bold] in it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

WorkspaceOption = Annotated[Path, typer.Option("--workspace", "-w", help="Folder with params.yaml, data/ and store/.")]
EngineOption = Annotated[
    Literal["ray", "local"] | None,
    typer.Option("--engine", help="ray: a cluster (RAY_ADDRESS) or this machine; local: a process pool. Same bytes. Default: params.yaml."),
]
_BUSY = 75  # EX_TEMPFAIL of sysexits.h: try again later
STEPS_PANEL = "One step at a time (what dvc.yaml calls)"


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


@app.command(rich_help_panel="Look at results")
def show(
    video: Annotated[str, typer.Argument(help="Path inside the archive, its end (a file name), or a content_id.")],
    workspace: WorkspaceOption = Path(),
) -> None:
    """Prints one video's fake segments, and its probabilities over time."""
    from pipelines.view import show_video

    show_video(_open(workspace, None), video)


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

    made = make_plan(_open(workspace, None), seconds(settle, "--settle"))
    if as_json:
        typer.echo(json.dumps(plan_json(made), indent=1))
    else:
        print_plan(made)


@app.command(rich_help_panel="Look after a workspace")
def status(workspace: WorkspaceOption = Path()) -> None:
    """Where the archive stands: files by outcome, what each step has done, what waits for another try. Reads tables only."""
    from pipelines.status import print_status

    print_status(_open(workspace, None))


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

    opened = _open(workspace, None)
    list_failures(opened, reasons_named(reason or ()), Outcome(outcome) if outcome else None, every_row=every_row)


@failures.command("retry")
def failures_retry(workspace: WorkspaceOption = Path(), reason: ReasonOption = None) -> None:
    """Makes the next run try failed videos again, although neither they nor the parameters have changed."""
    from pipelines.failures import reasons_named, retry_failures
    from pipelines.lock import locked

    opened = _open(workspace, None)
    with locked(opened.root):
        typer.echo(f"{retry_failures(opened, reasons_named(reason or ())):,} files will be tried again by the next run")


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

    opened = _open(workspace, None)
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

    opened = _open(workspace, None)
    with locked(opened.root):
        collect_garbage(opened, delete=delete, superseded=superseded, older_than_s=None if older_than is None else older_than * 3600)


@app.command(rich_help_panel=STEPS_PANEL)
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
) -> None:
    """Lists the archive; reads and probes what is new. The bounds are what `fauscan nightly` sets; what is left is pending."""
    from pipelines.listing import update_inventory
    from pipelines.lock import locked
    from pipelines.survey import Bounds

    opened = _open(workspace, engine)
    with locked(opened.root):
        update_inventory(opened, bounds=Bounds(settle, probe, admit))


@app.command(rich_help_panel=STEPS_PANEL)
def faces(workspace: WorkspaceOption = Path(), engine: EngineOption = None) -> None:
    """Decodes each video once; finds, follows and cuts out faces."""
    _step(workspace, engine, "faces")


@app.command(rich_help_panel=STEPS_PANEL)
def fau(workspace: WorkspaceOption = Path(), engine: EngineOption = None) -> None:
    """Facial action units of every face."""
    _step(workspace, engine, "fau")


@app.command(rich_help_panel=STEPS_PANEL)
def audio(workspace: WorkspaceOption = Path(), engine: EngineOption = None) -> None:
    """Log-mel, loudness and speech activity."""
    _step(workspace, engine, "audio")


@app.command(rich_help_panel=STEPS_PANEL)
def score(workspace: WorkspaceOption = Path(), engine: EngineOption = None) -> None:
    """Runs the network over windows of one second."""
    _step(workspace, engine, "score")


@app.command(rich_help_panel=STEPS_PANEL)
def label(workspace: WorkspaceOption = Path(), engine: EngineOption = None) -> None:
    """Frame labels, segments, failures and provenance."""
    from pipelines.lock import locked
    from pipelines.publish import publish_labels
    from pipelines.step import run_step

    opened = _open(workspace, engine)
    with locked(opened.root):
        publish_labels(opened, run_step(opened, "label"))


@app.command(rich_help_panel=STEPS_PANEL)
def report(workspace: WorkspaceOption = Path()) -> None:
    """The report page and the metrics."""
    from pipelines.lock import locked
    from pipelines.view import write_report

    opened = _open(workspace, None)
    with locked(opened.root):
        write_report(opened)


@app.command(rich_help_panel="Label an archive")
def demo(
    folder: Annotated[Path, typer.Argument(help="Workspace of the demo; made if it does not exist.")] = Path("demo"),
    archive: Annotated[str | None, typer.Option("--archive", help="Your own folder, instead of the clips that FauScan builds.")] = None,
) -> None:
    """Builds a small archive with forged clips, labels it with `dvc repro`, and says where the report is."""
    from pipelines.demo import run_demo

    run_demo(folder, archive)


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
    data: Annotated[Path, typer.Option("--data", help="Folder with videos and metadata.json, as `fauscan forge` or LAV-DF has it.")],
    out: Annotated[Path | None, typer.Option("--out", help="The checkpoint. Default: DATA-model/PRESET.safetensors.")] = None,
    preset: Annotated[
        Literal["lite", "reference"], typer.Option("--preset", help="lite: small, for CPUs; reference: as published.")
    ] = "lite",
    minutes: Annotated[float | None, typer.Option("--minutes", min=0.1, help="As many steps as fit; timed once, then fixed.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of weights, draws and variations.")] = 1,
    params: Annotated[Path | None, typer.Option("--params", help="YAML with training parameters (docs/training.md).")] = None,
    workspace: Annotated[
        Path | None, typer.Option("--workspace", "-w", help="Where faces and sound of DATA are kept. Default: DATA-labels.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes (GPUs) that train together, by Ray Train.")] = 1,
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option("--device")] = "auto",
    engine: EngineOption = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over; without it an interrupted run goes on.")] = False,
    init_from: Annotated[Path | None, typer.Option("--init-from", help="One of our checkpoints to start from.")] = None,
    init_csn: Annotated[Path | None, typer.Option("--init-csn", help="Public CSN-R101 weights (Kinetics-400), for reference.")] = None,
    init_whisper: Annotated[Path | None, typer.Option("--init-whisper", help="Public Whisper base weights, for reference.")] = None,
    init_fau: Annotated[Path | None, typer.Option("--init-fau", help="Public ME-GraphAU or OpenGraphAU weights, for reference.")] = None,
) -> None:
    """Trains a detector on labelled clips, with early stopping on held-out speakers. An interrupted run goes on where it was."""
    from pipelines.train.starts import Starts
    from pipelines.train.train import train as run_training

    run_training(
        data,
        out or data.with_name(f"{data.name}-model") / f"{preset}.safetensors",
        preset=preset,
        minutes=minutes,
        seed=seed,
        params_file=params,
        workspace=workspace,
        workers=workers,
        device=device,
        engine_name=engine,
        fresh=fresh,
        starts=Starts(init_from, init_csn, init_whisper, init_fau),
    )


@app.command(rich_help_panel="Train and measure")
def evaluate(
    data: Annotated[list[Path], typer.Option("--data", help="Folder with videos and metadata.json; give it again for more.")],
    weights: Annotated[
        list[Path] | None, typer.Option("--weights", help="Checkpoint to measure; again for more. Default: params.yaml's.")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="test, dev, train or all: which clips of the metadata.")] = "test",
    workspace: Annotated[
        Path | None, typer.Option("--workspace", "-w", help="Folder for the labels. Default: DATA-labels, beside DATA.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="All figures in one file, besides those in each workspace.")] = None,
    train_minutes: Annotated[
        float | None, typer.Option("--train-minutes", min=0.1, help="Train on each DATA first, so long; then measure each on all.")
    ] = None,
    frame_rule: Annotated[
        Literal["exact", "upstream"],
        typer.Option("--frame-rule", help="Which frames of a span are fake: by time, or int(25 t) as LAV-DF has it."),
    ] = "exact",
    engine: EngineOption = None,
) -> None:
    """Labels clips whose truth is known and says how good the labels are, for each kind of forgery. Several: a cross table."""
    from pipelines.evaluate import EvaluateJob
    from pipelines.evaluate import evaluate as run_evaluation

    run_evaluation(EvaluateJob(data, weights or (), split, workspace, frame_rule, train_minutes, engine, json_file))


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if version:
        from pipelines.provenance import code_version

        typer.echo(code_version())
        raise typer.Exit


def _open(folder: Path, engine: str | None) -> Workspace:
    from pipelines.workspace import Workspace

    opened = Workspace.open(folder)
    if engine is None:
        return opened
    return Workspace(opened.root, opened.params.model_copy(update={"engine": opened.params.engine.model_copy(update={"name": engine})}))


def _step(folder: Path, engine: str | None, name: str) -> None:
    from pipelines.lock import locked
    from pipelines.step import run_step

    opened = _open(folder, engine)
    with locked(opened.root):
        run_step(opened, name)


class _Stopped(BaseException):
    """Ctrl-C or SIGTERM. Not a KeyboardInterrupt, which typer ends without a word."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def main() -> None:
    """Runs the command line: a wrong input is one line on stderr and exit code 1, Ctrl-C is 130, SIGTERM 143, a busy workspace 75."""
    _guard(app)


def _stop(number: int, _frame: object) -> None:
    raise _Stopped(number)


def _printable(text: str) -> str:
    """File names can hold anything; what reaches a terminal must not."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _guard(command: Callable[[], None]) -> None:
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # whoever ignores it has a reason
        signal.signal(signal.SIGINT, _stop)
    try:
        command()
    except FauScanError as error:
        print(f"fauscan: {_printable(str(error))}", file=sys.stderr)
        code = _BUSY if isinstance(error, BusyError) else 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except OSError as error:
        if error.filename is None:
            raise
        print(f"fauscan: {_printable(str(error.filename))}: {error.strerror}", file=sys.stderr)
        code = 1
    except _Stopped as stop:
        print("fauscan: stopped; finished units are kept, the same command goes on from there", file=sys.stderr)
        code = stop.exit_code
    else:
        return
    sys.exit(code)


if __name__ == "__main__":
    main()
