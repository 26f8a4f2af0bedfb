"""Curated: the clips of a curated set as training sees them, neighbours joined to longer stretches."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import polars as pl

from pipelines.curated import CuratedSet
from pipelines.features import features_name
from pipelines.listing import read_inventory
from pipelines.train.dataset import Dataset, TrainClip, check_splits, unbroken, units_with_media
from pipelines.workspace import Workspace
from schemas.errors import TruthError
from schemas.fingerprint import digest
from schemas.timebase import TICK_US
from schemas.truth import Span, TruthRow
from stages.exports.spans import merged


@dataclass(frozen=True, slots=True)
class Stretch:
    """Clips of one track that touch or overlap, as one."""

    track: int
    start_tick: int
    end_tick: int
    truth: TruthRow
    knows_audio: bool
    knows_visual: bool


def load_curated(workspace: Workspace, curated: CuratedSet, min_ticks: int, with_landmarks: bool, with_features: bool = False) -> Dataset:
    """The set's clips with their media from the store of the workspace that it was made in.

    Clips without a track, and stretches whose face is not seen for `min_ticks` on end, are unused. Splits, targets and spans are those
    of the set; spans of each stream are those of the truth, where the inventory has them.

    Args:
        workspace: has run up to `audio`.
        curated: one of its sets.
        min_ticks: shorter stretches can't be drawn from.
        with_landmarks, with_features: as for `load_dataset`.

    Raises:
        TruthError: train or dev lacks real or fake clips that can be used, or a person is in several splits.
        WorkspaceError: a step has not run.
    """
    media = {str(row["content_id"]): row for row in read_inventory(workspace.inventory).sort("uri", descending=True).to_dicts()}
    wanted: dict[str, list[Stretch]] = defaultdict(list)
    unused: dict[str, str] = {}
    for rows in _tracks(curated.selection):
        content_id = rows[0]["content_id"]
        if content_id not in media:
            unused[rows[0]["uri"]] = "not in the archive"
        elif rows[0]["track"] is None:
            unused[rows[0]["uri"]] = "clips without a face"
        else:
            wanted[content_id] += [_stretch(part, media[content_id]) for part in _touching(rows)]
    clips: list[TrainClip] = []
    for unit in units_with_media(workspace, with_landmarks, with_features):
        for content_id, faces, sounds in unit:
            for stretch in wanted.get(content_id, ()):
                inside = (pl.col("track") == stretch.track) & pl.col("tick").is_between(stretch.start_tick, stretch.end_tick, closed="left")
                own = unbroken(stretch.truth, media[content_id], faces.filter(inside), sounds, min_ticks, with_landmarks)
                if not own:
                    unused.setdefault(stretch.truth.file, f"no face for {min_ticks} ticks on end in a stretch of the set")
                clips += [_only_what_is_known(clip, stretch) for clip in own]
    if not clips:
        raise TruthError(f"{curated.folder}: none of its {curated.selection.height} clips can be used for training")
    clips.sort(key=lambda c: (c.truth.file, c.first_tick, c.frame_index[0]))
    check_splits(clips)
    facts = [[c.content_id, c.first_tick, c.ticks, c.truth.split, c.truth.kind, c.truth.identity] for c in clips]
    source = features_name(workspace) if with_features else None
    return Dataset(clips, digest([curated.digest, facts, *([] if source is None else [source])]), unused, source)


def _tracks(selection: pl.DataFrame) -> Iterator[list[dict[str, Any]]]:
    rows = selection.sort("content_id", "track", "start_tick").to_dicts()
    for _, own in groupby(rows, key=lambda row: (row["content_id"], row["track"])):
        yield list(own)


def _touching(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    part = [rows[0]]
    for row in rows[1:]:
        if row["start_tick"] > part[-1]["end_tick"]:
            yield part
            part = []
        part.append(row)
    yield part


def _stretch(rows: list[dict[str, Any]], media: dict[str, Any]) -> Stretch:
    fakes = [row for row in rows if row["target"] == "fake"]
    spans = [span for row in fakes for span in (_whole(row) if row["fake_spans"] is None else row["fake_spans"])]
    whole = _as_spans(spans)
    first, last = rows[0], max(row["end_tick"] for row in rows)
    truth = TruthRow(
        file=first["uri"],
        split=first["split"],
        kind=("+".join(first["methods"] or ()) or "fake") if fakes else "real",
        identity=(first["identities"] or [f"component {first['component']}"])[0],
        original=first["source"],
        fake_periods=whole,
        audio_fake_periods=_of_stream(fakes, media, "audio", whole),
        visual_fake_periods=_of_stream(fakes, media, "visual", whole),
    )
    known = [all(row[f"{stream}_fake"] is not None for row in fakes) for stream in ("audio", "visual")]
    return Stretch(first["track"], first["start_tick"], last, truth, *known)


def _of_stream(fakes: list[dict[str, Any]], media: dict[str, Any], stream: str, whole: list[Span]) -> list[Span]:
    """The fake seconds of one stream: as the truth has them inside of what is fake here, else those of the whole."""
    if not any(row[f"{stream}_fake"] for row in fakes):
        return []
    told = media[f"truth_{stream}_spans"] if all(row["target_from"] == "truth" for row in fakes) else None
    if told is None:
        return whole
    cut = [(max(a, s), min(b, e)) for s, e in told for a, b in whole]
    return _as_spans([span for span in cut if span[0] < span[1]])


def _as_spans(spans: list[Any]) -> list[Span]:
    return [(start, end) for start, end in merged(spans)]


def _whole(row: dict[str, Any]) -> list[Span]:
    return [(row["start_tick"] * TICK_US / 1e6, row["end_tick"] * TICK_US / 1e6)]


def _only_what_is_known(clip: TrainClip, stretch: Stretch) -> TrainClip:
    """A head is not asked of a stream of which nobody says whether it is fake."""
    asked = clip.asked | {
        "audio": clip.asked["audio"] and stretch.knows_audio,
        "visual": clip.asked["visual"] and stretch.knows_visual,
    }
    return dataclasses.replace(clip, asked=asked)
