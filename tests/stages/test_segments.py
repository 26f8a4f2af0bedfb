from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from schemas.params import SegmentParams
from schemas.tables import LABELS
from stages.contract import as_frame
from stages.segments import run

FRAME_US = 40_000


def labels(p_total: list[float | None], track: int = 0, p_audio: list[float | None] | None = None) -> pl.DataFrame:
    n = len(p_total)
    frame = pl.DataFrame(
        {
            "content_id": ["a"] * n,
            "track": [track] * n,
            "frame_index": list(range(n)),
            "pts_us": [i * FRAME_US for i in range(n)],
            "p_total": p_total,
            "p_audio": p_audio or [None] * n,
            "p_visual": [0.1] * n,
            "provenance_id": ["p"] * n,
        },
        strict=False,
    )
    types = as_frame(LABELS.empty_table()).schema
    return frame.select((pl.col(n) if n in frame.columns else pl.lit(None)).cast(t).alias(n) for n, t in types.items())


def spans(frame: pl.DataFrame, **params: int) -> list[tuple[str, float, float]]:
    rows = run(frame, SegmentParams(**params), 0.8, 0.5).rows.to_pylist()
    return [(r["modality"], r["start_s"], r["end_s"]) for r in rows]


def test_a_run_of_fake_frames_is_a_span() -> None:
    frame = labels([0.1] * 10 + [0.9] * 10 + [0.1] * 5)
    assert spans(frame) == [("total", 0.4, 0.8)]
    score = run(frame, SegmentParams(), 0.8, 0.5).rows["score"][0].as_py()
    assert score == pytest.approx(0.9, abs=1e-3)


def test_bridges_a_gap_shorter_than_max_gap() -> None:
    frame = labels([0.9] * 10 + [0.1] * 5 + [0.9] * 10)
    assert spans(frame, max_gap_ms=200) == [("total", 0.0, 1.0)]
    assert spans(frame, max_gap_ms=199) == [("total", 0.0, 0.4), ("total", 0.6, 1.0)]


def test_drops_a_span_shorter_than_min_length() -> None:
    frame = labels([0.1] * 5 + [0.9] * 4 + [0.1] * 5)
    assert spans(frame, min_length_ms=161) == []
    assert spans(frame, min_length_ms=160) == [("total", 0.2, 0.36)]


def test_sound_belongs_to_the_video_and_is_counted_once() -> None:
    frame = pl.concat([labels([0.1] * 10, t, [0.9] * 10) for t in (0, 1)])
    rows = run(frame, SegmentParams(), 0.8, 0.5).rows.to_pylist()
    assert [(r["modality"], r["track"]) for r in rows] == [("audio", None)]


def test_unknown_frames_end_a_span() -> None:
    frame = labels([0.9] * 10 + [None] * 20 + [0.9] * 10)
    assert spans(frame) == [("total", 0.0, 0.4), ("total", 1.2, 1.6)]


def test_no_labels_no_segments() -> None:
    assert run(as_frame(LABELS.empty_table()), SegmentParams(), 0.8, 0.5).rows.num_rows == 0


def test_order_of_rows_does_not_matter() -> None:
    frame = pl.concat([labels(list(np.random.default_rng(i).random(60)), i) for i in range(3)])
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=1)
    assert run(frame, SegmentParams(), 0.8, 0.5).rows.equals(run(shuffled, SegmentParams(), 0.8, 0.5).rows)
