from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.au import AU_NAMES
from schemas.tables import FACES, FAU
from stages.compare import match, run

KEY = ["content_id", "track", "tick"]


def faces(*rows: tuple[int, int, tuple[float, float, float, float]], content_id: str = "a") -> pl.DataFrame:
    """track, tick, box."""
    empty = pl.DataFrame(FACES.empty_table())
    full = [{"content_id": content_id, "track": t, "tick": k, "frame_index": k, "box": list(box)} for t, k, box in rows]
    return pl.DataFrame([{name: row.get(name) for name in empty.columns} for row in full], schema=empty.schema)


def units(seen: pl.DataFrame, **values: list[float | None]) -> pl.DataFrame:
    """Rows of FAU for faces; action units that are not named are null."""
    empty = pl.DataFrame(FAU.empty_table())
    columns = {name: seen[name] for name in KEY} | {au: values.get(au, [None] * seen.height) for au in AU_NAMES}
    return pl.DataFrame(columns, schema=empty.schema)


BOX = (10.0, 10.0, 30.0, 30.0)
NEAR = (12.0, 10.0, 32.0, 30.0)
FAR = (100.0, 100.0, 120.0, 120.0)


def test_a_backend_agrees_with_itself() -> None:
    seen = faces(*((0, k, BOX) for k in range(5)))
    wave = [0.1, 0.4, 0.2, 0.9, 0.3]
    result = run(seen, units(seen, AU12=wave), seen, units(seen, AU12=wave))
    assert result["faces"] == {"a": 5, "b": 5, "matched": 5, "recall_of_a": 1.0, "recall_of_b": 1.0, "mean_iou": 1.0}
    assert result["aus"].keys() == {"AU12"}
    assert result["aus"]["AU12"]["pearson"] == pytest.approx(1) and result["aus"]["AU12"]["mean_abs_diff"] == 0


def test_correlation_and_difference_are_those_of_numpy() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.random(40).astype(np.float32), rng.random(40).astype(np.float32)
    seen = faces(*((0, k, BOX) for k in range(40)))
    row = run(seen, units(seen, AU01=a.tolist()), seen, units(seen, AU01=b.tolist()))["aus"]["AU01"]
    assert row["pearson"] == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-5)
    assert row["mean_abs_diff"] == pytest.approx(np.abs(a - b).mean(), abs=1e-5)
    assert (row["mean_a"], row["mean_b"]) == (pytest.approx(a.mean(), abs=1e-5), pytest.approx(b.mean(), abs=1e-5))


def test_a_face_that_one_side_misses_counts_against_its_recall() -> None:
    a, b = faces((0, 0, BOX), (0, 1, BOX), (1, 1, FAR)), faces((4, 0, NEAR), (4, 2, NEAR))
    found = run(a, units(a), b, units(b))["faces"]
    assert (found["matched"], found["recall_of_a"], found["recall_of_b"]) == (1, pytest.approx(1 / 3, abs=1e-6), 0.5)


def test_boxes_pair_only_when_each_is_the_others_best() -> None:
    closest = (11.0, 10.0, 31.0, 30.0)
    pairs = match(faces((0, 0, BOX)), faces((7, 0, NEAR), (8, 0, closest)))
    assert pairs.select("track_a", "track_b").rows() == [(0, 8)]
    assert match(faces((0, 0, BOX)), faces((7, 0, FAR))).is_empty()


def test_the_same_box_twice_pairs_once() -> None:
    pairs = match(faces((0, 0, BOX), (1, 0, BOX)), faces((0, 0, BOX), (1, 0, BOX)))
    assert pairs["track_a"].is_unique().all() and pairs["track_b"].is_unique().all()


def test_faces_of_different_videos_or_frames_do_not_meet() -> None:
    assert match(faces((0, 0, BOX)), faces((0, 0, BOX), content_id="b")).is_empty()
    shifted = faces((0, 0, BOX)).with_columns(frame_index=pl.lit(1, pl.Int32))
    assert match(faces((0, 0, BOX)), shifted).is_empty()


def test_what_can_not_be_computed_is_null() -> None:
    seen = faces(*((0, k, BOX) for k in range(4)))
    result = run(seen, units(seen, AU01=[0.5] * 4, AU02=[0.1, 0.2, 0.3, 0.4]), seen, units(seen, AU01=[0.1, 0.2, 0.3, 0.4]))["aus"]
    assert result["AU01"]["pearson"] is None and result["AU01"]["mean_abs_diff"] == pytest.approx(0.25, abs=1e-6)
    assert result["AU02"] == {"pairs": 0, "pearson": None, "mean_abs_diff": None, "mean_a": None, "mean_b": None}
    none = faces()
    empty = run(none, units(none), none, units(none))
    assert empty["faces"] == {"a": 0, "b": 0, "matched": 0, "recall_of_a": None, "recall_of_b": None, "mean_iou": None}


boxes = st.tuples(*(st.integers(0, 12) for _ in range(4))).map(lambda v: (v[0], v[1], v[0] + v[2] + 1, v[1] + v[3] + 1))


@settings(max_examples=30, deadline=None)
@given(st.lists(boxes, max_size=4), st.lists(boxes, max_size=4))
def test_no_face_is_in_two_pairs_and_sides_are_alike(a: list[tuple[int, ...]], b: list[tuple[int, ...]]) -> None:
    first, second = (faces(*((i, 0, tuple(map(float, box))) for i, box in enumerate(side))) for side in (a, b))
    there, back = match(first, second), match(second, first)
    assert there["track_a"].n_unique() == there["track_b"].n_unique() == there.height == back.height
    assert (there["iou"] >= 0.5).all() and (there["iou"] <= 1).all()
