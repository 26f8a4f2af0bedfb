"""Clips: what training sees of a workspace. Crops, action units and sound of every face track, in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fauforensics.frontend import NUM_MELS
from pipelines.listing import read_inventory
from pipelines.step import receipts_of
from pipelines.workspace import Workspace
from schemas.timebase import HOPS_PER_TICK
from stages.contract import as_frame
from stages.network_input import TrackInput, by_track, track_input

_FLOOR_DB = -100.0


@dataclass(frozen=True, slots=True)
class Clip:
    """One face track with its sound.

    crops (T, 3, px, px) uint8, aus (T, 20) float32, db (T, 4, 80) float32 mel power in decibels, speech (T,) bool,
    loudness_dbfs (T,) float32.
    """

    uri: str
    content_id: str
    crops: NDArray[np.uint8]
    aus: NDArray[np.float32]
    db: NDArray[np.float32]
    speech: NDArray[np.bool_]
    loudness_dbfs: NDArray[np.float32]

    @property
    def ticks(self) -> int:
        return len(self.crops)


def load_clips(workspace: Workspace, crop_px: int, min_ticks: int) -> list[Clip]:
    """Every track of at least `min_ticks` whose face and sound are there throughout, sorted by uri."""
    store = workspace.store()
    uri_of = {r["content_id"]: r["uri"] for r in read_inventory(workspace.inventory).drop_nulls("unit").to_dicts()}
    keys = {step: {r.unit: r.unit_key for r in receipts_of(workspace, step)} for step in ("faces", "fau", "audio")}
    clips = []
    for unit in sorted(keys["faces"]):
        faces = as_frame(store.read("faces", keys["faces"][unit], "faces", ["content_id", "track", "tick", "crop"]))
        aus = as_frame(store.read("fau", keys["fau"][unit], "fau"))
        joined = faces.join(aus, on=["content_id", "track", "tick"], how="left", maintain_order="left")
        sounds = as_frame(store.read("audio", keys["audio"][unit], "audio"))
        for (content_id,), own in joined.group_by("content_id", maintain_order=True):
            sound = sounds.filter((pl.col("content_id") == content_id) & pl.col("reason").is_null()).sort("tick")
            for number, rows in by_track(own).items():
                clip = _clip(uri_of.get(str(content_id), ""), str(content_id), track_input(rows, number, crop_px), sound)
                if clip is not None and clip.ticks >= min_ticks:
                    clips.append(clip)
    return sorted(clips, key=lambda c: c.uri)


def _clip(uri: str, content_id: str, track: TrackInput, sound: pl.DataFrame) -> Clip | None:
    ticks = sound["tick"].to_numpy()
    if not len(ticks) or not track.present.all():
        return None
    low, high = max(track.first_tick, int(ticks[0])), min(track.first_tick + len(track.present), int(ticks[-1]) + 1)
    if high <= low or len(ticks) != ticks[-1] - ticks[0] + 1:
        return None
    seen, heard = slice(low - track.first_tick, high - track.first_tick), slice(low - int(ticks[0]), high - int(ticks[0]))
    db = sound["power_db"].to_numpy().reshape(-1, HOPS_PER_TICK, NUM_MELS)[heard]
    return Clip(
        uri,
        content_id,
        track.crops[seen],
        track.aus[seen],
        np.maximum(db, _FLOOR_DB),
        sound["speech"].to_numpy()[heard],
        sound["loudness_dbfs"].to_numpy()[heard],
    )
