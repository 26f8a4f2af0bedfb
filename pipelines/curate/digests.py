"""Digests: what a curated set was made from, in a few hex digits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from schemas.curation import CurationRecipe
from schemas.fingerprint import digest
from schemas.tables import CURATED, table_version
from stages import versions

_BLOCK = 1 << 22


def recipe_digest(recipe: CurationRecipe) -> str:
    """Changes with anything that the recipe says, comments and order apart, and with the code that carries it out."""
    return digest({"recipe": recipe.model_dump(mode="json"), "version": versions.CURATE, "table": table_version(CURATED)})


def inputs_digest(root: Path, files: Sequence[Path], units: Mapping[str, str]) -> str:
    """Of the bytes of tables, by their names below `root`, and of the store's units."""
    return digest({"files": {str(path.relative_to(root)): _of_file(path) for path in files}, "units": dict(units)})


def _of_file(path: Path) -> str:
    hasher = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            hasher.update(block)
    return hasher.hexdigest()
