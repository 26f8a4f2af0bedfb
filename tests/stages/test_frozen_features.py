from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from fauforensics import ReferenceFauForensics
from schemas.params import FauParams
from stages import frozen_features
from stages.contract import as_frame
from stages.frozen_features import FrozenFeatures
from stages.network_input import feature_matrix
from stages.tokens import ReferenceTokens
from tests.stages.test_score import faces
from tests.stages.test_tokens import small

__all__ = ["small"]  # a fixture
PARAMS = FauParams(embedding="me-graphau", device="cpu", batch_faces=8)
KEYS = ["content_id", "track", "tick"]


@pytest.fixture
def stage(small: ReferenceFauForensics, monkeypatch: pytest.MonkeyPatch) -> FrozenFeatures:
    monkeypatch.setattr(frozen_features, "load_trunk", lambda path, px: copy.deepcopy(small.fau_encoder))
    return FrozenFeatures(PARAMS, Path("unused"))


def numbered(rows: pa.Table, frame_index: list[int]) -> pa.Table:
    where = rows.schema.get_field_index("frame_index")
    return rows.set_column(where, rows.schema.field(where), pa.array(frame_index, pa.int32()))


def test_scoring_reads_what_it_would_have_computed(small: ReferenceFauForensics, stage: FrozenFeatures) -> None:
    ticks = [t for t in range(28) if t not in {9, 20}]  # a tick without the face is a blank frame to the trunk
    seen, units = faces("a", ticks)
    kept = stage(numbered(seen, ticks))
    rows = as_frame(seen).select(*KEYS, "crop").join(as_frame(units), on=KEYS)
    joined = rows.join(as_frame(kept), on=KEYS, how="left", maintain_order="left")
    with torch.inference_mode():
        computed = ReferenceTokens(small, "cpu").of_track(rows, 0)[1]([0, 3])
        small.fau_encoder.per_tick, own = None, small.fau_encoder.per_tick  # type: ignore[method-assign,assignment]
        try:
            read = ReferenceTokens(small, "cpu").of_track(joined, 0)[1]([0, 3])
        finally:
            small.fau_encoder.per_tick = own  # type: ignore[method-assign]
    for a, b in zip(computed, read, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_a_repeated_frame_is_looked_at_once(stage: FrozenFeatures, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    look = stage._look
    monkeypatch.setattr(stage, "_look", lambda crops: (looked.append(len(crops)), look(crops))[1])
    seen, _ = faces("a", list(range(12)))
    frames = [0, 0, *range(1, 11)]
    found = feature_matrix(as_frame(stage(numbered(seen, frames))))
    assert looked == [8, 3] and found.shape == (12, 512)
    np.testing.assert_array_equal(found[0], found[1])
    assert len(np.unique(found, axis=0)) == 11


def test_no_faces_no_rows(stage: FrozenFeatures) -> None:
    seen, _ = faces("a", [0])
    kept = stage(numbered(seen, [0]).slice(0, 0))
    assert kept.num_rows == 0 and kept.column_names == [*KEYS, "features"]


def test_a_null_feature_is_nan() -> None:
    columns = {"content_id": ["a"] * 3, "track": [0] * 3, "tick": [0, 1, 2], "features": [[1.0, 2.0], None, [3.0, 4.0]]}
    found = feature_matrix(as_frame(pa.table(columns)))
    np.testing.assert_array_equal(found, [[1, 2], [np.nan, np.nan], [3, 4]])
