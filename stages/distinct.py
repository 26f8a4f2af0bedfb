"""Distinct: faces that are worth looking at once. A slow source shows one frame for several ticks."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def distinct_faces(faces: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of FACES (content_id, track, frame_index are read) to look at, and for every row its place among them."""
    content = pc.dictionary_encode(faces["content_id"].combine_chunks()).indices.to_numpy()
    keys = np.stack([content, faces["track"].to_numpy(), faces["frame_index"].to_numpy()], axis=1).astype(np.int64)
    _, once, again = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(once)  # as they come, not as keys sort: patches of a picture size lie together
    return once[order], np.argsort(order)[again.reshape(-1)]
