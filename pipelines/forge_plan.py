"""Forge plan: every take and every forgery of a run, decided before the first one is made, from seed, recipe and sources alone."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from pipelines.forge_sources import Source
from schemas.fingerprint import digest
from schemas.recipe import AUDIO_KINDS, BOTH, REAL, VISUAL_KINDS, ForgeRecipe
from stages.encoding import Encoding
from stages.forge.audio_kinds import Span
from stages.forge.forgery import Order

_EXCERPT_FROM_S = 3.0  # shortest random excerpt of a long source
_DONOR_S = 4.0  # of a donor's face: enough expressions to choose from
_DONOR_DETAIL = 1.3  # donor faces are read at most this much larger than the target's
_TOLERANCE_S = 0.05
_MAX_BITS = 2.5
"""Of AAC for each sample. With more the encoder stops where its quality is full, and the sound's content decides the size:
measured at 8 bits, a file with foreign sound was 7 % larger and one with rebuilt sound 2 % smaller than its control."""


@dataclass(frozen=True, slots=True)
class DonorFace:
    """Stretch of another source whose face is borrowed, and the scale to read it at."""

    source: Source
    start_s: float
    end_s: float
    scale: float


@dataclass(frozen=True, slots=True)
class PlannedForgery:
    """One file to make. `number` seeds it."""

    file: str
    kind: str
    order: Order
    number: int
    donor: Source | None = None
    donor_face: DonorFace | None = None


@dataclass(frozen=True, slots=True)
class Take:
    """A stretch of one source, how it is encoded, its control and its forgeries."""

    number: int
    source: Source
    start_s: float
    end_s: float
    scale: float
    rate_hz: int
    encoding: Encoding
    control: str
    forgeries: tuple[PlannedForgery, ...]


def generator(seed: int, *what: str | int) -> Generator:
    """A random generator that depends on the seed and on what it is for, and on nothing that came before."""
    return np.random.default_rng(int(digest({"seed": seed, "for": list(what)}), 16))


@dataclass(slots=True)
class _Draft:
    source: Source
    index: int
    start_s: float
    end_s: float
    forgeries: list[tuple[str, Order, Source | None, Source | None]] = field(default_factory=list)


def plan_takes(sources: list[Source], recipe: ForgeRecipe, seed: int) -> list[Take]:
    """All takes, in the order in which they are numbered.

    Args:
        sources: with identity and split, sorted by uri.
        recipe: what to make.
        seed: of everything random.
    """
    drafts = []
    used: dict[str, Counter[str]] = defaultdict(Counter)
    clips = Counter(s.identity for s in sources)
    for source in sources:
        for index in range(_num_takes(clips[source.identity], recipe)):
            rng = generator(seed, "take", source.uri, index)
            start, end = _excerpt(source, recipe, rng)
            draft = _Draft(source, index, start, end)
            for _ in range(recipe.forgeries_per_take):
                _draw_forgery(draft, sources, recipe, used, rng)
            drafts.append(draft)
    # Numbers are dealt at random: the name of a file must not tell a control from a forgery.
    names = _names([(d.source.split, 1 + len(d.forgeries)) for d in drafts], generator(seed, "names"))
    return [_finish(number, draft, recipe, seed, files) for number, (draft, files) in enumerate(zip(drafts, names, strict=True))]


def _num_takes(clips: int, recipe: ForgeRecipe) -> int:
    wanted = math.ceil(recipe.forgeries_per_identity / (clips * recipe.forgeries_per_take))
    return max(recipe.takes, min(wanted, recipe.max_takes))


def _excerpt(source: Source, recipe: ForgeRecipe, rng: Generator) -> Span:
    face_runs = source.talking_runs if source.is_audible else source.face_runs
    lengths = np.array([end - start for start, end in face_runs])
    start, end = face_runs[int(rng.choice(len(lengths), p=lengths / lengths.sum()))]
    if end - start <= recipe.excerpt.max_s:
        return start, end
    longest = recipe.excerpt.max_s
    length = float(rng.uniform(min(max(_EXCERPT_FROM_S, recipe.excerpt.min_s), longest), longest))
    first = float(rng.uniform(start, end - length))
    return first, first + length


def _draw_forgery(draft: _Draft, sources: list[Source], recipe: ForgeRecipe, used: dict[str, Counter[str]], rng: Generator) -> None:
    """Adds the kind that this identity, then this split, has least of, among those that the source allows."""
    source = draft.source
    identity, split = used[f"identity {source.identity}"], used[f"split {source.split}"]
    have = {kind for kind, *_ in draft.forgeries}
    options = []
    for kind, weight in recipe.weights.items():
        if not weight or (kind in have and len(have) < sum(w > 0 for w in recipe.weights.values())):
            continue
        options.append((identity[kind] / weight, split[kind] / weight, float(rng.random()), kind))
    for *_, kind in sorted(options):
        made = _compose(kind, draft, sources, recipe, rng)
        if made is not None:
            draft.forgeries.append(made)
            identity[kind] += 1
            split[kind] += 1
            return


def _compose(
    kind: str, draft: _Draft, sources: list[Source], recipe: ForgeRecipe, rng: Generator
) -> tuple[str, Order, Source | None, Source | None] | None:
    """(kind, order, donor of sound, donor of a face), or None where the source or its split can't give that."""
    source = draft.source
    visual, audio = kind if kind in VISUAL_KINDS else None, kind if kind in AUDIO_KINDS else None
    whole = bool(rng.random() < recipe.spans.whole_share)
    if kind == BOTH:
        visual = _weighted([k for k in VISUAL_KINDS if recipe.weights[k]], recipe, rng)
        # From end to end only a vocoder leaves a trace in the sound, and this kind promises one.
        audio = "audio_resynthesis" if whole else _weighted([k for k in AUDIO_KINDS if k != "desync"], recipe, rng)
    if audio is not None and not source.is_audible:
        return None
    if audio == "desync":
        shift_s = _desync(draft, recipe, rng)
        return None if shift_s is None else (kind, Order(None, audio, True, shift_s), None, None)
    donor = face = None
    if audio in {"audio_swap", "audio_replay"}:
        donors = _sound_donors(audio, draft, sources, whole)
        if not donors and whole:
            whole = False
            donors = _sound_donors(audio, draft, sources, whole)
        if not donors:
            return None
        donor = _one_of(donors, rng)
    if visual == "face_swap":
        faces = [s for s in sources if s.split == source.split and s.identity != source.identity]
        if not faces:
            if kind != BOTH:
                return None
            visual = "self_blend"
        else:
            face = _one_of(faces, rng)
    return kind, Order(visual, audio, whole), donor, face


