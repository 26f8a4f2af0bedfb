"""Reference scoring of one face track: as the pipeline does it, beside the plain network window by window, in one run.

Writes reference_scoring.json. Both see the same crops and sound, of made pixels; the weights are random, which costs what trained ones
cost. CPU time of one thread is counted, so that what else runs on the machine drops out but for its share of memory and cache.
    python benchmarks/reference_scoring.py [--ticks 45]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import cv2
import numpy as np
import polars as pl
import torch
from torch import Tensor

from fauforensics import ReferenceFauForensics, build
from fauforensics.reference import IMAGENET_MEAN, IMAGENET_STD, PICTURE_PX
from schemas.au import AU_NAMES
from stages.network_input import track_input
from stages.tokens import ReferenceTokens
from stages.windows import window_starts

HERE = Path(__file__).parent
STRIDE_TICKS, WINDOW_TICKS = 5, 25
_R = TypeVar("_R")


def timed(work: Callable[[], _R]) -> tuple[float, _R]:
    """Seconds of CPU, and the answer."""
    start = time.process_time()
    answer = work()
    return time.process_time() - start, answer


def made_track(ticks: int) -> pl.DataFrame:
    """Noise that moves, as stored crops."""
    rng = np.random.default_rng(0)
    base = cv2.resize(rng.integers(0, 255, (20, 20, 3), np.uint8), (200, 200), interpolation=cv2.INTER_CUBIC)
    crops = [cv2.imencode(".jpg", base[t % 40 : t % 40 + 160, :160])[1].tobytes() for t in range(ticks)]
    return pl.DataFrame({"tick": range(ticks), "crop": crops} | {name: [0.0] * ticks for name in AU_NAMES})


def naive(net: ReferenceFauForensics, track: pl.DataFrame, starts: list[int], hops: Tensor) -> Tensor:
    """The network as published: every window from its pixels and its sound. (N, 2): logits of the total and the visual head."""
    crops = torch.from_numpy(track_input(track, 0, PICTURE_PX, 140 / 160).crops).float() / 255
    mean, std = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    video = ((crops - mean) / std).transpose(0, 1)
    answers = [net(video[None, :, s : s + WINDOW_TICKS], hops[None, None, 4 * s : 4 * s + 100]) for s in starts]
    return torch.stack([torch.cat([answer["total"].logit, answer["visual"].logit]) for answer in answers])


def pipeline(net: ReferenceFauForensics, track: pl.DataFrame, starts: list[int], hops: Tensor) -> Tensor:
    """As `stages/score.py`: the trunk once a tick, then windows. (N, 2)."""
    video = torch.stack(ReferenceTokens(net, "cpu").of_track(track, 0)[1](starts))
    sound = torch.cat([net.encode_audio(hops[None, None, 4 * s : 4 * s + 100]) for s in starts])
    answer = net.judge(video, sound)
    return torch.stack([answer["total"].logit, answer["visual"].logit], 1).float()


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=45, help="length of the track; 45 has 5 windows")
    ticks = parser.parse_args().ticks
    torch.set_num_threads(1)
    torch.manual_seed(0)
    plain = build("reference").eval().requires_grad_(False)
    track, starts = made_track(ticks), window_starts(ticks, STRIDE_TICKS).tolist()
    hops = torch.rand(4 * ticks, 80) * 2 - 1
    with torch.inference_mode():
        plain(torch.randn(1, 3, WINDOW_TICKS, 112, 112), hops[None, None, :100])  # the first pass sets things up
        naive_s, expected = timed(lambda: naive(plain, track, starts, hops))
        once_s, once = timed(lambda: pipeline(plain, track, starts, hops))
        with torch.autocast("cpu", torch.bfloat16):
            half_s, half = timed(lambda: pipeline(plain, track, starts, hops))
    scale = float(expected.abs().max())
    result = {
        "what": f"one track of {ticks} ticks ({ticks / 25:g} s), {len(starts)} windows at stride {STRIDE_TICKS}, CPU seconds of one thread",
        "cpu": f"bfloat16 in hardware: {'yes' if torch.cpu._is_avx512_bf16_supported() else 'no'}",
        "largest |logit|": round(scale, 4),
        "window by window (plain network)": {"cpu_s": round(naive_s, 2)},
        "trunk once a tick (what the pipeline does, float32)": row(once_s, once, expected, naive_s),
        "and bfloat16 (score.precision: bfloat16)": row(half_s, half, expected, naive_s),
    }
    (HERE / "reference_scoring.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


def row(seconds: float, answers: Tensor, expected: Tensor, naive_s: float) -> dict[str, float]:
    """Time, gain, and how far the logits are from the plain network's."""
    apart = float((answers - expected).abs().max())
    return {"cpu_s": round(seconds, 2), "times faster": round(naive_s / seconds, 2), "max |logit difference|": float(f"{apart:.2g}")}


if __name__ == "__main__":
    main()
