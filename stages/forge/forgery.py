"""Forgery: one forged version of a take, by kind, with the spans that it really has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from schemas.recipe import SpanParams
from stages.forge import audio_kinds
from stages.forge.audio_kinds import Span, Wave
from stages.forge.face_swap import face_swap
from stages.forge.footage import Footage
from stages.forge.mouth import mouth_replay
from stages.forge.self_blend import self_blend
from stages.forge.spans import draw_spans, frames_in, spans_of

_APART_S = 0.3
"""A replay from the same recording comes from at least this far away, or it would be a very small desync."""


class NoMaterialError(Exception):
    """A forgery can't be made of what there is; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be forged: `visual` and `audio` are kinds or None; `shift_s` is for desync, positive when the sound is late."""

    visual: str | None
    audio: str | None
    whole: bool
    shift_s: float = 0.0


@dataclass(slots=True)
class Material:
    """A take and what may be put into it.

    source_wave: the sound of the whole source, or None. donor_wave: sound of another
    recording at the same rate; `donor_is_source` when it is the source itself. donor_face: another person's footage.
    """

    footage: Footage
    source_wave: Wave | None
    rate_hz: int
    donor_wave: Wave | None = None
    donor_is_source: bool = False
    donor_face: Footage | None = None

    @property
    def wave(self) -> Wave | None:
        """The take's own sound."""
        if self.source_wave is None:
            return None
        return np.clip(audio_kinds.stretch(self.source_wave, self.footage.start_s, self.footage.duration_s, self.rate_hz), -1, 1)


@dataclass(slots=True)
class Forged:
    """Frames and sound of the result; spans in seconds of the take, end exclusive."""

    frames: list[NDArray[np.uint8]]
    wave: Wave | None
    audio_spans: list[Span]
    visual_spans: list[Span]


def forge(material: Material, order: Order, params: SpanParams, rng: Generator) -> Forged:
    """Carries out an order.

    Raises:
        NoMaterialError: what it needs is not there.
    """
    footage, wave = material.footage, material.wave
    if material.donor_is_source and material.donor_wave is not None:
        # With a third of what is left, some other place is always free.
        longest = (len(material.donor_wave) / material.rate_hz - 2 * _APART_S) / 3
        params = params.model_copy(update={"max_s": max(params.min_s, min(params.max_s, longest))})
    whole_clip = (0.0, footage.duration_s)
    faces = spans_of(footage.has_face, footage.pts_us, footage.duration_s)
    allowed = [whole_clip] if order.visual is None else [s for s in faces if s[1] - s[0] >= params.min_s]
    liking = None
    if order.audio is not None and wave is not None:
        loud = audio_kinds.heard(wave, material.rate_hz)
        liking = lambda span: float(loud[int(span[0] * 50) : int(span[1] * 50) + 1].mean()) if len(loud) else 0.0  # noqa: E731
    spans = allowed if order.whole or order.audio == "desync" else draw_spans(allowed, params, rng, liking)
    if not spans:
        raise NoMaterialError("no stretch is long enough for a span")
    result = Forged(footage.frames, wave, [], [])
    if order.visual is not None:
        chosen = frames_in(spans, footage.pts_us) & footage.has_face
        if not chosen.any():
            raise NoMaterialError("no frame with a face in the span")
        spans = result.visual_spans = spans_of(chosen, footage.pts_us, footage.duration_s)
        result.frames = _forge_frames(material, order.visual, chosen, rng)
    if order.audio is not None:
        if wave is None or material.source_wave is None:
            raise NoMaterialError("no sound")
        result.wave = _forge_wave(material, order, wave, spans, rng)
        result.audio_spans = spans
    return result


def _forge_frames(material: Material, kind: str, chosen: NDArray[np.bool_], rng: Generator) -> list[NDArray[np.uint8]]:
    match kind:
        case "self_blend":
            return self_blend(material.footage, chosen, rng)
        case "face_swap":
            if material.donor_face is None or not material.donor_face.has_face.any():
                raise NoMaterialError("the donor shows no face")
            return face_swap(material.footage, material.donor_face, chosen, rng)
        case "mouth_replay":
            frames = mouth_replay(material.footage, chosen, rng)
            if frames is None:
                raise NoMaterialError("no other moment of the face is far enough away")
            return frames
        case _:
            raise ValueError(f"{kind} is no visual kind")


def _forge_wave(material: Material, order: Order, wave: Wave, spans: list[Span], rng: Generator) -> Wave:
    rate_hz, source = material.rate_hz, material.source_wave
    match order.audio:
        case "audio_resynthesis":
            rebuilt = audio_kinds.resynthesise(wave, rate_hz, rng)
            return _insert_all(wave, spans, rate_hz, lambda span: audio_kinds.stretch(rebuilt, span[0], span[1] - span[0], rate_hz))
        case "desync" if source is not None:
            shifted = audio_kinds.stretch(source, material.footage.start_s - order.shift_s, material.footage.duration_s, rate_hz)
            return np.clip(shifted, -1, 1)
        case "audio_swap" | "audio_replay" if material.donor_wave is not None:
            donor = audio_kinds.match_level(material.donor_wave, wave, rate_hz)

            def elsewhere(span: Span) -> Wave:
                here = (
                    (span[0] + material.footage.start_s - _APART_S, span[1] + material.footage.start_s + _APART_S)
                    if material.donor_is_source
                    else None
                )
                # From end to end any place will do: controls have their pauses too.
                start = audio_kinds.heard_start(donor, span[1] - span[0], rate_hz, rng, here, draws=1 if order.whole else 8)
                if start is None:
                    raise NoMaterialError("the donor's sound is too short")
                return audio_kinds.stretch(donor, start, span[1] - span[0], rate_hz)

            return _insert_all(wave, spans, rate_hz, elsewhere)
        case _:
            raise NoMaterialError(f"no sound to take for {order.audio}")


def _insert_all(wave: Wave, spans: list[Span], rate_hz: int, sound_for: audio_kinds.SoundFor) -> Wave:
    out = wave
    for span in spans:
        out = audio_kinds.insert(out, sound_for(span), span, rate_hz)
    return out
