"""Thumbnails: picks the frames that speak loudest, a little apart from each other, and shrinks their crops."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import polars as pl

Key = tuple[str, int, int]
"""content_id, track, frame_index."""

SIDE_PX = 96
JPEG_QUALITY = 80
MIN_DISTANCE_US = 500_000
"""Two pictures of one face closer than this show the same thing."""

STAND_INS = (-1, 1, -2, 2)
"""Frames that may stand in for one without a crop: above 25 frames a second not every frame has one."""


@dataclass(frozen=True, slots=True)
class Pick:
    """A frame worth seeing."""

    key: Key
    pts_us: int
    label: str | None
    score: float
    evidence: float | None


@dataclass(frozen=True, slots=True)
class Picture:
    """A pick with its shrunken crop, as base64 JPEG."""

    pick: Pick
    data: str


def strongest(labels: pl.DataFrame, count: int) -> list[Pick]:
    """The frames labelled fake with the most evidence; without any, those with the highest score.

    Args:
        labels: rows of LABELS of one video.
        count: most frames; fewer come back where the video is too short to keep them apart.
    """
    score = pl.when(pl.col("basis") == "visual").then("p_visual").otherwise(pl.coalesce("p_total", "p_visual"))
    seen = labels.filter(pl.col("track").is_not_null()).with_columns(score=score).drop_nulls("score")
    fake = seen.filter(label="fake")
    order = ["evidence", "score"] if fake.height else ["score", "evidence"]
    ordered = (fake if fake.height else seen).sort(*order, "frame_index", "track", descending=[True, True, False, False], nulls_last=True)
    picks: list[Pick] = []
    for row in ordered.select("content_id", "track", "frame_index", "pts_us", "label", "score", "evidence").iter_rows():
        if len(picks) == count:
            break
        if all(p.key[1] != row[1] or abs(p.pts_us - row[3]) >= MIN_DISTANCE_US for p in picks):
            picks.append(Pick(row[:3], *row[3:]))
    return picks


def pictures_of(
    videos: dict[str, pl.DataFrame], count: int, thumbnails: Callable[[list[Key]], dict[Key, bytes]]
) -> dict[str, list[Picture]]:
    """Pictures by content_id, in order of time. A pick without a crop, or with a broken one, is left out."""
    if count == 0:
        return {}
    picks = {content_id: strongest(rows, count) for content_id, rows in videos.items()}
    wanted = [pick.key for group in picks.values() for pick in group]
    crops = thumbnails(wanted) if wanted else {}
    missing = [(key[0], key[1], key[2] + step) for key in wanted if key not in crops for step in STAND_INS if key[2] + step >= 0]
    crops = crops | (thumbnails(missing) if missing else {})
    pictures: dict[str, list[Picture]] = {}
    for content_id, group in picks.items():
        for pick in sorted(group, key=lambda p: (p.pts_us, p.key)):
            crop = next((crops[k] for k in ((content_id, pick.key[1], pick.key[2] + step) for step in (0, *STAND_INS)) if k in crops), None)
            if crop and (data := _shrunken(crop)):
                pictures.setdefault(content_id, []).append(Picture(pick, data))
    return pictures


def _shrunken(crop: bytes) -> str | None:
    image = cv2.imdecode(np.frombuffer(crop, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        return None
    small = cv2.resize(image, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    ok, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return base64.b64encode(data.tobytes()).decode() if ok else None
