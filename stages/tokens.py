"""Tokens: what the encoders of each preset make of a track and of a video's sound, window by window."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import torch
from torch import Tensor

from fauforensics import FauForensics, ReferenceFauForensics
from fauforensics.frontend import normalise
from fauforensics.reference import PICTURE_PX
from schemas.timebase import HOPS_PER_TICK, WINDOW_TICKS
from stages.batches import Batches
from stages.network_input import REFERENCE_PART, SoundInput, TrackInput, crops_to_unit, fau_input, imagenet, track_input

WindowTokens = Callable[[Sequence[int]], list[Tensor]]
"""From the first ticks of windows, ascending, to the tokens (25, dim) of each."""

_CHUNK_TICKS = 512  # crops that are on the device at once; fewer where they do not fit
_REFERENCE_AT_ONCE = {"cpu": (32, 1), "cuda": (256, 32)}  # ticks, windows; a CPU gains nothing by more and pays 80 MB a window


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
        aus = torch.from_numpy(fau_input(track.aus, track.features, net.config.num_features))[None].to(self._device)
        tokens = (net.video_encoder.over_time(torch.cat(chunks)[None]) + net.fau_encoder(aus))[0]  # (T, dim)
        return track, lambda starts: [tokens[start : start + WINDOW_TICKS] for start in starts]

    def of_sound(self, sound: SoundInput) -> WindowTokens:
        """sound: of one whole video."""
        tokens = self._net.encode_audio(torch.from_numpy(sound.log_mel)[None].to(self._device))[0]  # (T, dim)
        return lambda starts: [tokens[start : start + WINDOW_TICKS] for start in starts]


class ReferenceTokens:
    """The FAU encoder sees every tick once, the others each window anew. Ticks without the face are zero after normalisation."""

    def __init__(self, net: ReferenceFauForensics, device: str) -> None:
        self._net, self._device = net, device
        self._ticks, self._windows = (Batches(size) for size in _REFERENCE_AT_ONCE[device])

    def of_track(self, rows: pl.DataFrame, number: int) -> tuple[TrackInput, WindowTokens]:
        """rows: one track of FACES joined with FAU, and with FAU_FEATURES of the network's own trunk where they were kept."""
        track = track_input(rows, number, PICTURE_PX, REFERENCE_PART)
        z_fau = self._z_fau(track)

        def of_windows(starts: Sequence[int]) -> list[Tensor]:
            def forward(part: slice) -> Tensor:
                some = starts[part]
                frames = self._frames(track, slice(some[0], some[-1] + WINDOW_TICKS))  # windows overlap: each tick is made ready once
                video = torch.stack([frames[start - some[0] :][:WINDOW_TICKS] for start in some]).transpose(1, 2)  # (B, 3, 25, 112, 112)
                return self._net.encode_video(video, torch.stack([z_fau[start : start + WINDOW_TICKS] for start in some]))

            return [tokens for batch in self._windows.over(len(starts), forward) for tokens in batch]

        return track, of_windows

    def of_sound(self, sound: SoundInput) -> WindowTokens:
        """sound: of one whole video; each window is levelled by its own maximum, as published."""
        db = torch.from_numpy(sound.power_db)

        def of_windows(starts: Sequence[int]) -> list[Tensor]:
            def forward(part: slice) -> Tensor:
                hops = torch.stack([db[start * HOPS_PER_TICK : (start + WINDOW_TICKS) * HOPS_PER_TICK] for start in starts[part]])
                hops = hops.to(self._device)  # (B, 100, 80)
                return self._net.encode_audio(normalise(hops, hops.amax((1, 2), keepdim=True))[:, None])

            return [tokens for batch in self._windows.over(len(starts), forward) for tokens in batch]

        return of_windows

    def _z_fau(self, track: TrackInput) -> Tensor:
        """(T, dim)."""
        trunk = self._net.fau_encoder
        if track.features is None:
            return torch.cat(self._ticks.over(len(track.crops), lambda part: trunk.per_tick(self._frames(track, part))))
        features = torch.from_numpy(track.features).to(self._device)
        gaps = np.flatnonzero(~track.present)
        if len(gaps):  # all of them look the same
            features[gaps] = trunk.features(self._frames(track, slice(gaps[0], gaps[0] + 1))).to(features.dtype)
        tokens: Tensor = trunk.norm(features)
        return tokens

    def _frames(self, track: TrackInput, part: slice) -> Tensor:
        """(N, 3, 112, 112)."""
        frames = imagenet(torch.from_numpy(track.crops[part]).to(self._device))
        return frames * torch.from_numpy(track.present[part]).to(self._device)[:, None, None, None]


def tokens_of(net: FauForensics | ReferenceFauForensics, device: str) -> LiteTokens | ReferenceTokens:
    """The encoders of a network's preset."""
    return LiteTokens(net, device) if isinstance(net, FauForensics) else ReferenceTokens(net, device)
