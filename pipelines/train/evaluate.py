"""Evaluate: calibration on validation speakers, and figures on held-out ones, as frames would be labelled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fauforensics import FauForensics
from fauforensics.checkpoint import Calibration
from fauforensics.frontend import NUM_MELS, normalise
from pipelines.train.clips import Clip
from pipelines.train.forgeries import KINDS, Example, make_example
from schemas.timebase import WINDOW_TICKS
from stages.hysteresis import moving_average
from stages.network_input import crops_to_unit
from stages.windows import window_starts

HEADS = ("total", "visual", "audio")
_TICKS = 74  # three seconds: what the shortest clips have
_REPEATS = 6
_STRIDE, _SMOOTH = 5, 5
_BOOTSTRAPS = 500
_REAL_FRAMES_CALLED_FAKE = 0.02


def examples(clips: Sequence[Clip], kind: str, seed: int, repeats: int = _REPEATS) -> list[Example]:
    """Forgeries of every clip, long ones in proportion."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    return [
        make_example(clip, [c for c in clips if c is not clip], kind, _TICKS, rng)
        for clip in clips
        for _ in range(repeats * max(1, clip.ticks // _TICKS))
    ]


def tick_logits(net: FauForensics, example: Example) -> dict[str, NDArray[np.float64]]:
    """(T,) smoothed mean logit of the windows that cover each tick, for every head, as the label stage does it."""
    db = torch.from_numpy(example.db).reshape(1, -1, NUM_MELS)
    log_mel = normalise(db, torch.quantile(db.amax(2), 0.99))
    with torch.inference_mode():
        video = net.encode_video(crops_to_unit(torch.from_numpy(example.crops))[None], torch.from_numpy(example.aus)[None])[0]
        audio = net.encode_audio(log_mel)[0]
        starts = window_starts(len(video), _STRIDE).tolist()
        seen, heard = (torch.stack([tokens[s : s + WINDOW_TICKS] for s in starts]) for tokens in (video, audio))
        answers = net.judge(seen, heard)
    pooled = {}
    for head in HEADS:
        total, count = np.zeros(len(video)), np.zeros(len(video))
        for start, logit in zip(starts, answers[head].logit.tolist(), strict=True):
            total[start : start + WINDOW_TICKS] += logit
            count[start : start + WINDOW_TICKS] += 1
        pooled[head] = moving_average(total / count, _SMOOTH)
    return pooled


def calibrate(net: FauForensics, clips: Sequence[Clip]) -> Calibration:
    """Platt scaling of each head on ticks of validation speakers (half of them real), and the two label thresholds.

    `fake_above` is where 2 % of the real ticks' total probabilities lie above; `real_below` is 0.5.
    """
    scale, shift = {}, {}
    real_p = np.zeros(0)
    for head in HEADS:
        logits, truth = [], []
        for kind in KINDS:
            for example in examples(clips, kind, seed=11, repeats=6 * (len(KINDS) - 1) if kind == "real" else 6):
                if head == "audio" and not example.audio_known:
                    continue
                logits.append(tick_logits(net, example)[head])
                truth.append(getattr(example, f"fake_{head}"))
        scale[head], shift[head] = _platt(np.concatenate(logits), np.concatenate(truth))
        if head == "total":
            p = 1 / (1 + np.exp(-(scale[head] * np.concatenate(logits) + shift[head])))
            real_p = p[~np.concatenate(truth)]
    fake_above = float(np.clip(np.quantile(real_p, 1 - _REAL_FRAMES_CALLED_FAKE), 0.55, 0.95))
    return Calibration(scale, shift, round(fake_above, 3), 0.5)


def _platt(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    x, y = torch.tensor(logits), torch.tensor(truth, dtype=torch.float64)
    weight = torch.where(y > 0, 0.5 / y.mean().clamp(min=1e-6), 0.5 / (1 - y.mean()).clamp(min=1e-6))
    # log of the scale, so that a head that learnt nothing ends up flat and never upside down
    parameters = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([parameters], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        p = torch.exp(parameters[0].clamp(-6, 3)) * x + parameters[1]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(p, y, weight)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return round(float(torch.exp(parameters[0].clamp(-6, 3)).detach()), 6), round(float(parameters[1].detach()), 6)


def figures(net: FauForensics, clips: Sequence[Clip], calibration: Calibration) -> dict[str, Any]:
    """Frame AUC of each forgery kind against real frames, with 95 % bootstrap intervals over examples.

    A forged example's own pristine ticks are not counted: they lie beside fake ones, and a window sees both.
    """
    logits = {kind: [(tick_logits(net, e), e) for e in examples(clips, kind, seed=23)] for kind in KINDS}
    shown: dict[str, Any] = {}
    for head in HEADS:
        real = [answer[head] for answer, _ in logits["real"]]
        for kind in KINDS[1:]:
            fake = [a[head][getattr(e, f"fake_{head}")] for a, e in logits[kind] if head != "audio" or e.audio_known]
            fake = [f for f in fake if len(f)]
            if fake:
                shown[f"{head} {kind}"] = _auc_with_interval(real, fake)
    real_logits = np.concatenate([answer["total"] for answer, _ in logits["real"]])
    p_real = 1 / (1 + np.exp(-(calibration.scale["total"] * real_logits + calibration.shift["total"])))
    shown["real frames above fake_above"] = round(float((p_real >= calibration.fake_above).mean()), 4)
    shown["examples of each kind"] = len(logits["real"])
    return shown


def _auc_with_interval(real: list[NDArray[np.float64]], fake: list[NDArray[np.float64]]) -> dict[str, float]:
    rng = np.random.default_rng(0)

    def again(parts: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.concatenate([parts[i] for i in rng.integers(len(parts), size=len(parts))])

    draws = [_auc(again(real), again(fake)) for _ in range(_BOOTSTRAPS)]
    low, high = np.percentile(draws, [2.5, 97.5])
    return {"auc": round(_auc(np.concatenate(real), np.concatenate(fake)), 3), "low": round(float(low), 3), "high": round(float(high), 3)}


def _auc(real: NDArray[np.float64], fake: NDArray[np.float64]) -> float:
    """Probability that a fake frame scores above a real one; ties count half."""
    order = np.sort(real)
    below = np.searchsorted(order, fake, "left")
    not_above = np.searchsorted(order, fake, "right")
    return float((below + not_above).mean() / (2 * len(real)))
