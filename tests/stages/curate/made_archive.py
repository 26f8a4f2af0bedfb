"""Makes the tables of an archive by hand: inventory with truth, labels, segments."""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa

from schemas.curation import CurationRecipe
from schemas.tables import INVENTORY, LABELS, SEGMENTS
from stages.contract import as_frame
from stages.curate import near
from stages.curate.select import Inputs, Selected, select

Rows = list[dict[str, Any]]


def table(schema: pa.Schema, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows of a schema; what they do not say is null."""
    return as_frame(pa.table([pa.array([row.get(f.name) for row in rows], f.type) for f in schema], schema=schema))


def video(name: str, **truth: Any) -> dict[str, Any]:
    """A row of INVENTORY at 25 frames/s; keywords without `truth_` before them are truth."""
    facts = {f"truth_{key}": value for key, value in truth.items() if f"truth_{key}" in INVENTORY.names}
    rest = {key: value for key, value in truth.items() if f"truth_{key}" not in INVENTORY.names}
    row = {"content_id": f"id-{name}", "uri": f"set/{name}.mp4", "outcome": "done", "frame_rate": 25.0, "duration_us": 3_000_000}
    return row | {"truth_dataset": "made"} | facts | rest


def frames(
    name: str, seconds: float = 3.0, track: int | None = 0, p: float = 0.1, rate: float = 25.0, **columns: Any
) -> list[dict[str, Any]]:
    """Rows of LABELS of one face, all alike."""
    row = {
        "content_id": f"id-{name}", "track": track, "p_total": p, "p_audio": p, "p_visual": p, "basis": "total", "quality": 0.5,
        "label": "fake" if p > 0.5 else "real", "box": [10.0, 20.0, 110.0, 140.0], "provenance_id": "p", "n_windows": 1,
    } | columns  # fmt: skip
    if track is None:
        row |= {"box": None, "quality": None, "label": None, "p_total": None, "p_visual": None, "reason": "no_face"}
    return [row | {"frame_index": i, "pts_us": round(i * 1e6 / rate)} for i in range(round(seconds * rate))]


def nothing(_: pl.Series) -> pl.DataFrame:
    """For tables of the store that must not be read."""
    raise AssertionError("a table of the store was read, which no filter names")


def inputs(
    videos: list[dict[str, Any]], labels: list[dict[str, Any]], segments: list[dict[str, Any]] | None = None, **tables: Any
) -> Inputs:
    """What a recipe reads."""
    return Inputs(
        table(INVENTORY, videos),
        table(LABELS, labels).lazy(),
        table(SEGMENTS, segments or []),
        tables.get("faces", nothing),
        tables.get("audio", nothing),
        tables.get("near", lambda _: near.NO_PAIRS),
    )


def curate(given: Inputs, recipe: dict[str, Any] | None = None) -> Selected:
    """Runs a recipe whose splits are all `train` unless it says otherwise."""
    return select(given, CurationRecipe.model_validate({"splits": {"train": 1, "dev": 0, "test": 0}} | (recipe or {})))
