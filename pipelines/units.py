"""Units: packs of videos that are computed together, and never regrouped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from schemas.fingerprint import digest
from schemas.params import UnitParams
from schemas.tables import UNITS

LEDGER = UNITS
"""Every video that was ever assigned, with its unit. Rows are only added: a unit stays what it was."""


@dataclass(frozen=True, slots=True)
class Video:
    """What packing looks at."""

    content_id: str
    duration_us: int


def assign(ledger: pa.Table, videos: Iterable[Video], params: UnitParams) -> pa.Table:
    """The ledger with new units for the videos that it does not know yet.

    New videos are packed in order of content_id, so the result does not depend on the order of the listing.
    """
    known = set(ledger["content_id"].to_pylist())
    fresh = sorted({v.content_id: v for v in videos if v.content_id not in known}.values(), key=lambda v: v.content_id)
    rows = ledger.to_pylist()
    for pack in _pack(fresh, params):
        unit = digest([v.content_id for v in pack])[:16]
        rows += [{"content_id": v.content_id, "unit": unit} for v in pack]
    rows.sort(key=lambda row: row["content_id"])
    return pa.Table.from_pylist(rows, LEDGER)


def pack_up_to(units: Iterable[tuple[str, int]], limit_us: float) -> set[str]:
    """Names of the first units, given with their lengths, that fit into a limit together; always at least one."""
    taken: set[str] = set()
    filled_us = 0
    for name, length_us in units:
        if taken and filled_us + length_us > limit_us:
            break
        taken.add(name)
        filled_us += length_us
    return taken


def _pack(videos: Sequence[Video], params: UnitParams) -> list[list[Video]]:
    packs: list[list[Video]] = []
    filled_us = 0
    limit_us = params.minutes * 60e6
    for video in videos:
        if not packs or filled_us + video.duration_us > limit_us or len(packs[-1]) >= params.max_videos:
            packs.append([])
            filled_us = 0
        packs[-1].append(video)
        filled_us += video.duration_us
    return packs
