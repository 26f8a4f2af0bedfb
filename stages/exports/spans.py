"""Spans: seconds joined, and frames told whether they lie in one."""

from __future__ import annotations

from collections.abc import Sequence

_TOUCH_S = 1e-6


def merged(spans: Sequence[Sequence[float]]) -> list[list[float]]:
    """The same seconds in as few spans as it takes, in order; neighbours that touch become one."""
    found: list[list[float]] = []
    for start, end in sorted((float(s), float(e)) for s, e in spans):
        if found and start <= found[-1][1] + _TOUCH_S:
            found[-1][1] = max(found[-1][1], end)
        else:
            found.append([start, end])
    return found


def holds(spans: Sequence[Sequence[float]], time_s: float) -> bool:
    """Whether a moment lies in one of the spans; ends are outside."""
    return any(start - _TOUCH_S <= time_s < end - _TOUCH_S for start, end in spans)
