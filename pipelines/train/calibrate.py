"""Calibrate: from logits of validation speakers to probabilities and the two label thresholds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fauforensics.checkpoint_info import Calibration
from pipelines.train.dataset import HEADS
from pipelines.train.validate import Judged
from stages.metrics.calibration import fake_above_for_strangers, fit_scale, fit_thresholds, probability

_REAL_CALLED_FAKE = 0.02  # share of a person's real frames that may get the label fake


def calibrate(judged: Sequence[Judged]) -> Calibration:
    """Platt scaling of each head, fakes and real frames weighing the same, and thresholds for the total probability.

    What a detector says of people it has not seen differs from one to the next, and a threshold for their mean lets whole
    videos of some of them go wrong: `fake_above` is meant for the next person, `real_below` is that of the worst one here.
    """
    scale: dict[str, float] = {}
    shift: dict[str, float] = {}
    for head in HEADS:
        used = [j for j in judged if head in j.logits and j.clip.asked[head]]
        if not used:
            scale[head], shift[head] = 1.0, 0.0
            continue
        logits = np.concatenate([j.logits[head] for j in used])
        truth = np.concatenate([j.clip.fake[head] for j in used])
        scale[head], shift[head] = fit_scale(logits, truth, balanced=True) if truth.any() and not truth.all() else (1.0, 0.0)
    head = "total" if any("total" in j.logits for j in judged) else "visual"
    real: dict[str, list[NDArray[np.float64]]] = {}
    real_below = 0.5
    for person in sorted({str(j.clip.truth.identity) for j in judged}):
        own = [j for j in judged if head in j.logits and str(j.clip.truth.identity) == person]
        p = [probability(j.logits[head], scale[head], shift[head]) for j in own]
        if clips := [values for values, j in zip(p, own, strict=True) if j.clip.is_real]:
            real[person] = clips
        fake = [j.clip.fake[head] for j in own]
        if own and any(f.any() for f in fake) and not all(f.all() for f in fake):
            found = fit_thresholds(np.concatenate(p), np.concatenate(fake))
            real_below = min(real_below, found.real_below)
    fake_above = fake_above_for_strangers(real, real_below, _REAL_CALLED_FAKE)
    return Calibration(scale, shift, round(fake_above, 4), round(min(real_below, fake_above), 4))
