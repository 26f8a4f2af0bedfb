"""Show: the registry and the state of the folder, for a terminal or a program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from pipelines.weights.check import check, wrong_text
from pipelines.weights.folder import models_folder, path_of
from pipelines.weights.records import read_lock
from pipelines.weights.registry import Weight, read_registry

_COMMERCIAL = {"yes": "yes", "no": "no: --accept-licence", "unclear": "unclear, see page"}


def print_list(as_json: bool) -> None:
    """All of the registry; here are the files that exist, unchecked."""
    weights = read_registry().values()
    if as_json:
        rows = [w.model_dump(mode="json") | {"path": str(path_of(w)), "here": path_of(w).is_file()} for w in weights]
        typer.echo(json.dumps({"folder": str(models_folder()), "weights": rows}, indent=1))
        return
    table = Table(box=box.SIMPLE, pad_edge=False)
    for title in ("name", "size", "commercial use", "digest", "here"):
        table.add_column(title, justify="right" if title == "size" else "left", no_wrap=title in {"name", "size"})
    for weight in weights:
        size = weight.size_text.replace("about ", "~").replace("unknown size", "?")
        here = "yes" if path_of(weight).is_file() else "-"
        table.add_row(weight.name, size, _COMMERCIAL[weight.commercial], "known" if weight.sha256 else "-", here)
    out = Console()
    out.print(table)
    out.print(f"Folder: {models_folder()}", highlight=False, soft_wrap=True)
    out.print("Licences, sources and what each is for: fauscan models list --json", highlight=False)


def print_check(weights: Sequence[Weight] | None, root: Path) -> bool:
    """Says of each file whether it is right; of all that are here when none is named. Returns whether nothing is wrong or missing."""
    lock = read_lock(root)
    if weights is None:
        weights = [weight for weight in read_registry().values() if path_of(weight).is_file() or weight.name in lock]
    if not weights:
        typer.echo(f"{models_folder()}: nothing there")
    good = True
    for finding in check(weights, lock):
        weight = finding.weight
        match finding.state:
            case "missing":
                said = f"missing; run `{weight.fetch_command}` ({weight.size_text})"
            case "wrong":
                said = f"WRONG: {wrong_text(finding)}"
            case "unknown":
                said = f"no digest to compare {(finding.sha256 or '')[:12]} with; `fauscan models lock {weight.name}` pins it"
            case "as fetched":
                said = "as it was fetched; `fauscan models lock` pins it"
            case _:
                said = "right"
        good = good and finding.state not in {"missing", "wrong"}
        typer.echo(f"{weight.name}: {said}")
    return good
