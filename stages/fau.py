"""FAU: twenty action-unit intensities per face and tick, from the shape of the mesh."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.au import AU_NAMES
from schemas.params import FauParams
from schemas.reasons import Outcome
from schemas.tables import FACES, FAU, NUM_LANDMARKS
from stages import versions
from stages.action_units import intensities
from stages.contract import StageResult, table_from_columns
from stages.face.pose import head_axes

INPUT, OUTPUT, VERSION = FACES, FAU, versions.FAU

RIGID = (33, 133, 362, 263, 168, 6, 197, 195, 5, 4, 1, 2, 234, 454, 127, 356)
"""Landmarks over bone and cartilage: eye corners, nose from bridge to base, temples. Brows, lids, lips and jaw stay out,
so that an expression can't tilt the head."""

_OUTER_CORNERS = (33, 263)
_TINY = 1e-9


def run(faces: pa.Table, params: FauParams) -> StageResult:
    """Measures the action units of every track against the track's own neutral face.

    Args:
        faces: rows of `FACES`, any order; only content_id, track, tick, landmarks and yaw_deg are read.
        params: `neutral_max_yaw_deg` bounds the ticks that the neutral face is taken from.

    Returns:
        Rows of `FAU`, one per input row in the same order, intensities in [0, 1]. Action units that geometry can't see are
        null (`stages.action_units.UNSEEN`), and so is a row whose landmarks are not finite. Never fails on media.
    """
    meshes = _meshes(faces)
    yaw_deg = faces["yaw_deg"].to_numpy().astype(np.float64)
    table = np.full((faces.num_rows, len(AU_NAMES)), np.nan)
    for rows in _tracks(faces):
        table[rows] = track_intensities(meshes[rows].astype(np.float64), yaw_deg[rows], params.neutral_max_yaw_deg)
    columns: dict[str, object] = {name: faces[name] for name in ("content_id", "track", "tick")}
    for name, values in zip(AU_NAMES, table.T, strict=True):
        columns[name] = pa.array(values.astype(np.float32), mask=np.isnan(values))
    outcomes = dict.fromkeys(pc.unique(faces["content_id"]).to_pylist(), Outcome.DONE)
    return StageResult(table_from_columns(columns, FAU), outcomes=outcomes, frames_seen=faces.num_rows)


def track_intensities(meshes: NDArray[np.float64], yaw_deg: NDArray[np.float64], max_yaw_deg: float) -> NDArray[np.float64]:
    """Intensities of one track; turning, scaling or moving the mesh of any tick does not change them.

    Args:
        meshes: (T, 468, 3), x right, y down, z away from the viewer, one scale for all three.
        yaw_deg: (T,) head turn; ticks beyond `max_yaw_deg` do not count for the neutral, unless there are no others.

    Returns:
        (T, 20), columns as `AU_NAMES`; NaN where the action unit is unseen, or the mesh is not finite or has no extent.
    """
    table = np.full((len(meshes), len(AU_NAMES)), np.nan)
    usable = np.flatnonzero(np.isfinite(meshes.reshape(len(meshes), -1)).all(1))
    whole = meshes[usable]
    real = _eye_distance(whole) > _TINY
    usable, whole = usable[real], whole[real]
    if len(usable):
        frontal = np.abs(yaw_deg[usable]) <= max_yaw_deg
        table[usable] = intensities(head_coordinates(whole, frontal), frontal)
    return table


def head_coordinates(meshes: NDArray[np.float64], frontal: NDArray[np.bool_]) -> NDArray[np.float64]:
    """One track's meshes in the coordinates of its head.

    `head_axes` leans on the chin, which talks: it only brings the ticks close enough for a median. Each tick is then
    turned, scaled and moved so that its rigid landmarks fit the median ones (Umeyama 1991, least squares).

    Args:
        meshes: (T, 468, 3) finite; T >= 1.
        frontal: (T,) ticks that the median is taken from; all ticks where there is none.

    Returns:
        (T, 468, 3): x to the head's left, y to its chin, z out of its back; origin in the middle of the rigid landmarks,
        outer eye corners about 1 apart.
    """
    centre = meshes[:, RIGID].mean(1, keepdims=True)
    roughly = head_axes(meshes).swapaxes(1, 2) / _eye_distance(meshes)[:, None, None]  # (T, 3, 3)
    rigid = (meshes[:, RIGID] - centre) @ roughly  # (T, R, 3)
    neutral = np.median(rigid[frontal] if frontal.any() else rigid, axis=0)
    neutral -= neutral.mean(0)
    left, stretch, right = np.linalg.svd(rigid.swapaxes(1, 2) @ neutral)  # (T, 3, 3), (T, 3), (T, 3, 3)
    hand = np.ones_like(stretch)
    hand[:, 2] = np.sign(np.linalg.det(left @ right))  # a rotation, never a mirror
    scale = (stretch * hand).sum(1) / np.maximum((rigid**2).sum((1, 2)), _TINY)
    return np.asarray((meshes - centre) @ (roughly @ (left * (scale[:, None] * hand)[:, None, :]) @ right))


def _eye_distance(meshes: NDArray[np.float64]) -> NDArray[np.float64]:
    right, left = _OUTER_CORNERS
    return np.asarray(np.linalg.norm(meshes[:, right] - meshes[:, left], axis=-1))


def _meshes(faces: pa.Table) -> NDArray[np.float16]:
    """(N, 468, 3) landmarks; NaN where the cell is null."""
    cells = faces["landmarks"].combine_chunks()
    meshes = np.full((faces.num_rows, NUM_LANDMARKS, 3), np.nan, np.float16)
    flat = pc.list_flatten(cells).to_numpy(zero_copy_only=False)  # leaves null cells out, honours slices
    meshes[cells.is_valid().to_numpy(zero_copy_only=False)] = flat.reshape(-1, NUM_LANDMARKS, 3)
    return meshes


def _tracks(faces: pa.Table) -> list[NDArray[np.int64]]:
    """Row numbers of every track, by tick: the order of the rows never shows in the values."""
    if faces.num_rows == 0:
        return []
    content = pc.dictionary_encode(faces["content_id"].combine_chunks()).indices.to_numpy()
    track, tick = faces["track"].to_numpy(), faces["tick"].to_numpy()
    order = np.lexsort((tick, track, content))
    starts = np.flatnonzero(np.diff(content[order]) | np.diff(track[order])) + 1
    return list(np.split(order, starts))
