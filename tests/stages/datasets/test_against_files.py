from __future__ import annotations

import polars as pl

from schemas.tables import INVENTORY
from stages.contract import as_frame
from stages.datasets import EXPECTED_COLUMNS, Mismatch, against_files


def test_other_lengths_and_other_sound_are_named() -> None:
    expected = pl.DataFrame(
        [("a.mp4", 103, True), ("b.mp4", 103, True), ("c.mp4", None, False), ("d.mp4", 5, None), ("gone.mp4", 5, True)],
        schema=EXPECTED_COLUMNS,
        orient="row",
    )
    probed = pl.DataFrame(
        {
            "uri": ["a.mp4", "b.mp4", "c.mp4", "d.mp4", "broken.mp4"],
            "num_packets": [103, 100, 50, 5, None],
            "has_audio": [True, False, True, False, None],
        }
    )
    empty = as_frame(INVENTORY.empty_table())
    inventory = pl.concat([empty, probed.cast({"num_packets": pl.Int64})], how="diagonal_relaxed")
    assert against_files(expected, inventory) == [
        Mismatch("b.mp4", "has no sound track, but the metadata says one", "contradiction"),
        Mismatch("b.mp4", "video_frames is 103, but the file has 100 packets", "contradiction"),
        Mismatch("c.mp4", "has a sound track, but the metadata says none", "contradiction"),
    ]
