"""Cards: writes `card.md` and `datasheet.md` beside a curated set."""

from __future__ import annotations

from pathlib import Path

from pipelines.curated import CuratedSet, open_folder
from pipelines.listing import read_inventory
from pipelines.parquet import read_frame, write_bytes_if_changed
from pipelines.workspace import Workspace
from schemas.tables import PROVENANCE
from stages.cards.card import CardInput, card
from stages.cards.datasheet import datasheet
from stages.contract import as_frame


def write_cards(workspace: Workspace, folder: Path) -> list[str]:
    """Writes what changed; returns the names of the files that did.

    Raises:
        WorkspaceError: no set in the folder, or a table is damaged.
    """
    given = card_input(workspace, open_folder(folder))
    texts = {"card.md": card(given), "datasheet.md": datasheet(given)}
    return [name for name, text in texts.items() if write_bytes_if_changed(text.encode(), folder / name)]


def card_input(workspace: Workspace, curated: CuratedSet) -> CardInput:
    """What cards are made from."""
    path = workspace.data / "provenance.parquet"
    provenance = read_frame(path, "fauscan label", PROVENANCE) if path.is_file() else as_frame(PROVENANCE.empty_table())
    inventory = read_inventory(workspace.inventory)
    return CardInput(
        curated.name, curated.digest, curated.selection, inventory, provenance, curated.proof, curated.metrics, curated.recipe_text
    )
