"""The command line: `fauscan`. The commands are in `commands/`; here is what a person sees when one ends early."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from pipelines.commands import care, exports, label, learn, models, results, sets, steps
from pipelines.spare import spare_pandas
from schemas.errors import BusyError, FauScanError, TransferError

_BUSY = 75  # EX_TEMPFAIL of sysexits.h: try again later

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
for panel in (label, results, sets, exports, care, models, learn, steps):
    app.add_typer(panel.app)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if version:
        from pipelines.provenance import code_version

        typer.echo(code_version())
        raise typer.Exit


class _Stopped(BaseException):
    """Ctrl-C or SIGTERM. Not a KeyboardInterrupt, which typer ends without a word."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def main() -> None:
    """Runs the command line: a wrong input is one line on stderr and exit code 1, Ctrl-C is 130, SIGTERM 143, a busy workspace 75."""
    if "--help" not in sys.argv and "--version" not in sys.argv:
        spare_pandas()
    _guard(app)


def _stop(number: int, _frame: object) -> None:
    raise _Stopped(number)


def _stop_at_once(number: int, _frame: object) -> None:
    """While the process ends there is nobody to catch anything; what it started ends with it."""
    os._exit(128 + number)


def _printable(text: str) -> str:
    """File names can hold anything; what reaches a terminal must not."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _guard(command: Callable[[], None]) -> None:
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # whoever ignores it has a reason
        signal.signal(signal.SIGINT, _stop)
    try:
        try:
            command()
        finally:  # not only after an error: typer ends a command that went well by SystemExit
            for number in (signal.SIGTERM, signal.SIGINT):
                if signal.getsignal(number) is _stop:
                    signal.signal(number, _stop_at_once)
    except FauScanError as error:
        print(f"fauscan: {_printable(str(error))}", file=sys.stderr)
        code = _BUSY if isinstance(error, (BusyError, TransferError)) else 1
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
        code = 0
    sys.exit(code)


if __name__ == "__main__":
    main()
