"""Near-duplicates: videos whose faces look and move the same on the same ticks, whatever they were encoded with.

Crops are aligned to the face, so two clips of one talker in one room look much alike; what tells them apart is how the face moves.
A pair must therefore agree in both: in the look of its crops (a perceptual hash) and in the change of that look over time.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from schemas.tables import LOOKS
from stages.contract import table_from_columns

NO_PAIRS = pl.DataFrame(schema={"content_id_a": pl.String, "content_id_b": pl.String})
EVERY_TICKS = 5
"""Crops are compared five times a second."""
COLUMNS = ("content_id", "track", "tick", "crop")
"""Of FACES."""

_SIDE, _KEPT = 32, 9  # pixels that are transformed; frequencies of which all but the mean and the last are kept: 64 of 81
_MIN_SAMPLES = 5
_BLOCKS = 4
"""Of 16 bits. Two crops that differ in two bits or less agree in two blocks at least, so any pair of blocks is a key of a lookup."""


def looks_of(faces: pl.DataFrame) -> pa.Table:
    """Rows of LOOKS: hash and low frequencies of every fifth tick's crop. faces: `COLUMNS` of FACES."""
    rows = faces.filter(pl.col("tick") % EVERY_TICKS == 0, pl.col("crop").is_not_null()).sort("content_id", "track", "tick")
    shapes = np.stack([_frequencies(crop) for crop in rows["crop"]]) if rows.height else np.zeros((0, 64), np.float32)
    bits = shapes > np.median(shapes, axis=1, keepdims=True)
    look = np.packbits(bits, axis=1).view(">i8").astype(np.int64).ravel()
    columns = {
        "content_id": rows["content_id"].to_arrow(),
        "track": rows["track"].to_arrow(),
        "tick": rows["tick"].to_arrow(),
        "look": look,
        "shape": pa.FixedSizeListArray.from_arrays(pa.array(np.rint(shapes).astype(np.int16).ravel()), 64),
    }
    return table_from_columns(columns, LOOKS)


def _frequencies(crop: bytes) -> NDArray[np.float32]:
    grey = cv2.imdecode(np.frombuffer(crop, np.uint8), cv2.IMREAD_GRAYSCALE)
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    return cv2.dct(small)[:_KEPT, :_KEPT].ravel()[1:65]


def pairs_of(looks: pl.DataFrame, max_distance: float, min_motion: float) -> pl.DataFrame:
    """Near-duplicates: content_id_a < content_id_b, sorted.

    Args:
        looks: rows of LOOKS, any order.
        max_distance: mean number of differing bits, of 64, of crops on the same tick.
        min_motion: least correlation of what changes in the two faces.
    """
    rows = looks.sort("content_id", "track", "tick").with_columns(face=pl.struct("content_id", "track").rank("dense").cast(pl.Int64) - 1)
    if rows.is_empty():
        return NO_PAIRS
    face, tick = rows["face"].to_numpy(), rows["tick"].to_numpy()
    look, shape = rows["look"].to_numpy().view(np.uint64), rows["shape"].to_numpy().astype(np.float32)
    edges = np.searchsorted(face, np.arange(face[-1] + 2))
    owner = rows.unique("face", keep="first").sort("face")["content_id"].to_list()
    found = set()
    for a, b in _candidates(rows.select("face", "content_id", "tick", "look")):
        pair = owner[a], owner[b]
        if pair in found:
            continue
        own, other = (slice(edges[f], edges[f + 1]) for f in (a, b))
        _, at, to = np.intersect1d(tick[own], tick[other], assume_unique=True, return_indices=True)
        fewest = min(own.stop - own.start, other.stop - other.start)
        if len(at) < max(_MIN_SAMPLES, fewest / 2):
            continue
        if np.bitwise_count(look[own][at] ^ look[other][to]).mean() > max_distance:
            continue
        if _motion(shape[own][at], shape[other][to]) >= min_motion:
            found.add(pair)
    return pl.DataFrame(sorted(found), schema=NO_PAIRS.schema, orient="row")


def _candidates(rows: pl.DataFrame) -> list[tuple[int, int]]:
    """Pairs of faces of different videos, of which two crops of the same tick agree in two blocks of their hashes."""
    bits = rows["look"].to_numpy().view(np.uint64)
    blocks = [(bits >> np.uint64(16 * k)) & np.uint64(0xFFFF) for k in range(_BLOCKS)]
    met: pl.DataFrame | None = None
    for one, two in itertools.combinations(range(_BLOCKS), 2):
        keyed = rows.select("face", "content_id", "tick", key=pl.Series(blocks[one] << np.uint64(16) | blocks[two]))
        both = keyed.join(keyed, on=["tick", "key"], suffix="_b").filter(pl.col("face") < pl.col("face_b"))
        pairs = both.filter(pl.col("content_id") != pl.col("content_id_b")).select("face", "face_b").unique()
        met = pairs if met is None else pl.concat([met, pairs]).unique()
    return [] if met is None else list(met.sort("face", "face_b").iter_rows())


def _motion(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Correlation of two faces' changes, each frequency by its own spread; one bit of spread keeps noise from counting."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)  # (N, 64)
    spread = (a.std(axis=0) + b.std(axis=0)) / 2 + 1
    a, b = a / spread, b / spread
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum() + 1e-9))


_TRUTH = ("truth_fake", "truth_audio_fake", "truth_visual_fake", "truth_methods", "truth_spans")


def superfluous(videos: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """content_id of those near-duplicates that can go: all but the longest, then largest, of each group.

    A forgery of the sound looks like its original: videos of different truth both stay, and so does all that has forged sound.

    Args:
        videos: of `videos_of`.
        pairs: of `pairs_of`.
    """
    sides = [videos.select(pl.col("content_id", *_TRUTH).name.suffix(side)) for side in ("_a", "_b")]
    known = pairs.join(sides[0], on="content_id_a").join(sides[1], on="content_id_b")
    same = [pl.col(f"{name}_a").eq_missing(pl.col(f"{name}_b")) for name in _TRUTH]
    alike = known.filter(*same, ~pl.col("truth_audio_fake_a").fill_null(False)).select("content_id_a", "content_id_b")
    named = videos.join(pl.concat([alike.select(content_id=c) for c in alike.columns]).unique(), on="content_id", how="semi")
    best = named.with_columns(pixels=pl.col("width").cast(pl.Int64) * pl.col("height"))
    best = best.sort("duration_us", "pixels", "content_id", descending=[True, True, False], nulls_last=True)
    groups = best.with_columns(group=pl.Series(_groups(best["content_id"].to_list(), alike), dtype=pl.Int64))
    return groups.filter((pl.int_range(pl.len()) > 0).over("group")).select("content_id")


def _groups(names: Sequence[str], pairs: pl.DataFrame) -> list[int]:
    place = {name: k for k, name in enumerate(names)}
    ends = [[place[name] for name in pairs[column]] for column in pairs.columns]
    size = len(names)
    if not size:
        return []
    _, labels = connected_components(coo_array((np.ones(len(ends[0])), (ends[0], ends[1])), shape=(size, size)), directed=False)
    return [int(label) for label in labels]
