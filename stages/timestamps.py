"""Timestamps: presentation times that increase, from containers that lie about them or have none."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import av

from schemas.reasons import Reason
from stages.damage import Damage

_JUMP = 1.5  # of the last distance: a frame so far off is the odd one, not the frame after it

Decoded = tuple[int, av.VideoFrame, int | None]


class InOrder:
    """Lets frames pass whose times increase, one frame late, and remembers what it left out."""

    def __init__(self) -> None:
        self._times: list[int] = []
        self._left_out: list[tuple[int, int | None]] = []  # (index that the frame would have had, its time)

    def of(self, frames: Iterator[Decoded]) -> Iterator[tuple[int, av.VideoFrame, int]]:
        """(packet, picture, time in microseconds) in order. Of two frames that contradict each other, the one that jumps is left out."""
        held: tuple[int, av.VideoFrame, int] | None = None
        for packet, picture, time in frames:
            if time is None or (self._times and time <= self._times[-1]):
                self._left_out.append((len(self._times), time))
                continue
            if held is not None and time <= held[2]:
                if not self._jumps(held[2]):
                    self._left_out.append((len(self._times), time))
                    continue
                self._left_out.append((len(self._times), held[2]))
            elif held is not None:
                self._times.append(held[2])
                yield held
            held = packet, picture, time
        if held is not None:
            self._times.append(held[2])
            yield held

    def judge(self, damage: Damage) -> None:
        """A row for what was left out, and the frames that it contradicts: where as many go back
        to before some frames as there are of these, nobody can say which are right."""
        if not self._left_out:
            return
        for index, group in groupby(self._left_out, key=lambda one: one[0]):
            back = [time for _, time in group if time is not None]
            near = range(min(index, len(self._times) - 1), max(index - 1 - len(back), -1), -1)
            contradicted = [i for i in near if back and self._times[i] >= min(back)]
            if len(contradicted) <= len(back):
                damage.spoiled.update(dict.fromkeys(contradicted, Reason.NON_MONOTONE_PTS))
        places = [index for index, _ in self._left_out]
        last = max(len(self._times) - 1, 0)
        detail = f"{len(places)} frames left out"
        damage.failures.append((Reason.NON_MONOTONE_PTS, min(*places, last), min(max(places), last), detail))

    def _jumps(self, time: int) -> bool:
        if len(self._times) < 2:
            return False
        return time - self._times[-1] > _JUMP * (self._times[-1] - self._times[-2])


class Ranks:
    """Times where the container has none and the codec reorders (H.264 in AVI): the k-th frame shown has the time of the k-th packet.

    After a loss the count is set right at the next key frame.
    """

    def __init__(self) -> None:
        self._times: list[int | None] = []
        self._shown = 0

    def packet(self, pts_us: int | None) -> None:
        """The next packet in decoding order."""
        self._times.append(pts_us)

    def shown(self, packet: int, is_key: bool) -> int | None:
        """The time of the next frame that is shown, which came from this packet."""
        rank = max(self._shown, packet) if is_key else self._shown
        self._shown = rank + 1
        return self._times[rank] if rank < len(self._times) else None
