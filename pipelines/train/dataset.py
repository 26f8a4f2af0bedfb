"""Dataset: every face track of an archive with its sound and its truth, tick by tick, ready to be drawn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fauforensics.frontend import NUM_MELS
from pipelines.features import features_name
from pipelines.listing import read_inventory
from pipelines.step import receipts_of
from pipelines.workspace import Workspace
from schemas.au import AU_NAMES
from schemas.errors import TruthError
from schemas.fingerprint import digest
from schemas.timebase import HOPS_PER_TICK, TICK_US
from schemas.truth import Modality, Span, TruthRow
from stages.contract import as_frame
from stages.network_input import by_track, feature_matrix

HEADS: tuple[Modality, ...] = ("total", "visual", "audio")
_FLOOR_DB = -100.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where the pixels of a track are in the archive: for reading by decord."""

    uri: str
    origin_us: int
    rotation_deg: int


@dataclass(frozen=True, slots=True)
class TrainClip:
    """An unbroken stretch of one face track, T ticks long.

    crops (T,) JPEG or PNG bytes as in FACES; frame_index, pts_us (T,) int64 and landmarks (T, 468, 2) float32 in picture
    pixels, for cutting anew; aus (T, 20) float32, NaN where unknown; db (T, 4, 80) float32 mel power in decibels;
    speech (T,) bool; fake: (T,) bool for each head; asked: heads that can know; features (T, D) float32 of a frozen network,
    NaN where unknown, None where nobody asked.
    """

    truth: TruthRow
    content_id: str
    source: Source
    first_tick: int
    crops: Sequence[bytes]
    frame_index: NDArray[np.int64]
    pts_us: NDArray[np.int64]
    landmarks: NDArray[np.float32]
    aus: NDArray[np.float32]
    db: NDArray[np.float32]
    speech: NDArray[np.bool_]
    fake: dict[Modality, NDArray[np.bool_]]
    asked: dict[Modality, bool]
    features: NDArray[np.float32] | None = None

    @property
    def ticks(self) -> int:
        return len(self.crops)

    @property
    def is_real(self) -> bool:
        return not any(flags.any() for flags in self.fake.values())


@dataclass(frozen=True, slots=True)
class Dataset:
    """Clips of all splits, and what could not be used."""

    clips: list[TrainClip]
    digest: str
    unused: dict[str, str]
    features: str | None = None
    """What made the clips' features."""

    @property
    def num_features(self) -> int:
        return 0 if self.features is None or self.clips[0].features is None else int(self.clips[0].features.shape[1])

    def split(self, name: str) -> list[TrainClip]:
        return [clip for clip in self.clips if clip.truth.split == name]


def load_dataset(
    workspace: Workspace, truth: Sequence[TruthRow], min_ticks: int, with_landmarks: bool, with_features: bool = False
) -> Dataset:
    """Joins the finished steps of a workspace with the truth of its archive.

    Args:
        workspace: has run up to `audio`.
        truth: one row for each clip; `file` is the uri in the archive.
        min_ticks: shorter stretches can't be drawn from.
        with_landmarks: keep landmarks in memory, which only reading from video needs (3.7 kB a tick).
        with_features: keep `fau_features` in memory (2 kB a tick).

    Raises:
        TruthError: truth and archive share no clip, or a split is missing that training needs.
        WorkspaceError: a step has not run.
    """
    rows = {row.file: row for row in truth}
    inventory = read_inventory(workspace.inventory)
    media = {r["uri"]: r for r in inventory.to_dicts()}
    if not media.keys() & rows.keys():
        raise TruthError(f"no clip of the archive is in its {len(rows)} rows of truth; `file` must be the path from the archive's folder")
    unused = {file: "not in the archive" for file in rows if file not in media}
    # The same bytes under two names are one content: its first name is the one that was computed.
    chosen: dict[str, dict[str, Any]] = {}
    for uri in sorted(media.keys() & rows.keys()):
        entry = media[uri]
        if entry["unit"] is None:
            unused[uri] = entry["reason"] or "unusable"
        elif chosen.setdefault(entry["content_id"], entry)["uri"] != uri:
            unused[uri] = f"same bytes as {chosen[entry['content_id']]['uri']}"
    clips: list[TrainClip] = []
    for unit in units_with_media(workspace, with_landmarks, with_features):
        for content_id, faces, sounds in unit:
            if content_id not in chosen:
                continue
            entry = chosen[content_id]
            own = unbroken(rows[entry["uri"]], entry, faces, sounds, min_ticks, with_landmarks)
            if not own:
                unused[entry["uri"]] = f"no face track of {min_ticks} ticks"
            clips += own
    clips.sort(key=lambda c: (c.truth.file, c.first_tick))
    check_splits(clips)
    facts = [[c.content_id, c.truth.split, c.truth.kind, c.truth.identity] for c in clips]
    source = features_name(workspace) if with_features else None
    return Dataset(clips, digest(facts if source is None else [facts, source]), unused, source)


