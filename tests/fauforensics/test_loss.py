from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from fauforensics.loss import WEIGHTS, three_head_loss

LOGITS = {head: torch.randn(4, 2, generator=torch.Generator().manual_seed(seed)) for seed, head in enumerate(WEIGHTS)}
LABELS = {"total": torch.tensor([1, 1, 0, 1]), "audio": torch.tensor([0, 1, 0, 0]), "visual": torch.tensor([1, 0, 0, 1])}


def test_is_the_published_sum() -> None:
    expected = sum(
        weight * F.cross_entropy(LOGITS[head], LABELS[head]) for head, weight in (("total", 0.8), ("audio", 0.1), ("visual", 0.1))
    )
    torch.testing.assert_close(three_head_loss(LOGITS, LABELS), expected)


def test_starts_at_ln_2_when_the_network_says_nothing() -> None:
    assert float(three_head_loss({head: torch.zeros(4, 2) for head in WEIGHTS}, LABELS)) == pytest.approx(math.log(2))


def test_a_head_that_can_not_know_adds_nothing_and_gets_no_gradient() -> None:
    audio = LOGITS["audio"].clone()
    audio[1:] = float("nan")
    logits = LOGITS | {"audio": audio.requires_grad_()}
    loss = three_head_loss(logits, LABELS, {"audio": torch.tensor([True, False, False, False])})
    loss.backward()
    alone = {"audio": 0.1 * F.cross_entropy(LOGITS["audio"][:1], LABELS["audio"][:1])}
    rest = three_head_loss({h: LOGITS[h] for h in ("total", "visual")}, LABELS)
    torch.testing.assert_close(loss.detach(), rest + alone["audio"])
    nothing = three_head_loss(LOGITS, LABELS, {head: torch.zeros(4, dtype=torch.bool) for head in WEIGHTS})
    assert float(nothing) == 0.0


def test_no_head_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="no head to train"):
        three_head_loss({}, LABELS)
