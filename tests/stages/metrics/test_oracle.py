"""`upstream` against the scorer of AV-Deepfake1M itself, for whoever has it.

The package (avdeepfake1m 0.0.4) is CC BY-NC and wants numpy < 2, so it is no dependency and never will be. Its compiled part
stands alone: unpack the wheel anywhere (`pip download --no-deps avdeepfake1m==0.0.4`) and set AVDEEPFAKE1M_SO to its `.so`.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.metrics import average_precision_at_iou, average_recall_at_k
from stages.metrics.temporal import AR_THRESHOLDS
from tests.stages.metrics.test_temporal import A_TRUTH, A, Predictions, Truth

SCORER = os.environ.get("AVDEEPFAKE1M_SO")
pytestmark = pytest.mark.skipif(not SCORER, reason="AVDEEPFAKE1M_SO is not set")

THRESHOLDS, COUNTS = (0.5, 0.75, 0.95), (1, 2, 3, 10)


@pytest.fixture(scope="module")
def scorer() -> Any:
    spec = importlib.util.spec_from_file_location("_evaluation", str(SCORER))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def agree(scorer: Any, truth: Truth, predictions: Predictions, folder: Path) -> None:
    (folder / "truth.json").write_text(json.dumps([{"file": file, "spans": spans} for file, spans in truth]), encoding="utf-8")
    (folder / "predictions.json").write_text(json.dumps(predictions), encoding="utf-8")
    paths = str(folder / "predictions.json"), str(folder / "truth.json")
    theirs = scorer.ap_ar_1d(*paths, "file", "spans", 1.0, list(THRESHOLDS), list(COUNTS), list(AR_THRESHOLDS))
    for threshold, value in zip(THRESHOLDS, theirs["ap"].values(), strict=True):
        ours = average_precision_at_iou(truth, predictions, threshold, "upstream_float32")
        assert ours == pytest.approx(value, abs=2e-6) or (math.isnan(ours) and math.isnan(value))
    for k, value in theirs["ar"].items():
        assert average_recall_at_k(truth, predictions, k, "upstream_float32") == pytest.approx(value, abs=2e-6)


def test_vector_a(scorer: Any, tmp_path: Path) -> None:
    agree(scorer, A_TRUTH, A, tmp_path)


@pytest.mark.parametrize("on_grid", [False, True])
def test_random_cases(scorer: Any, tmp_path: Path, on_grid: bool) -> None:
    """On a grid of frames, ties, spans of no length and IoUs at a threshold are common."""
    rng = np.random.default_rng(int(on_grid))

    def span() -> list[float]:
        return sorted((rng.integers(0, 12, 2) / 25 if on_grid else rng.random(2)).tolist())

    for _ in range(500):
        truth, predictions = [], {}
        for name in map(str, range(rng.integers(1, 5))):
            truth.append((name, [span() for _ in range(rng.integers(0, 4))]))
            # Never an empty list: the scorer cannot read one from JSON.
            predictions[name] = [[round(rng.random(), 1 if on_grid else 9), *span()] for _ in range(rng.integers(1, 6))]
        agree(scorer, truth, predictions, tmp_path)
