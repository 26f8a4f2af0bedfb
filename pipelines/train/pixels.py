"""Pixels: the face crops of a few ticks, from the store or cut anew out of the video."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.archive import Archive
from pipelines.train.dataset import TrainClip
from schemas.params import DecodeParams, FaceParams
from stages.face.crop import cut_out
from stages.faces import decode_crop, encode_crop
from stages.random_access import read_frames

ReadCrops = Callable[[TrainClip, slice], list[NDArray[np.uint8]]]
"""(clip, ticks of it) to (crop_px, crop_px, 3) uint8 RGB pictures."""


def stored_crops(clip: TrainClip, ticks: slice) -> list[NDArray[np.uint8]]:
    """The crops that the faces step kept: byte for byte what scoring sees."""
    return [decode_crop(data) for data in clip.crops[ticks]]


class VideoCrops:
    """Crops cut out of the source by the stored landmarks, frames read at random places by decord.

    A crop goes through the same compression as a stored one, so that the network can't tell the two ways apart. A
    frame that can't be read any more is taken from the store.
    """

    def __init__(self, archive: Archive, faces: FaceParams, decode: DecodeParams) -> None:
        self._archive, self._faces, self._decode = archive, faces, decode

    def __call__(self, clip: TrainClip, ticks: slice) -> list[NDArray[np.uint8]]:
        with self._archive.open_media(clip.source.uri) as path:
            frames = read_frames(
                path,
                clip.frame_index[ticks].tolist(),
                clip.pts_us[ticks].tolist(),
                clip.source.origin_us,
                clip.source.rotation_deg,
                self._decode,
            )
        crops = []
        for index, landmarks, kept in zip(clip.frame_index[ticks].tolist(), clip.landmarks[ticks], clip.crops[ticks], strict=True):
            rgb = frames.get(index)
            crops.append(decode_crop(kept if rgb is None else encode_crop(cut_out(rgb, landmarks, self._faces.crop_px), self._faces)))
        return crops


def resized(crop: NDArray[np.uint8], left: int, top: int, side: int, px: int) -> NDArray[np.uint8]:
    """(px, px, 3): a square part of a crop, scaled."""
    part = crop[top : top + side, left : left + side]
    return np.asarray(cv2.resize(part, (px, px), interpolation=cv2.INTER_AREA), np.uint8)