def _weighted(kinds: list[str], recipe: ForgeRecipe, rng: Generator) -> str:
    weights = np.array([recipe.weights[k] for k in kinds])
    weights = weights if weights.sum() else np.ones(len(kinds))
    return kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]


def _one_of(sources: list[Source], rng: Generator) -> Source:
    """First a person, then one of their clips: a talker with many clips is no more likely than another."""
    names = sorted({s.identity for s in sources})
    name = names[int(rng.integers(len(names)))]
    clips = [s for s in sources if s.identity == name]
    return clips[int(rng.integers(len(clips)))]


def _sound_donors(kind: str, draft: _Draft, sources: list[Source], whole: bool) -> list[Source]:
    source, length = draft.source, draft.end_s - draft.start_s
    mine = kind == "audio_replay"
    same = [s for s in sources if s.split == source.split and s.is_audible and (s.identity == source.identity) == mine]
    others = [s for s in same if s.uri != source.uri]
    if whole:
        return [s for s in others if s.sound[1] - s.sound[0] >= length + _TOLERANCE_S]
    if mine and not others and source.duration_s >= 2.0:
        return [source]
    return others


def _desync(draft: _Draft, recipe: ForgeRecipe, rng: Generator) -> float | None:
    """Draws a shift and trims the take, so that the shifted sound is real sound from end to end, as the control's is."""
    low, high = recipe.desync_ms
    source = draft.source
    sign = 1 if rng.random() < 0.5 else -1
    for direction in (sign, -sign):
        # Late sound needs some before the take's start, early sound some behind its end.
        margin = draft.start_s - source.sound[0] if direction > 0 else source.sound[1] - draft.end_s
        spare = draft.end_s - draft.start_s - recipe.excerpt.min_s
        most = min(high / 1000, margin + max(0.0, spare))
        if most < low / 1000:
            continue
        shift = float(rng.uniform(low / 1000, most))
        lacking = max(0.0, shift - margin)
        if direction > 0:
            draft.start_s += lacking
        else:
            draft.end_s -= lacking
        return direction * shift
    return None


