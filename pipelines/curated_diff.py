"""Curated diff: says what changed between two versions of a curated set, in folders or in commits."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines import label_version
from pipelines.curated import SELECTION_NAME, CuratedSet, open_folder
from pipelines.parquet import replace_file, to_bytes
from schemas.errors import WorkspaceError
from schemas.tables import CURATED_DIFF
from stages import curated_diff
from stages.view.names import visible_name

_SHOWN = 20


def run_curated_diff(wanted_a: str, wanted_b: str, name: str | None, workspace: Path, out: Path | None, as_json: bool) -> bool:
    """Prints what differs, or writes it to stdout as JSON, and to `out` as Parquet. Returns whether anything does.

    Args:
        wanted_a: the older version: a folder of a set, a workspace, or a revision of the workspace's repository.
        wanted_b: the newer one; `.` is the workspace as it is.
        name: of the set; not needed where both are folders of sets.
        workspace: where revisions are looked up.
        out: a `.parquet` file, rows of CURATED_DIFF.
        as_json: counts for a machine.

    Raises:
        WorkspaceError: there is no such version, or no such set in it.
    """
    with open_set(wanted_a, name, workspace) as a, open_set(wanted_b, name, workspace) as b:
        rows = curated_diff.compare(a.selection, b.selection)
        facts = _facts(wanted_a, wanted_b, a, b, rows)
    if out is not None:
        data = to_bytes(rows.to_arrow().cast(CURATED_DIFF))
        replace_file(out, data, out.with_name(f".tmp-{out.name}"))
    if as_json:
        print(json.dumps(facts, indent=2))  # noqa: T201
    else:
        _print(facts, rows)
    return not rows.is_empty()


@contextlib.contextmanager
def open_set(wanted: str, name: str | None, workspace: Path) -> Iterator[CuratedSet]:
    """One version of a set; what has to be taken out of git and DVC lies in a temporary folder meanwhile.

    Raises:
        WorkspaceError: neither a folder nor a revision, or no such set there.
    """
    folder = workspace if wanted == "." else Path(wanted).expanduser()
    if folder.is_dir() and (folder / SELECTION_NAME).is_file():
        yield open_folder(folder.resolve(), name)
        return
    if name is None:
        raise WorkspaceError(f"{wanted}: is no folder with a {SELECTION_NAME}; say which set of it with --name")
    if folder.is_dir():
        homes = [home for home in (folder / "data" / "curated" / name, folder / "curated" / name) if (home / SELECTION_NAME).is_file()]
        if not homes:
            raise WorkspaceError(f"{wanted}: holds no curated set {name!r} (looked for data/curated/{name}); `fauscan curate` makes it")
        yield open_folder(homes[0].resolve(), name)
        return
    with tempfile.TemporaryDirectory(prefix="fauscan-diff-") as temporary:
        place = f"data/curated/{name}"
        root = label_version.take_out(wanted, workspace, Path(temporary), lambda path: path == place or path.startswith(f"{place}/"))
        if not (root / place / SELECTION_NAME).is_file():
            raise WorkspaceError(f"{wanted}: that commit holds no curated set {name!r}; commit after `dvc repro`, which makes it")
        yield open_folder(root / place, name)


def _facts(wanted_a: str, wanted_b: str, a: CuratedSet, b: CuratedSet, rows: pl.DataFrame) -> dict[str, Any]:
    changes = (curated_diff.ADDED, curated_diff.REMOVED, curated_diff.MOVED, curated_diff.RETARGETED)
    made = [
        {"version": wanted, "clips": side.selection.height, "digest": side.digest}
        | {key: side.metrics.get(key) for key in ("recipe", "inputs")}
        for wanted, side in ((wanted_a, a), (wanted_b, b))
    ]
    moves = rows.filter(pl.col("change") == curated_diff.MOVED).group_by("split_a", "split_b").len("clips").sort("split_a", "split_b")
    targets = rows.filter(pl.col("change") == curated_diff.RETARGETED).group_by("target_a", "target_b").len("clips")
    return {
        "a": made[0],
        "b": made[1],
        "recipe_changed": made[0]["recipe"] != made[1]["recipe"] or a.recipe_text != b.recipe_text,
        "inputs_changed": made[0]["inputs"] != made[1]["inputs"],
        "changes": {change: rows.filter(pl.col("change") == change).height for change in changes},
        "moves": moves.to_dicts(),
        "targets": targets.sort("target_a", "target_b").to_dicts(),
        "datasets": rows.group_by("dataset", "change").len("clips").sort("dataset", "change", nulls_last=True).to_dicts(),
    }


def _print(facts: dict[str, Any], rows: pl.DataFrame) -> None:
    out = Console()
    for side in ("a", "b"):
        made = facts[side]
        out.print(f"{side.upper()} is {escape(made['version'])}: {made['clips']:,} clips, digest {made['digest'][:16]}", highlight=False)
    changed = [what for what in ("recipe", "inputs") if facts[f"{what}_changed"]]
    out.print(f"{' and '.join(changed) or 'neither recipe nor inputs'} changed\n", highlight=False)
    if rows.is_empty():
        out.print("no clip changed", highlight=False)
        return
    table = Table("change", "clips", "", box=None)
    moves = ", ".join(f"{row['split_a']} to {row['split_b']}: {row['clips']:,}" for row in facts["moves"])
    targets = ", ".join(f"{row['target_a']} to {row['target_b']}: {row['clips']:,}" for row in facts["targets"])
    for change, told in (("added", ""), ("removed", ""), ("split", moves), ("target", targets)):
        table.add_row(change, f"{facts['changes'][change]:,}", told)
    out.print(table)
    videos = rows.group_by("uri", "change").len("clips").sort(["clips", "uri", "change"], descending=[True, False, False])
    listed = Table("video", "change", "clips", box=None)
    for row in videos.head(_SHOWN).iter_rows(named=True):
        listed.add_row(escape(visible_name(row["uri"])), row["change"], f"{row['clips']:,}")
    out.print()
    out.print(listed)
    if videos.height > _SHOWN:
        out.print(f"and {videos.height - _SHOWN:,} more; --out FILE.parquet has every clip", highlight=False)
