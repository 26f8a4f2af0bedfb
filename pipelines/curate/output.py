"""Output: the files of a curated set, always the same bytes for the same selection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.parquet import to_bytes, write_bytes_if_changed
from schemas.curation import SPLITS
from schemas.curation_file import RecipeFile
from stages.curate.select import Selected
from stages.curate.selection import as_table


def write_set(folder: Path, wanted: RecipeFile, selected: Selected, made_from: Mapping[str, str]) -> list[str]:
    """Writes what changed, the selection last: who sees a new selection sees the proof of it beside it.

    Args:
        folder: of the set.
        wanted: the recipe.
        selected: what it gave.
        made_from: digests of the recipe and of the inputs.

    Returns:
        Names of the files that were written.
    """
    table = as_table(selected.selection)
    digests = {f"fauscan.{name}": value for name, value in made_from.items()}
    files = {
        "recipe.yaml": wanted.text.encode(),
        "proof.json": _json(selected.proof),
        "metrics.json": _json(_metrics(selected, made_from)),
        **{f"plots/{name}.csv": _csv(rows) for name, rows in _plots(selected).items()},
        "selection.parquet": to_bytes(table.replace_schema_metadata({**table.schema.metadata, **digests})),
    }
    written = [name for name, data in files.items() if write_bytes_if_changed(data, folder / name)]
    for left in folder.rglob(".tmp-*"):  # of a run that was killed
        left.unlink()
    return written


def _metrics(selected: Selected, made_from: Mapping[str, str]) -> dict[str, Any]:
    rows = selected.selection
    known = rows["p_total"].drop_nulls()
    return {
        "recipe": made_from["recipe"],
        "inputs": made_from["inputs"],
        "clips": rows.height,
        "videos": rows["content_id"].n_unique(),
        "components": rows["component"].n_unique(),
        "identities": rows["identities"].list.explode().drop_nulls().n_unique(),
        "splits": {name: {k: row[k] for k in ("clips", "videos", "reached")} for name, row in selected.proof["splits"].items()},
        "targets": _counts(rows, "target"),
        "target_from": _counts(rows, "target_from"),
        "datasets": _counts(rows, "dataset"),
        "methods": _counts(rows.select(method=pl.col("methods").list.join("+")), "method"),
        "overlaps": {name: row["overlaps"] for name, row in selected.proof["relations"].items()},
        "with_p_total": len(known),
        "funnel": selected.funnel.rows(),
    }


def _counts(rows: pl.DataFrame, column: str) -> dict[str, int]:
    named = rows.select(pl.col(column).fill_null("-").replace("", "-"))
    return dict(named.group_by(column).len().sort(column).iter_rows())


def _plots(selected: Selected) -> dict[str, pl.DataFrame]:
    """For `dvc plots` and spreadsheets."""
    rows = selected.selection
    splits = rows.group_by("split", "target").len("clips").sort("split", "target")
    methods = rows.select("split", "dataset", method=pl.col("methods").list.join("+")).group_by("split", "dataset", "method").len("clips")
    per_identity = rows.select("split", identity=pl.col("identities")).explode("identity").drop_nulls("identity")
    sizes = per_identity.group_by("split", "identity").len("clips").group_by("split", "clips").len("identities")
    return {
        "splits": splits,
        "methods": methods.sort("split", "dataset", "method", nulls_last=True),
        "clips_per_identity": sizes.sort("split", "clips"),
        "funnel": pl.DataFrame(selected.funnel.rows(), schema={"step": pl.String, "unit": pl.String, "left": pl.Int64}),
        "shares": pl.DataFrame([{"split": s, **{k: selected.proof["splits"][s][k] for k in ("wanted", "reached")}} for s in SPLITS]),
    }


def _csv(rows: pl.DataFrame) -> bytes:
    return rows.write_csv().encode()


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
