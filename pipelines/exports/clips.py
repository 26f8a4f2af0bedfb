"""Clips: faces, action units and sound of a set's clips out of the store, a unit at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from pipelines.chain import Fingerprints
from pipelines.exports.folder import ExportFolder
from pipelines.units import LEDGER
from pipelines.workspace import Workspace
from schemas.au import AU_NAMES
from schemas.fingerprint import unit_key
from schemas.timebase import HOPS_PER_TICK
from stages.contract import as_frame
from stages.exports.samples import FLOOR_DB, Sample, empty_mel

_FACES = ["content_id", "track", "tick", "crop"]
_AUDIO = ["content_id", "tick", "power_db", "reason"]


def stream_samples(workspace: Workspace, selection: pl.DataFrame, out: ExportFolder) -> Iterator[Sample]:
    """The clips with their media, in order of units and then of `clip_id`; no more than one unit is in memory.

    A clip whose video the store does not hold, or without a face in the store, is missing in `out`.

    Raises:
        WorkspaceError: the storage of the store refuses.
    """
    store, fingerprints = workspace.store(), Fingerprints(workspace)
    ledger = as_frame(store.read_ledger("units", LEDGER))
    members = {str(unit): part["content_id"].to_list() for (unit,), part in ledger.group_by("unit")}
    rows = selection.join(ledger, on="content_id", how="left")
    for row in rows.filter(pl.col("unit").is_null()).sort("clip_id").iter_rows(named=True):
        out.miss(row["clip_id"], row["uri"], "the store has never held this video")
    for unit in sorted(rows["unit"].drop_nulls().unique().to_list()):
        clips = rows.filter(pl.col("unit") == unit).drop("unit").sort("clip_id")
        tables: dict[str, pl.DataFrame] = {}
        trouble = None
        for step, columns in (("faces", _FACES), ("fau", None), ("audio", _AUDIO)):
            key = unit_key(members[unit], fingerprints.of(step))
            try:
                if store.receipt(step, key) is None:
                    raise FileNotFoundError
                tables[step] = as_frame(store.read(step, key, step, columns))
            except (OSError, pa.ArrowException) as error:
                what = "not there" if isinstance(error, FileNotFoundError) else f"damaged ({type(error).__name__})"
                trouble = f"{step} of its unit {unit} are {what} in the store"
                break
        if trouble:
            for row in clips.iter_rows(named=True):
                out.miss(row["clip_id"], row["uri"], trouble)
            continue
        yield from _of_unit(clips, tables, out)


def _of_unit(clips: pl.DataFrame, tables: dict[str, pl.DataFrame], out: ExportFolder) -> Iterator[Sample]:
    wanted = clips["content_id"].unique().to_list()
    faces = tables["faces"].filter(pl.col("content_id").is_in(wanted))
    faces = faces.join(tables["fau"], on=["content_id", "track", "tick"], how="left", maintain_order="left")
    by_track = {key: part.sort("tick") for key, part in faces.partition_by("content_id", "track", as_dict=True).items()}
    heard = tables["audio"].filter(pl.col("content_id").is_in(wanted) & pl.col("reason").is_null())
    by_video = {key[0]: part.sort("tick") for key, part in heard.partition_by("content_id", as_dict=True).items()}
    for row in clips.iter_rows(named=True):
        sample = _sample(row, by_track.get((row["content_id"], row["track"])), by_video.get(row["content_id"]))
        if row["track"] is not None and not sample.crops:
            out.miss(row["clip_id"], row["uri"], "no crop of its track in the store")
            continue
        out.counts["clips"] += 1
        out.counts["clips_with_gaps"] += row["track"] is not None and len(sample.crops) < sample.num_ticks
        yield sample


def _sample(row: dict[str, Any], track: pl.DataFrame | None, sound: pl.DataFrame | None) -> Sample:
    start, end = row["start_tick"], row["end_tick"]
    mel, audio_ticks = empty_mel(end - start), 0
    if sound is not None:
        part = sound.filter(pl.col("tick").is_between(start, end, closed="left"))
        where = part["tick"].to_numpy() - start
        if audio_ticks := part.height:
            hops = mel.reshape(end - start, HOPS_PER_TICK, -1)
            hops[where] = np.maximum(part["power_db"].to_numpy().reshape(audio_ticks, HOPS_PER_TICK, -1), FLOOR_DB)
    if track is None:
        return Sample(row, [], [], np.zeros((0, len(AU_NAMES)), np.float32), mel, audio_ticks)
    seen = track.filter(pl.col("tick").is_between(start, end, closed="left"))
    aus = seen.select(AU_NAMES).cast(pl.Float32).fill_null(float("nan")).to_numpy()
    return Sample(row, (seen["tick"] - start).to_list(), seen["crop"].to_list(), np.ascontiguousarray(aus), mel, audio_ticks)
