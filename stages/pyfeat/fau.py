"""FAU by py-feat: twenty action units per face and tick, from the pixels that the `faces` stage kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from schemas.au import AU_NAMES
from schemas.errors import DeviceError
from schemas.params import FauParams
from schemas.reasons import Outcome
from schemas.tables import FAU, FAU_FEATURES, NUM_POINTS
from stages.batches import Batches
from stages.contract import StageResult, table_from_columns
from stages.device import resolve_device
from stages.distinct import distinct_faces
from stages.frozen_features import feature_lists
from stages.pyfeat.adapter import CPU_FACES, Classifiers, LandmarkNet, MultitaskNet
from stages.pyfeat.chips import NARROW, SQUARE
from stages.pyfeat.crop_chips import chips_of_crops
from stages.pyfeat.patches import Patch, chips_of, patch_of_row

_KEYS = ("content_id", "track", "tick")
_CROP = ["box", "landmarks", "crop"]
_PATCH = ("picture_width", "picture_height", "left", "top", "patch")

_Answer = tuple[NDArray[np.float32], NDArray[np.float32] | None]
"""aus (N, 20), and features (N, D) where the variant has any."""


class PyfeatFau:
    """Holds one variant's networks for many videos.

    Args:
        params: of the stage; `backend` is pyfeat.
        weights: files by their names in the registry; `pyfeat-mobilefacenet` only where faces have no points of their own.

    Raises:
        CheckpointError: a file holds something else.
        ParamsError: the device is not there.
    """

    def __init__(self, params: FauParams, weights: Mapping[str, Path]) -> None:
        self._params = params
        self.device = resolve_device(params.device, "fau.device")
        own, points = weights[f"pyfeat-{params.variant}"], weights.get("pyfeat-mobilefacenet")
        self._see: _Classify | _Read | None
        if params.variant == "multitask":
            self._see = _Read(own, self.device)
            most = params.batch_faces if self.device == "cuda" else CPU_FACES
        else:
            self._see = _Classify(params.variant, own, points, self.device)
            most = params.batch_faces  # trees are asked twenty times a batch
        self._batches = Batches(min(params.batch_faces, most))

    def __call__(self, faces: pa.Table, patches: pa.Table | None = None) -> StageResult:
        """Measures every face; faces of all tracks and videos share the batches.

        Args:
            faces: rows of FACES, any order: content_id, track, tick, frame_index and box are read; without patches crop and
                landmarks too.
            patches: rows of PATCHES in the same order, where the backend of faces made them.

        Returns:
            Rows of `FAU`, one per input row in the same order; scales in docs/fau.md. Null where a variant lacks the action unit,
            or the face has no landmarks to go by. Never fails on media.
            Side table `fau_features` where `embedding` is multitask.

        Raises:
            DeviceError: not even one face fits into the device's memory.
        """
        if self._see is None:
            raise RuntimeError("closed")
        result = StageResult(FAU.empty_table(), frames_seen=faces.num_rows)
        result.outcomes = dict.fromkeys(pc.unique(faces["content_id"]).to_pylist(), Outcome.DONE)
        once, again = distinct_faces(faces)
        table = faces.take(once)
        if patches is not None:
            kept = patches.take(once)
            for name in ("points", *_PATCH):
                table = table.append_column(name, kept[name])
        see = self._see.patches if patches is not None else self._see.crops
        try:
            answers = self._batches.over(table.num_rows, lambda part: see(table.slice(part.start, part.stop - part.start)))
        except torch.OutOfMemoryError:
            raise DeviceError(
                f"fau: the free memory of device {self.device!r} is too small for a single face; end what else runs on it, "
                "or set fau.device: cpu"
            ) from None
        aus = np.concatenate([aus for aus, _ in answers])[again] if answers else np.zeros((0, len(AU_NAMES)), np.float32)
        columns: dict[str, Any] = {name: faces[name] for name in _KEYS}
        features = [part for _, part in answers if part is not None]
        if self._params.embedding == "multitask":
            whole = np.concatenate(features)[again] if features else np.zeros((0, 0), np.float32)
            result.side["fau_features"] = table_from_columns({**columns, "features": feature_lists(whole)}, FAU_FEATURES)
        for name, values in zip(AU_NAMES, aus.T, strict=True):
            columns[name] = pa.array(values, mask=np.isnan(values))
        result.rows = table_from_columns(columns, FAU)
        return result

    def close(self) -> None:
        """Gives the device memory back."""
        self._see = None
        if self.device == "cuda":
            torch.cuda.empty_cache()


class _Classify:
    """Variants xgb and svm: what 68 points and their surroundings look like."""

    def __init__(self, variant: Literal["xgb", "svm"], weights: Path, points: Path | None, device: str) -> None:
        self._device = device
        self._classifiers = Classifiers(variant, weights, device)
        self._draw = None if points is None else LandmarkNet(points, device)

    def patches(self, rows: pa.Table) -> _Answer:
        points = np.array(pc.list_flatten(rows["points"]).to_numpy(), np.float32).reshape(-1, 2 * NUM_POINTS)
        return self._classifiers(chips_of(_patches(rows), NARROW, self._device), torch.from_numpy(points).to(self._device)), None

    def crops(self, rows: pa.Table) -> _Answer:
        if self._draw is None:
            raise ValueError("crops have no points of their own: pyfeat-mobilefacenet is needed")
        chips = torch.from_numpy(chips_of_crops(rows.select(_CROP).to_pylist(), NARROW)).to(self._device)
        return self._classifiers(chips, self._draw(chips)), None


class _Read:
    """Variant multitask: action units off the pixels, and the features that they come from."""

    def __init__(self, weights: Path, device: str) -> None:
        self._device = device
        self._net = MultitaskNet(weights, device)

    def patches(self, rows: pa.Table) -> _Answer:
        return self._net(chips_of(_patches(rows), SQUARE, self._device))

    def crops(self, rows: pa.Table) -> _Answer:
        return self._net(torch.from_numpy(chips_of_crops(rows.select(_CROP).to_pylist(), SQUARE)).to(self._device))


def _patches(rows: pa.Table) -> list[Patch]:
    return [patch_of_row(row) for row in rows.select(["box", *_PATCH]).to_pylist()]
