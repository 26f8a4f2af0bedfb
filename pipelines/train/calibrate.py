"""Calibrate: from logits of validation speakers to probabilities and the two label thresholds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fauforensics.checkpoint_info import Calibration
from pipelines.train.dataset import HEADS
from pipelines.train.validate import Judged
from stages.metrics.calibration import fit_scale, fit_thresholds, probability

_REAL_CALLED_FAKE = 0.02  # share of real frames over the threshold, of the person for whom it is worst


def calibrate(judged: Sequence[Judged]) -> Calibration:
    """Platt scaling of each head, fakes and real frames weighing the same, and thresholds for the total probability.

    `fake_above` holds for the validation speaker who comes out worst: what a detector says of people it has not seen
    differs from one to the next, and a threshold for their mean lets whole videos of some of them go wrong.
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
    fake_above, real_below = 0.5, 0.5
    for person in sorted({str(j.clip.truth.identity) for j in judged if j.clip.is_real}):
        own = [j for j in judged if head in j.logits and (not j.clip.is_real or str(j.clip.truth.identity) == person)]
        p = np.concatenate([probability(j.logits[head], scale[head], shift[head]) for j in own])
        truth = np.concatenate([j.clip.fake[head] for j in own])
        if truth.all():
            continue
        found = fit_thresholds(p, truth, real_called_fake=_REAL_CALLED_FAKE)
        fake_above, real_below = max(fake_above, found.fake_above), min(real_below, found.real_below)
    return Calibration(scale, shift, round(fake_above, 4), round(min(real_below, fake_above), 4))
