"""Spans: where in a clip it is forged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from schemas.recipe import SpanParams
from stages.forge.audio_kinds import Span
from stages.forge.footage import runs

_MIN_GAP_S = 0.2
_MOST_OF_CLIP = 0.6  # more than this is no span any more
_DRAWS = 8


def draw_spans(allowed: list[Span], params: SpanParams, rng: Generator, liking: Callable[[Span], float] | None = None) -> list[Span]:
    """One to `max_count` spans, sorted, apart from each other, inside the allowed stretches.

    Args:
        allowed: seconds; stretches too short for any span are passed over.
        params: lengths and number.
        rng: draws them.
        liking: of some draws for each span the best-liked one is kept; speech is better than silence.
    """
    total = sum(end - start for start, end in allowed)
    count = 1 + int(rng.integers(params.max_count)) if total > 3 * params.max_s else 1 + int(rng.random() < 0.25)
    spans: list[Span] = []
    for _ in range(min(count, params.max_count)):
        longest = min(params.max_s, _MOST_OF_CLIP * total - sum(b - a for a, b in spans))
        draws = [_draw(allowed, spans, params.min_s, longest, rng) for _ in range(_DRAWS)]
        fitting = [span for span in draws if span is not None]
        if not fitting:
            break
        spans.append(max(fitting, key=liking) if liking is not None else fitting[0])
    return sorted(spans)


def _draw(allowed: list[Span], taken: list[Span], shortest: float, longest: float, rng: Generator) -> Span | None:
    if longest < shortest:
        return None
    length = float(rng.uniform(shortest, longest))
    room = [(start, end - length) for start, end in allowed if end - start >= length]
    if not room:
        return None
    weights = np.array([high - low + 1e-6 for low, high in room])
    low, high = room[int(rng.choice(len(room), p=weights / weights.sum()))]
    start = float(rng.uniform(low, high))
    clear = all(start + length + _MIN_GAP_S <= a or start >= b + _MIN_GAP_S for a, b in taken)
    return (start, start + length) if clear else None


def frames_in(spans: list[Span], pts_us: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(F,) whether a frame begins inside a span."""
    times = pts_us / 1e6
    inside = np.zeros(len(times), bool)
    for start, end in spans:
        inside |= (times >= start) & (times < end)
    return inside


def spans_of(chosen: NDArray[np.bool_], pts_us: NDArray[np.int64], duration_s: float) -> list[Span]:
    """The spans that chosen frames cover: from each first frame to the next frame that is not chosen."""
    times = [*(pts_us / 1e6).tolist(), duration_s]
    return [(times[start], times[stop]) for start, stop in runs(chosen)]
