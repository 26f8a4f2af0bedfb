"""Frames: the labelled frames of a set's clips, a unit in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from pipelines.parquet import scan_frames
from pipelines.workspace import Workspace
from schemas.tables import LABELS

_COLUMNS = ["content_id", "track", "frame_index", "pts_us", "box", "p_total"]


def frames_of(
    workspace: Workspace, selection: pl.DataFrame, videos: Sequence[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]]:
    """(video, its clips, its frames) for each video. A frame is a dict with frame_index, pts_us, track, box, p_total and its clip.

    Frames are sorted by frame_index, track and clip. A video without labels has no frames.

    Raises:
        WorkspaceError: a table of labels is damaged.
    """
    waiting = {video["content_id"]: video for video in videos}
    clips = {str(key[0]): part.to_dicts() for key, part in selection.sort("clip_id").partition_by("content_id", as_dict=True).items()}
    for file in sorted(workspace.labels.glob("*.parquet")):  # one for each unit
        labels = scan_frames([file], "fauscan label", LABELS).select(_COLUMNS)
        found = labels.filter(pl.col("content_id").is_in(list(waiting))).collect()
        for (content_id,), rows in found.sort("content_id").partition_by("content_id", as_dict=True, maintain_order=True).items():
            own = clips[str(content_id)]
            yield waiting.pop(str(content_id)), own, _in_clips(rows, own)
    for content_id, video in sorted(waiting.items()):
        yield video, clips[content_id], []


def _in_clips(rows: pl.DataFrame, clips: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for clip in clips:
        of_track = pl.col("track").is_null() if clip["track"] is None else pl.col("track") == clip["track"]
        inside = pl.col("frame_index").is_between(clip["frame_from"], clip["frame_to"], closed="left")
        found += [row | {"clip": clip} for row in rows.filter(of_track & inside).iter_rows(named=True)]
    found.sort(key=lambda row: (row["frame_index"], -1 if row["track"] is None else row["track"], row["clip"]["clip_id"]))
    return found
