"""Curated: opens a curated set, by its name in a workspace or as a folder."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.parquet import read_frame, sha256
from pipelines.workspace import Workspace
from schemas.errors import WorkspaceError
from schemas.tables import CURATED

SELECTION_NAME = "selection.parquet"


@dataclass(frozen=True, slots=True)
class CuratedSet:
    """The selection, with what lies beside it."""

    name: str
    folder: Path
    selection: pl.DataFrame
    """Rows of CURATED."""
    digest: str
    """Hex SHA-256 of the selection's file: sets with equal digests are equal."""

    @property
    def proof(self) -> dict[str, Any]:
        """`proof.json`; empty where there is none."""
        return self._json("proof.json")

    @property
    def metrics(self) -> dict[str, Any]:
        """`metrics.json`; empty where there is none."""
        return self._json("metrics.json")

    @property
    def recipe_text(self) -> str | None:
        """The recipe, as it was given."""
        path = self.folder / "recipe.yaml"
        return path.read_text(encoding="utf-8") if path.is_file() else None

    def _json(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        try:
            return dict(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError) as error:
            raise WorkspaceError(f"{path}: damaged ({error}); `fauscan curate` makes it again") from None


def open_folder(folder: Path, name: str | None = None) -> CuratedSet:
    """The set in a folder.

    Raises:
        WorkspaceError: no selection there, or a damaged one.
        SchemaError: another table.
    """
    path = folder / SELECTION_NAME
    if not path.is_file():
        raise WorkspaceError(f"{folder}: holds no {SELECTION_NAME}; `fauscan curate RECIPE` makes one")
    selection = read_frame(path, "fauscan curate", CURATED)
    return CuratedSet(name or folder.name, folder, selection, sha256(path.read_bytes()))


def open_curated(workspace: Workspace, name: str) -> CuratedSet:
    """The set called `name` in a workspace.

    Raises:
        WorkspaceError: there is none; the message names the nearest one that exists.
    """
    home = workspace.data / "curated"
    known = sorted(path.parent.name for path in home.glob(f"*/{SELECTION_NAME}"))
    if name not in known:
        near = difflib.get_close_matches(name, known, 1) or known[:1]
        hint = f"did you mean {near[0]!r}?" if near else "`fauscan curate RECIPE` makes one"
        raise WorkspaceError(f"{home}: holds no curated set {name!r}; {hint}")
    return open_folder(home / name, name)
