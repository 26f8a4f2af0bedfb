"""Makes the public tables of a workspace by hand: no video, no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.parquet import write_if_changed
from schemas.tables import INVENTORY, LABELS, PROVENANCE, SEGMENTS
from stages.contract import table_from_columns

Labels = dict[str, list[str | None]]
"""From the uri of a video to the label of each frame; None is a frame without a face."""


def write_data(data: Path, videos: Labels, spans: dict[str, tuple[float, float]] | None = None, **provenance: Any) -> Path:
    """`labels/` (a file for each video), `inventory.parquet`, `segments.parquet` and `provenance.parquet` in a folder."""
    for uri, labels in videos.items():
        rows = [
            {"content_id": f"id of {uri}", "track": None if label is None else 0, "frame_index": i, "pts_us": 40_000 * i, "label": label}
            | {"reason": "no_face" if label is None else None, "p_total": None if label is None else 0.5, "provenance_id": "p"}
            for i, label in enumerate(labels)
        ]
        write_if_changed(table(LABELS, rows), data / "labels" / f"{uri.replace('/', '-')}.parquet")
    write_if_changed(
        table(INVENTORY, [{"content_id": f"id of {uri}", "uri": uri, "outcome": "done"} for uri in videos]), data / "inventory.parquet"
    )
    found = [
        {"content_id": f"id of {uri}", "track": 0, "modality": "total", "start_s": start, "end_s": end, "score": 0.9}
        for uri, (start, end) in (spans or {}).items()
    ]
    write_if_changed(table(SEGMENTS, found), data / "segments.parquet")
    facts = {"provenance_id": "p", "preset": "lite", "weights_sha256": "ab" * 32, "fake_above": 0.9, "real_below": 0.2} | provenance
    write_if_changed(table(PROVENANCE, [facts]), data / "provenance.parquet")
    return data


def table(schema: pa.Schema, rows: list[dict[str, Any]]) -> pa.Table:
    """Rows of a schema; what they do not say is null."""
    return table_from_columns({name: [row.get(name) for row in rows] for name in schema.names}, schema)