def check_splits(clips: Sequence[TrainClip]) -> None:
    """Raises TruthError for clips that can't be learnt from: a split without both classes, a person in two splits."""
    found = Counter(str(c.truth.split) for c in clips)
    for split in ("train", "dev"):
        both = {c.is_real for c in clips if c.truth.split == split}
        if both != {True, False}:
            what = "no clip that can be used" if not both else "only real clips" if both == {True} else "only forged clips"
            raise TruthError(f"split {split!r} has {what} (clips: {dict(found)}); training needs real and forged ones in train and dev")
    groups: dict[str, set[str]] = {}
    for clip in clips:
        if clip.truth.identity is not None and clip.truth.split is not None:
            groups.setdefault(clip.truth.identity, set()).add(clip.truth.split)
    shared = sorted(identity for identity, splits in groups.items() if len(splits) > 1)
    if shared:
        raise TruthError(f"identity {shared[0]!r} and {len(shared) - 1} others are in several splits; figures on them would mean nothing")


def units_with_media(workspace: Workspace, with_landmarks: bool, with_features: bool) -> Any:
    """Per unit: (content_id, faces joined with action units and features, sound) of each video."""
    store = workspace.store()
    keys = {step: {r.unit: r.unit_key for r in receipts_of(workspace, step)} for step in ("faces", "fau", "audio")}
    columns = ["content_id", "track", "tick", "frame_index", "pts_us", "crop", *(["box", "landmarks"] if with_landmarks else [])]
    for unit in sorted(keys["faces"]):
        faces = as_frame(store.read("faces", keys["faces"][unit], "faces", columns))
        aus = as_frame(store.read("fau", keys["fau"][unit], "fau"))
        joined = faces.join(aus, on=["content_id", "track", "tick"], how="left", maintain_order="left")
        if with_features:
            kept = as_frame(store.read("fau", keys["fau"][unit], "fau_features"))
            joined = joined.join(kept, on=["content_id", "track", "tick"], how="left", maintain_order="left")
        sounds = as_frame(store.read("audio", keys["audio"][unit], "audio")).partition_by("content_id", as_dict=True)
        empty = as_frame(store.read("audio", keys["audio"][unit], "audio")).clear() if not sounds else next(iter(sounds.values())).clear()
        yield [
            (str(content_id), own, sounds.get((content_id,), empty))
            for (content_id,), own in joined.group_by("content_id", maintain_order=True)
        ]


def unbroken(
    truth: TruthRow, media: dict[str, Any], faces: pl.DataFrame, sounds: pl.DataFrame, min_ticks: int, with_landmarks: bool
) -> list[TrainClip]:
    """Clips of one video: a clip for each run of ticks that shows one track, where it is long enough."""
    source = Source(media["uri"], media["origin_us"], media["rotation_deg"] or 0)
    clips = []
    for rows in by_track(faces).values():
        ticks = rows["tick"].to_numpy()
        for run in np.split(np.arange(len(ticks)), np.flatnonzero(np.diff(ticks) != 1) + 1):
            if len(run) < min_ticks:
                continue
            part = rows[int(run[0]) : int(run[-1]) + 1]
            clips.append(_clip(truth, media["content_id"], source, part, sounds, with_landmarks))
    return clips


def _clip(truth: TruthRow, content_id: str, source: Source, rows: pl.DataFrame, sounds: pl.DataFrame, with_landmarks: bool) -> TrainClip:
    ticks = rows["tick"].to_numpy().astype(np.int64)
    db = np.full((len(ticks), HOPS_PER_TICK, NUM_MELS), _FLOOR_DB, np.float32)
    speech = np.zeros(len(ticks), bool)
    heard = sounds.filter(pl.col("reason").is_null() & pl.col("tick").is_in(ticks.tolist()))
    if heard.height:
        where = heard["tick"].to_numpy() - int(ticks[0])
        db[where] = np.maximum(heard["power_db"].to_numpy().reshape(-1, HOPS_PER_TICK, NUM_MELS), _FLOOR_DB)
        speech[where] = heard["speech"].to_numpy()
    fake = {head: ticks_in(truth.spans(head), ticks) for head in HEADS}
    asked: dict[Literal["total", "audio", "visual"], bool] = {
        "total": heard.height > 0,
        "audio": heard.height > 0 and (not fake["audio"].any() or truth.leaves_trace("audio")),
        "visual": not fake["visual"].any() or truth.leaves_trace("visual"),
    }
    landmarks = np.zeros((0, 468, 2), np.float32)
    if with_landmarks:
        box = rows["box"].to_numpy()
        centre, side = (box[:, :2] + box[:, 2:]) / 2, (box[:, 2:] - box[:, :2]).max(1)
        relative = rows["landmarks"].to_numpy().astype(np.float32).reshape(len(ticks), -1, 3)[:, :, :2]
        landmarks = relative * side[:, None, None] + centre[:, None]
    return TrainClip(
        truth,
        content_id,
        source,
        int(ticks[0]),
        rows["crop"].to_list(),
        rows["frame_index"].to_numpy().astype(np.int64),
        rows["pts_us"].to_numpy().astype(np.int64),
        landmarks,
        rows.select(AU_NAMES).to_numpy().astype(np.float32),
        db,
        speech,
        fake,
        asked,
        feature_matrix(rows) if "features" in rows.columns else None,
    )


def ticks_in(spans: Sequence[Span], ticks: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(T,) whether the time of each tick lies in one of the spans."""
    seconds = ticks * (TICK_US / 1e6)
    inside = np.zeros(len(ticks), bool)
    for start, end in spans:
        inside |= (seconds >= start - 1e-6) & (seconds < end - 1e-6)
    return inside
