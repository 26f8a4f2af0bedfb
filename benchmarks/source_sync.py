"""Do lips follow the sound in the real clips that forgeries were made of?  python benchmarks/source_sync.py FORGED LABELS

For each person, lips are predicted from sound by ridge regression fitted on all other people of the train split; no network of
ours takes part. The prediction is held against the lips at shifts of up to half a second: where sound and lips belong
together, the correlation peaks within a tick or two of shift 0. Writes source_sync.json.

FORGED is a folder that `fauscan forge` made, LABELS the workspace in which its clips have been through `faces`, `fau` and `audio`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from schemas.timebase import TICK_US
from schemas.truth import read_truth
from stages.inventory import content_id_of

HERE = Path(__file__).parent
LIPS = ("AU25", "AU26")  # lips part, jaw drop
CONTEXT_TICKS = 4
BANDS = 16
MAX_SHIFT_TICKS = 12
RIDGE = 300.0
FLOOR_DB = -100.0

Clip = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Lips (T, 2) and sound (T, bands times context), their means taken off."""


def clips_of(forged: Path, labels: Path) -> dict[tuple[str, str], list[Clip]]:
    """(split, identity): its controls."""
    who = {content_id_of(forged / row.file): (row.split, row.identity) for row in read_truth(forged) if row.forgery == "real"}
    fau = pl.scan_parquet(labels / "store" / "fau" / "**" / "fau.parquet").filter(pl.col("track") == 0).select("content_id", "tick", *LIPS)
    sound = pl.scan_parquet(labels / "store" / "audio" / "**" / "audio.parquet").select("content_id", "tick", "power_db")
    rows = fau.join(sound, on=["content_id", "tick"]).filter(pl.col("content_id").is_in(list(who))).unique(["content_id", "tick"]).collect()
    found: dict[tuple[str, str], list[Clip]] = {}
    for (content_id,), part in rows.sort("content_id", "tick").group_by("content_id", maintain_order=True):
        whole = part.drop_nulls()
        if whole.height < 2 * MAX_SHIFT_TICKS + 10:
            continue
        lips = whole.select(LIPS).to_numpy().astype(float)
        power = np.maximum(whole["power_db"].to_numpy().astype(float), FLOOR_DB).reshape(len(lips), -1, BANDS, 80 // BANDS).mean((1, 3))
        power -= power.mean(0)
        context = np.concatenate([np.roll(power, shift, 0) for shift in range(-CONTEXT_TICKS, CONTEXT_TICKS + 1)], 1)
        found.setdefault(who[str(content_id)], []).append((lips - lips.mean(0), context))
    return found


def fitted(clips: list[Clip]) -> NDArray[np.float64]:
    """Weights (inputs, lips) on sound in its own scale."""
    lips, sound = (np.concatenate([clip[i] for clip in clips]) for i in (0, 1))
    scale = sound.std(0) + 1e-6
    x = sound / scale
    weights: NDArray[np.float64] = np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ (lips / lips.std(0))) / scale[:, None]
    return weights


def correlations(clip: Clip, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2 * MAX_SHIFT_TICKS + 1,): at shift s, lips of tick t against what the sound of tick t + s predicts."""
    lips, predicted = clip[0], clip[1] @ weights
    shifted = [np.roll(predicted, -shift, 0) for shift in range(-MAX_SHIFT_TICKS, MAX_SHIFT_TICKS + 1)]
    return np.array([np.mean([np.corrcoef(s[:, i], lips[:, i])[0, 1] for i in range(len(LIPS))]) for s in shifted])


def main() -> None:
    """Measures and writes; without folders, says which it wants."""
    if len(sys.argv) != 3:
        print("nothing measured: give FORGED and LABELS (see the head of this file)")
        return
    clips = clips_of(Path(sys.argv[1]), Path(sys.argv[2]))
    people = []
    for (split, identity), own in sorted(clips.items()):
        others = [clip for (s, name), part in clips.items() if s == "train" and name != identity for clip in part]
        curve = np.nanmean([correlations(clip, fitted(others)) for clip in own], 0)
        best = int(curve.argmax())
        people.append(
            {
                "identity": identity,
                "split": split,
                "controls": len(own),
                "correlation_in_sync": round(float(curve[MAX_SHIFT_TICKS]), 3),
                "best_correlation": round(float(curve[best]), 3),
                "sound_is_late_by_ms": (best - MAX_SHIFT_TICKS) * TICK_US // 1000,
            }
        )
        print(people[-1])
    (HERE / "source_sync.json").write_text(json.dumps({"max_shift_ticks": MAX_SHIFT_TICKS, "people": people}, indent=1) + "\n")


if __name__ == "__main__":
    main()
