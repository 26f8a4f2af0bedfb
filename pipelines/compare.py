"""Compare: runs faces and action units of some videos with two sets of parameters, and says how far they agree."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from rich.console import Console

from pipelines.listing import read_inventory, update_inventory
from pipelines.parquet import write_bytes_if_changed
from pipelines.progress import console
from pipelines.runlog import read_log
from pipelines.step import run_step
from pipelines.view import COMPARISON_NAME
from pipelines.weights.needed import needed, require
from pipelines.weights.records import read_lock, write_lock
from pipelines.workspace import Workspace
from schemas import params as params_module
from schemas.errors import ArchiveError, ParamsError
from schemas.fingerprint import digest
from schemas.params import PipelineParams
from schemas.reasons import Outcome
from stages import compare as stage
from stages.compare_table import comparison_tables
from stages.contract import as_frame

_COLUMNS = ["content_id", "track", "tick", "frame_index", "box"]


@dataclass(frozen=True, slots=True)
class _Side:
    """What one backend found: its name, its tables, how each video ended, and faces and action units a second of one worker."""

    name: str
    faces: pl.DataFrame
    fau: pl.DataFrame
    outcomes: dict[str, str]
    frames: dict[str, int]
    speed: dict[str, float | None]


def compare_backends(workspace: Workspace, a: str, b: str, videos: int, json_file: Path | None) -> dict[str, Any]:
    """Compares, prints a table, and writes `reports/compare-backends.json`, which the report page then shows.

    Each side works in a folder of its own below `compare/`, so the workspace's labels stay as they are and a second run has less to do.

    Args:
        workspace: whose archive and parameters.
        a: settings of one side, `mesh` or `pyfeat,fau.variant=svm` or `faces.detect_every_ticks=1`. b: of the other.
        videos: so many of the archive, evenly spread over its sorted names.
        json_file: where to write the figures too.

    Raises:
        ParamsError: settings that are none, or the same twice.
        ArchiveError: no video of the archive came through both sides.
        WeightsError: a side needs weights that are not here; nothing was started.
    """
    sides = [with_settings(workspace.params, text, option) for text, option in ((a, "--a"), (b, "--b"))]
    if _own(sides[0]) == _own(sides[1]):
        raise ParamsError(f"--a {a!r} and --b {b!r} are the same faces and fau parameters; give two that differ")
    for side in sides:
        require(workspace.root, needed(side))
    wanted = _chosen(workspace, videos)
    first, second = (_run(workspace, side, text, wanted) for side, text in zip(sides, (a, b), strict=True))
    usable = {c for c in first.outcomes if all(s.outcomes.get(c) in {Outcome.DONE, Outcome.FILTERED} for s in (first, second))}
    if not usable:
        raise ArchiveError(f"{workspace.archive().uri}: none of the {len(wanted)} videos came through on both sides")
    tables = [table.filter(pl.col("content_id").is_in(sorted(usable))) for s in (first, second) for table in (s.faces, s.fau)]
    names = dict(_inventory(workspace, sides[0]).select("content_id", "uri").iter_rows())
    result = {
        "format": 1,
        **{key: {"name": s.name, "speed": s.speed} for key, s in (("a", first), ("b", second))},
        "videos": len(usable),
        "frames": sum(first.frames.get(content_id, 0) for content_id in usable),
        "left_out": sorted(names.get(c, c) for c in first.outcomes.keys() - usable),
        **stage.run(tables[0], tables[1], tables[2], tables[3]),
    }
    text = (json.dumps(result, indent=1, allow_nan=False) + "\n").encode()
    for path in (workspace.report.with_name(COMPARISON_NAME), *([json_file] if json_file else [])):
        write_bytes_if_changed(text, path)
    out = Console()
    for part in comparison_tables(result):
        out.print(part)
    console.print(f"{workspace.report.with_name(COMPARISON_NAME)}; `fauscan report` puts it on the page", highlight=False, soft_wrap=True)
    return result


def with_settings(params: PipelineParams, text: str, option: str) -> PipelineParams:
    """Parameters with settings over them. A word without `=` is a backend, of faces and action units where both have it.

    Raises:
        ParamsError: not a setting, or not a value that it can have.
    """
    raw = params.model_dump(mode="json")
    for part in (p.strip() for p in text.split(",") if p.strip()):
        key, equals, value = part.partition("=")
        if not equals:
            raw["faces"]["backend"] = raw["fau"]["backend"] = part
            continue
        section, dot, name = key.strip().partition(".")
        if not dot or section not in {"faces", "fau"}:
            raise ParamsError(f"{option}: {part!r} is not a setting of faces or fau; write fau.backend=pyfeat, or a backend's name")
        raw[section][name] = yaml.safe_load(value)
    raw["fau"]["embedding"] = "none"  # action units are compared
    return params_module.validate(raw, option)


def _own(params: PipelineParams) -> dict[str, Any]:
    return {name: getattr(params, name).model_dump(mode="json") for name in ("faces", "fau")}


def _chosen(workspace: Workspace, count: int) -> list[str]:
    """Names, evenly spread. Of an archive that was listed before, files that can be read."""
    if workspace.inventory.is_file():
        known = read_inventory(workspace.inventory)
        names = sorted(known.filter(pl.col("outcome") == Outcome.DONE.value).unique("content_id")["uri"].to_list())
    else:
        names = sorted(workspace.archive().listing(leave_out=workspace.root)["uri"].to_pylist())
    if not names:
        raise ArchiveError(f"{workspace.archive().uri}: no video to compare on")
    return [names[i * len(names) // min(count, len(names))] for i in range(min(count, len(names)))]


def _inventory(workspace: Workspace, params: PipelineParams) -> pl.DataFrame:
    return read_inventory(_folder(workspace, params).inventory)


def _folder(workspace: Workspace, params: PipelineParams) -> Workspace:
    archive = params.archive.model_copy(update={"uri": workspace.archive().uri})
    store = params.store.model_copy(update={"uri": "store"})
    root = workspace.root / "compare" / digest(_own(params))[:12]
    return Workspace(root, params.model_copy(update={"archive": archive, "store": store}))


def _run(workspace: Workspace, params: PipelineParams, name: str, wanted: list[str]) -> _Side:
    """Faces and action units of one side; what an earlier comparison did is taken over."""
    own = _folder(workspace, params)
    own.root.mkdir(parents=True, exist_ok=True)
    if lock := read_lock(workspace.root):
        write_lock(own.root, lock)
    update_inventory(own, frozenset(wanted))
    store, tables, receipts = own.store(), {}, {}
    for step in ("faces", "fau"):
        receipts[step] = run_step(own, step)
        parts = [as_frame(store.read(step, r.unit_key, step, _COLUMNS if step == "faces" else None)) for r in receipts[step]]
        tables[step] = pl.concat(parts)
    frames = pl.concat([as_frame(store.read("faces", r.unit_key, "frames", ["content_id"])) for r in receipts["faces"]])
    present = set(read_inventory(own.inventory)["content_id"].drop_nulls())
    ends = {c: str(outcome) for r in receipts["fau"] for c, outcome in r.outcomes.items() if c in present}
    ends |= {c: str(o) for r in receipts["faces"] for c, o in r.outcomes.items() if c in present and o != Outcome.DONE}
    in_all = {str(c): int(n) for c, n in frames.group_by("content_id").len().iter_rows()}
    keep = pl.col("content_id").is_in(sorted(present))
    return _Side(name, tables["faces"].filter(keep), tables["fau"].filter(keep), ends, in_all, _speed(own))


def _speed(workspace: Workspace) -> dict[str, float | None]:
    """Frames (of faces) and faces (of fau) a second of one worker, its start-up with it, over all that was computed here."""
    speed: dict[str, float | None] = {}
    for step in ("faces", "fau"):
        units = [unit for line in read_log(workspace) if line["step"] == step for unit in line["units"]]
        seconds = sum(unit["seconds"] for unit in units)
        speed[step] = round(sum(unit["frames"] for unit in units) / seconds, 1) if seconds else None
    return speed
