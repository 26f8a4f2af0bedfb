"""Forge: what `fauscan forge` wrote, LAV-DF's layout with kind, identity and the spans of each stream."""

from __future__ import annotations

from collections.abc import Collection

from schemas.truth import METADATA_NAME
from stages.datasets import lavdf
from stages.datasets.contract import OpenFile, Options, Reading

NAME = "forge"
LAYOUT = "metadata.json and plan.json beside train/, dev/ and test/, as `fauscan forge` writes them"
SIGNATURES = (r"^((?:.*/)?)plan\.json\z",)


def keeps(root: str, uris: Collection[str]) -> bool:
    return f"{root}{METADATA_NAME}" in uris


def read(root: str, uris: Collection[str], open_file: OpenFile, options: Options) -> Reading:
    """Truths of the list. See `stages.datasets.read`."""
    return lavdf.read_as(NAME, root, uris, open_file, options)
