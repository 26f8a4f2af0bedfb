"""Truth labels: what the truth says of each frame, beside its label and never mixed with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from schemas.tables import INVENTORY, LABELS, STORED_LABELS
from schemas.truth import Span
from stages.truth_frames import FrameRule, in_spans

INPUT, OUTPUT = (INVENTORY, STORED_LABELS), LABELS

STREAMS = {"truth_fake": "truth_spans", "truth_audio_fake": "truth_audio_spans", "truth_visual_fake": "truth_visual_spans"}
"""Flag of a video, which is also the column of the labels, and the spans that it holds in."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one stream of a video. `spans` None: nothing of when, so a fake one is fake from end to end."""

    is_fake: bool
    spans: tuple[Span, ...] | None

    def frames(self, pts_us: NDArray[np.int64], frame_index: NDArray[np.int64], rule: FrameRule) -> NDArray[np.bool_] | None:
        """(N,) whether each frame is fake; None where the stream is fake and its list of spans is empty."""
        if not self.is_fake or self.spans is None:
            return np.full(len(pts_us), self.is_fake)
        return in_spans(self.spans, pts_us, frame_index, rule) if self.spans else None


ContentTruth = Mapping[str, Mapping[str, Known]]
"""content_id -> flag -> what is known; flags of which nothing is known, or which copies contradict, are left out."""


def by_content(inventory: pl.DataFrame) -> tuple[ContentTruth, list[tuple[str, str]]]:
    """The truth of each content, from the truths of all files that hold it.

    Args:
        inventory: rows of INVENTORY.

    Returns:
        The truth; and (uri, what) for each file whose copy is said to be something else, sorted. Of a stream that copies contradict
        each other about nothing is known.
    """
    found: dict[str, dict[str, Known]] = {}
    told_by: dict[tuple[str, str], str] = {}
    contradicted: dict[tuple[str, str], None] = {}
    problems = []
    any_known = pl.any_horizontal(pl.col(flag).is_not_null() for flag in STREAMS) & pl.col("content_id").is_not_null()
    for row in inventory.filter(any_known).sort("uri").select("content_id", "uri", *STREAMS, *STREAMS.values()).iter_rows(named=True):
        own = found.setdefault(row["content_id"], {})
        for flag, spans in STREAMS.items():
            if row[flag] is None:
                continue
            known = Known(row[flag], None if row[spans] is None else tuple((float(start), float(end)) for start, end in row[spans]))
            first = own.setdefault(flag, known)
            who = told_by.setdefault((row["content_id"], flag), row["uri"])
            if first != known:
                contradicted[row["content_id"], flag] = None
                problems.append((row["uri"], f"{flag}: the same bytes as {who}, of which something else is said; neither is taken"))
    for content_id, flag in contradicted:
        del found[content_id][flag]
    return found, problems


def run(labels: pa.Table, truth: ContentTruth, rule: FrameRule = "exact") -> pa.Table:
    """Rows of LABELS.

    Args:
        labels: rows of STORED_LABELS; other columns are left out.
        truth: of `by_content`.
        rule: which frames of a span are fake; see `TruthFrames.fake`.
    """
    fake = {flag: np.zeros(labels.num_rows, np.bool_) for flag in STREAMS}
    unknown = {flag: np.ones(labels.num_rows, np.bool_) for flag in STREAMS}
    pts_us, frame_index = (labels[name].to_numpy().astype(np.int64) for name in ("pts_us", "frame_index"))
    names = labels["content_id"].combine_chunks().dictionary_encode()
    codes = names.indices.to_numpy(zero_copy_only=False)
    for code, content_id in enumerate(names.dictionary.to_pylist()):
        if not (streams := truth.get(content_id)):
            continue
        own = np.flatnonzero(codes == code)
        for flag, known in streams.items():
            if (frames := known.frames(pts_us[own], frame_index[own], rule)) is not None:
                fake[flag][own], unknown[flag][own] = frames, False
    stored = [labels[field.name].cast(field.type) for field in STORED_LABELS]
    return pa.table([*stored, *(pa.array(fake[flag], mask=unknown[flag]) for flag in STREAMS)], schema=LABELS)
