"""Against files: what metadata says of a video, held against what the inventory found in it."""

from __future__ import annotations

import polars as pl

from stages.datasets.contract import Mismatch


def against_files(expected: pl.DataFrame, inventory: pl.DataFrame) -> list[Mismatch]:
    """Videos that are not what the metadata says: other lengths, sound that should not be there or is not.

    Args:
        expected: EXPECTED_COLUMNS, of a `Reading`.
        inventory: rows of INVENTORY.
    """
    probed = inventory.select(pl.col("uri").cast(pl.String), "num_packets", found_audio="has_audio")
    both = expected.join(probed, on="uri", how="inner").sort("uri")
    other_length = both.filter(pl.col("video_frames") != pl.col("num_packets"))
    other_sound = both.filter(pl.col("has_audio") != pl.col("found_audio"))
    lengths = [
        Mismatch(uri, f"video_frames is {told}, but the file has {found} packets", "contradiction")
        for uri, told, found in other_length.select("uri", "video_frames", "num_packets").iter_rows()
    ]
    sounds = [
        Mismatch(
            uri,
            "has a sound track, but the metadata says none" if found else "has no sound track, but the metadata says one",
            "contradiction",
        )
        for uri, found in other_sound.select("uri", "found_audio").iter_rows()
    ]
    return sorted(lengths + sounds, key=lambda m: (m.uri, m.what))
