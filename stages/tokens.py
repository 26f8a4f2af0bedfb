"""Tokens: what the encoders of each preset make of a track and of a video's sound, window by window."""

from __future__ import annotations

import functools
from collections.abc import Callable

import polars as pl
import torch
from torch import Tensor

from fauforensics import FauForensics, ReferenceFauForensics
from fauforensics.frontend import normalise
from fauforensics.reference import IMAGENET_MEAN, IMAGENET_STD, PICTURE_PX
from schemas.timebase import HOPS_PER_TICK, WINDOW_TICKS
from stages.batches import Batches
from stages.network_input import SoundInput, TrackInput, crops_to_unit, track_input

WindowTokens = Callable[[int], Tensor]
"""From the first tick of a window to its tokens (25, dim)."""

_CHUNK_TICKS = 512  # crops that are on the device at once; fewer where they do not fit
_REFERENCE_PART = 140 / 160  # research note, 3.2: the middle 140 of 160 pixels, resized to 112


class LiteTokens:
    """Every tick is encoded once; windows are cuts out of the whole."""

    def __init__(self, net: FauForensics, device: str) -> None:
        self._net, self._device = net, device
        self._batches = Batches(_CHUNK_TICKS)

    def of_track(self, rows: pl.DataFrame, number: int) -> tuple[TrackInput, WindowTokens]:
        """rows: one track of FACES joined with FAU."""
        track, net = track_input(rows, number, self._net.config.crop_px), self._net
        chunks = self._batches.over(
            len(track.crops), lambda part: net.video_encoder.per_tick(crops_to_unit(torch.from_numpy(track.crops[part]).to(self._device)))
        )
        aus = torch.from_numpy(track.aus)[None].to(self._device)
        tokens = (net.video_encoder.over_time(torch.cat(chunks)[None]) + net.fau_encoder(aus))[0]  # (T, dim)
        return track, lambda start: tokens[start : start + WINDOW_TICKS]

    def of_sound(self, sound: SoundInput) -> WindowTokens:
        """sound: of one whole video."""
        tokens = self._net.encode_audio(torch.from_numpy(sound.log_mel)[None].to(self._device))[0]  # (T, dim)
        return lambda start: tokens[start : start + WINDOW_TICKS]


class ReferenceTokens:
    """The FAU encoder sees every tick once, the others each window anew. Ticks without the face are zero after normalisation."""

    def __init__(self, net: ReferenceFauForensics, device: str) -> None:
        self._net, self._device = net, device
        self._mean, self._std = (torch.tensor(v, device=device).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))

    def of_track(self, rows: pl.DataFrame, number: int) -> tuple[TrackInput, WindowTokens]:
        """rows: one track of FACES, joined with FAU or not: the network reads action units off the pixels."""
        track = track_input(rows, number, PICTURE_PX, _REFERENCE_PART)
        ticks = len(track.crops)
        z_fau = torch.cat([self._net.fau_encoder.per_tick(self._frames(track, i, i + WINDOW_TICKS)) for i in range(0, ticks, WINDOW_TICKS)])

        def of_window(start: int) -> Tensor:
            end = start + WINDOW_TICKS
            return self._net.encode_video(self._frames(track, start, end).transpose(0, 1)[None], z_fau[start:end][None])[0]

        return track, of_window

    def of_sound(self, sound: SoundInput) -> WindowTokens:
        """sound: of one whole video; each window is levelled by its own maximum, as published."""
        db = torch.from_numpy(sound.power_db)

        @functools.cache  # asked for by the sound itself and by each face
        def of_window(start: int) -> Tensor:
            hops = db[start * HOPS_PER_TICK : (start + WINDOW_TICKS) * HOPS_PER_TICK].to(self._device)  # (100, 80)
            return self._net.encode_audio(normalise(hops, hops.max())[None, None])[0]

        return of_window

    def _frames(self, track: TrackInput, start: int, end: int) -> Tensor:
        """(N, 3, 112, 112)."""
        frames = (torch.from_numpy(track.crops[start:end]).to(self._device).float() / 255 - self._mean) / self._std
        return frames * torch.from_numpy(track.present[start:end]).to(self._device)[:, None, None, None]


def tokens_of(net: FauForensics | ReferenceFauForensics, device: str) -> LiteTokens | ReferenceTokens:
    """The encoders of a network's preset."""
    return LiteTokens(net, device) if isinstance(net, FauForensics) else ReferenceTokens(net, device)
