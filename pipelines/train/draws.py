"""Draws: which stretches make up a step. A function of seed, step and worker alone, so that a resumed run draws the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from pipelines.train.dataset import TrainClip
from schemas.train import TrainParams


@dataclass(frozen=True, slots=True)
class Draw:
    """A stretch of a clip: `start` is a place in the clip, not a tick of the video. Draws of one pair share their `variation`."""

    clip: TrainClip
    start: int
    variation: int


class Sampler:
    """Draws steps from the clips of one split.

    `pairs`: half of a batch are forgeries, kinds in equal shares, speakers by the square root of what they have; the
    other half are the real clips that they were made from, at the same time, shown under the same variation. What differs
    within a pair is the forgery alone. `uniform`: any clip, as the published recipe has it.
    """

    def __init__(self, clips: Sequence[TrainClip], params: TrainParams, *, pictures: bool = False) -> None:
        """With `pictures`, draws are single ticks of what was forged to the eye, `picture_batch` of them."""
        self._params = params
        if pictures:
            self._params = params.model_copy(update={"stretch_ticks": 1, "batch_clips": params.picture_batch})
            clips = [c for c in clips if c.is_real or (c.asked["visual"] and c.fake["visual"].any())]
        self._clips = list(clips)
        self._real = [c for c in clips if c.is_real]
        self._real_by_file: dict[str, list[TrainClip]] = defaultdict(list)
        for clip in self._real:
            self._real_by_file[clip.truth.file].append(clip)
        self._forged: dict[str, dict[str, list[TrainClip]]] = defaultdict(lambda: defaultdict(list))
        for clip in clips:
            if not clip.is_real:
                self._forged[clip.truth.forgery][clip.truth.identity or clip.truth.file].append(clip)
        self._kinds = sorted(self._forged)

    def __call__(self, step: int, worker: int) -> list[Draw]:
        """`batch_clips` draws for a step."""
        rng = np.random.default_rng([self._params.seed, step, worker])
        if self._params.sampling == "uniform":
            return [self._at(self._clips[int(rng.integers(len(self._clips)))], rng) for _ in range(self._params.batch_clips)]
        draws: list[Draw] = []
        while len(draws) < self._params.batch_clips:
            draws += self._pair(rng)
        return draws[: self._params.batch_clips]

    def _pair(self, rng: Generator) -> list[Draw]:
        speakers = self._forged[self._kinds[int(rng.integers(len(self._kinds)))]]
        names = sorted(speakers)
        weight = np.array([len(speakers[n]) ** 0.5 for n in names])
        own = speakers[names[int(rng.choice(len(names), p=weight / weight.sum()))]]
        forged = self._at(own[int(rng.integers(len(own)))], rng)
        candidates = self._real_by_file.get(forged.clip.truth.original or "") or [self._real[int(rng.integers(len(self._real)))]]
        real = min(candidates, key=lambda c: abs(c.first_tick - forged.clip.first_tick))
        start = forged.clip.first_tick + forged.start - real.first_tick
        return [Draw(real, int(np.clip(start, 0, real.ticks - self._params.stretch_ticks)), forged.variation), forged]

    def _at(self, clip: TrainClip, rng: Generator) -> Draw:
        """Somewhere in the clip; in a forged one where it shows at least part of a fake span."""
        last = clip.ticks - self._params.stretch_ticks
        single = self._params.stretch_ticks == 1
        fake = np.flatnonzero(clip.fake["visual"] if single else np.logical_or.reduce(list(clip.fake.values())))
        low, high = 0, last
        if len(fake):
            tick = int(fake[int(rng.integers(len(fake)))])
            low, high = max(0, tick - self._params.stretch_ticks + 1), min(last, tick)
        return Draw(clip, int(rng.integers(min(low, high), high + 1)), int(rng.integers(2**31)))
