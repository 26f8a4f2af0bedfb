"""Makes curated sets by hand, over a workspace that was really run, or over one of tables alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from pipelines.params_file import render
from pipelines.parquet import read_frame, write_if_changed
from pipelines.workspace import Workspace
from schemas.params import ArchiveParams, PipelineParams
from schemas.tables import CURATED, INVENTORY
from stages.contract import as_frame
from tests.pipelines.made_labels import table


def clip(content_id: str, uri: str, start_tick: int = 0, track: int | None = 0, **given: Any) -> dict[str, Any]:
    """A real clip of 25 ticks in split train, unless something else is said."""
    start_us = start_tick * 40_000
    return {
        "clip_id": f"{content_id}-{'v' if track is None else track}-{start_tick}", "content_id": content_id, "uri": uri, "dataset": "made",
        "track": track, "start_tick": start_tick, "end_tick": start_tick + 25, "start_us": start_us, "end_us": start_us + 1_000_000,
        "frame_from": start_tick, "frame_to": start_tick + 25, "split": "train", "target": "real", "target_from": "truth", "fake_spans": [],
        "audio_fake": False, "visual_fake": False, "methods": [], "identities": ["made:anna"], "component": 0, "p_total": 0.25,
        "weight": 1.0, "provenance_id": "p",
    } | given  # fmt: skip


FAKE = {"target": "fake", "audio_fake": False, "visual_fake": True, "methods": ["swap"]}


def write_set(workspace: Path, rows: list[dict[str, Any]], name: str = "made") -> pl.DataFrame:
    """`data/curated/NAME/selection.parquet`."""
    made = table(CURATED, sorted(rows, key=lambda row: row["clip_id"]))
    write_if_changed(made, workspace / "data" / "curated" / name / "selection.parquet")
    return as_frame(made)


def add_truth(workspace: Path, truths: dict[str, dict[str, Any]]) -> None:
    """Writes truth (columns without `truth_`) into the inventory, by uri."""
    path = workspace / "data" / "inventory.parquet"
    rows = read_frame(path, "test", INVENTORY).to_dicts()
    said = [row | {f"truth_{k}": v for k, v in truths.get(row["uri"], {}).items()} for row in rows]
    write_if_changed(table(INVENTORY, said), path)


def tables_only(root: Path, videos: dict[str, dict[str, Any]], rows: list[dict[str, Any]]) -> Workspace:
    """A workspace of an archive whose files hold their own names: enough for what only moves files.

    videos: by uri, columns of INVENTORY that differ from a video of 3 s with sound.
    """
    usual = {
        "outcome": "done", "unit": "u", "width": 640, "height": 360, "rotation_deg": 0, "frame_rate": 25.0, "num_packets": 75,
        "origin_us": 0, "is_vfr": False,
        "duration_us": 3_000_000, "has_audio": True, "audio_channels": 1, "audio_start_us": 0, "audio_end_us": 3_000_000, "size_bytes": 9,
        "video_codec": "h264", "container": "mov", "audio_codec": "aac", "audio_rate_hz": 16000,
    }  # fmt: skip
    archive, workspace = root / "archive", root / "ws"
    for uri in videos:
        (archive / uri).parent.mkdir(parents=True, exist_ok=True)
        (archive / uri).write_text(uri, encoding="utf-8")
    listed = [usual | {"content_id": f"id-{uri}", "uri": uri} | facts for uri, facts in sorted(videos.items())]
    write_if_changed(table(INVENTORY, listed), workspace / "data" / "inventory.parquet")
    params = PipelineParams(archive=ArchiveParams(uri=str(archive)))
    (workspace / "params.yaml").write_text(render(params), encoding="utf-8")
    write_set(workspace, rows)
    return Workspace.open(workspace)
