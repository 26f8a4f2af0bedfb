"""Run: carries a recipe out in a workspace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.cards import write_cards
from pipelines.curate.digests import inputs_digest, recipe_digest
from pipelines.curate.looks import near_pairs
from pipelines.curate.output import write_set
from pipelines.curate.store_tables import StoreTables
from pipelines.curate.view import print_set
from pipelines.listing import read_inventory
from pipelines.lock import locked
from pipelines.parquet import damage_found_late, read_frame, scan_frames
from pipelines.workspace import Workspace
from schemas import curation_file
from schemas.curation import RecipeProblem
from schemas.curation_file import RecipeFile
from schemas.errors import ParamsError, WorkspaceError
from schemas.tables import LABELS, SEGMENTS
from stages.contract import as_frame
from stages.curate.select import Inputs, Selected, select


@dataclass(frozen=True, slots=True)
class Curated:
    """A set, as it was written."""

    folder: Path
    selected: Selected
    written: list[str]
    """Names of the files that changed."""


def curate(workspace: Workspace, recipe: Path) -> Curated:
    """Writes `data/curated/NAME/` and prints what is in it. A rerun with nothing new writes nothing.

    Raises:
        ParamsError: the recipe is wrong, or asks for what can't be had; one line with file and line.
        WorkspaceError: a table is missing or damaged.
        BusyError: another FauScan is at work in the workspace.
    """
    wanted = read_recipe(recipe)
    name = wanted.recipe.name or _name_of(recipe)
    with locked(workspace.root):
        made = _curate(workspace, wanted, workspace.data / "curated" / name)
        made = Curated(made.folder, made.selected, [*made.written, *write_cards(workspace, made.folder)])
    print_set(name, made.folder, made.selected, made.written)
    return made


def read_recipe(path: Path) -> RecipeFile:
    """A recipe's file, checked. Raises ParamsError."""
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; docs/curation.md has a recipe to start from") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: can't be read: {error}") from None
    return curation_file.parse(text, str(path))


def _name_of(recipe: Path) -> str:
    name = recipe.stem
    if not all(c.isalnum() or c in "._-" for c in name) or not name[:1].isalnum():
        raise ParamsError(f"{recipe}: {name!r} can't be a folder's name; say `name: ...` in the recipe")
    return name


def _curate(workspace: Workspace, wanted: RecipeFile, folder: Path) -> Curated:
    recipe = wanted.recipe
    labels = sorted(workspace.labels.glob("*.parquet"))
    if not workspace.inventory.is_file() or not labels:
        raise WorkspaceError(f"{workspace.labels}: no labels yet; run `fauscan run` or `dvc repro` first")
    segments = workspace.data / "segments.parquet"
    tables = StoreTables(workspace, recipe.clips.stride_ticks, recipe.clips.of == "video")
    inputs = Inputs(
        read_inventory(workspace.inventory),
        scan_frames(labels, "fauscan label", LABELS),
        read_frame(segments, "fauscan label", SEGMENTS) if segments.is_file() else as_frame(SEGMENTS.empty_table()),
        tables.faces,
        tables.audio,
        lambda ids: near_pairs(workspace, tables, ids, recipe.duplicates.near),
    )
    try:
        with damage_found_late(workspace.labels):
            selected = select(inputs, recipe)
    except RecipeProblem as problem:
        raise wanted.error(problem) from None
    files = [workspace.inventory, *labels, *([segments] if segments.is_file() else [])]
    made_from = {"recipe": recipe_digest(recipe), "inputs": inputs_digest(workspace.root, files, tables.digests)}
    return Curated(folder, selected, write_set(folder, wanted, selected, made_from))
