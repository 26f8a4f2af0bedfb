"""Frozen features: what the reference network's FAU encoder sees in each face and tick, computed once and kept (table `fau_features`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from fauforensics.trunk import load_trunk
from schemas.errors import DeviceError
from schemas.params import FauParams
from schemas.tables import FAU_FEATURES
from stages.batches import Batches
from stages.contract import table_from_columns
from stages.device import resolve_device
from stages.distinct import distinct_faces
from stages.network_input import imagenet, reference_picture

_KEYS = ("content_id", "track", "tick")


class FrozenFeatures:
    """Holds the trunk for many videos. Its answers are those that scoring with the same trunk would compute itself.

    Args:
        params: of the stage; `embedding` is me-graphau.
        weights: a reference checkpoint, or ME-GraphAU's own file.

    Raises:
        CheckpointError: the weights are missing, damaged, or something else.
        ParamsError: the device is not there.
    """

    def __init__(self, params: FauParams, weights: Path) -> None:
        self.device = resolve_device(params.device, "fau.device")
        self._trunk = load_trunk(weights, params.embedding_input_px).to(self.device)
        self._batches = Batches(params.batch_faces)

    def __call__(self, faces: pa.Table) -> pa.Table:
        """faces: rows of FACES in any order; content_id, track, tick, frame_index and crop are read.

        Returns:
            Rows of FAU_FEATURES, one per input row in the same order, 512 numbers each.

        Raises:
            DeviceError: not even one face fits into the device's memory.
        """
        once, again = distinct_faces(faces)
        crops = faces["crop"].take(once).to_pylist()
        with torch.inference_mode():
            try:
                answers = self._batches.over(len(crops), lambda part: self._look(crops[part]))
            except torch.OutOfMemoryError:
                raise DeviceError(
                    f"fau: the free memory of device {self.device!r} is too small for a single face; end what else runs on it, "
                    "or set fau.device: cpu"
                ) from None
        features = np.concatenate(answers)[again] if answers else np.zeros((0, 0), np.float32)
        return table_from_columns({**{name: faces[name] for name in _KEYS}, "features": feature_lists(features)}, FAU_FEATURES)

    def close(self) -> None:
        """Gives the device memory back."""
        del self._trunk
        if self.device == "cuda":
            torch.cuda.empty_cache()

    def _look(self, crops: list[bytes]) -> NDArray[np.float32]:
        pictures = torch.from_numpy(np.stack([reference_picture(crop) for crop in crops]))
        return self._trunk.features(imagenet(pictures.to(self.device))).cpu().numpy()


def feature_lists(features: NDArray[np.float32]) -> pa.Array:
    """(N, D) as the cells of a column."""
    offsets = np.arange(len(features) + 1, dtype=np.int32) * features.shape[1]
    return pa.ListArray.from_arrays(offsets, pa.array(features.reshape(-1)))