def _names(groups: list[tuple[str, int]], rng: Generator) -> list[list[str]]:
    """File names for each group, `split/000000.mp4`, numbered at random within the whole run."""
    numbers = iter(rng.permutation(sum(count for _, count in groups)).tolist())
    return [[f"{split}/{next(numbers):06d}.mp4" for _ in range(count)] for split, count in groups]


def _finish(number: int, draft: _Draft, recipe: ForgeRecipe, seed: int, files: list[str]) -> Take:
    source = draft.source
    rng = generator(seed, "encoding", source.uri, draft.index)
    limit = min(1.0, recipe.excerpt.max_side_px / max(source.width, source.height))
    smallest = min(limit, max(limit * recipe.excerpt.min_scale, recipe.excerpt.min_face_px / source.face_px))
    scale = limit if rng.random() < 0.5 else float(rng.uniform(smallest, limit))
    e = recipe.encoding
    rate_limit = min([s.audio_rate_hz for s in (source, *(d for _, _, d, _ in draft.forgeries if d is not None)) if s.has_audio] or [10**6])
    rates = [r for r in e.audio_rates_hz if r <= rate_limit] or [min(e.audio_rates_hz)]
    rate_hz = rates[int(rng.integers(len(rates)))]
    kbps = e.audio_kbps[int(rng.integers(len(e.audio_kbps)))]
    encoding = Encoding(
        crf=int(rng.integers(e.crf[0], e.crf[1] + 1)),
        preset=e.presets[int(rng.integers(len(e.presets)))],
        gop_frames=e.gop_frames[int(rng.integers(len(e.gop_frames)))],
        audio_kbps=min(kbps, int(_MAX_BITS * rate_hz / 1000)),
    )
    control, *others = files
    forgeries = tuple(
        PlannedForgery(file, kind, order, k, donor, _donor_face(face, source.face_px * scale, rng))
        for k, (file, (kind, order, donor, face)) in enumerate(zip(others, draft.forgeries, strict=True))
    )
    return Take(number, source, draft.start_s, draft.end_s, scale, rate_hz, encoding, control, forgeries)


def _donor_face(face: Source | None, target_px: float, rng: Generator) -> DonorFace | None:
    if face is None:
        return None
    start, end = face.face_runs[int(rng.integers(len(face.face_runs)))]
    length = min(end - start, _DONOR_S)
    first = float(rng.uniform(start, end - length)) if end - length > start else start
    return DonorFace(face, first, first + length, min(1.0, _DONOR_DETAIL * target_px / face.face_px))


def truth_traces(kind: str, whole: bool) -> list[str]:
    """Streams that carry a trace by themselves."""
    if kind in {REAL, "desync"} or (whole and kind in {"audio_swap", "audio_replay"}):
        return []
    if kind in VISUAL_KINDS:
        return ["visual"]
    return ["audio", "visual"] if kind == BOTH else ["audio"]
