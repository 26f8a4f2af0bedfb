from __future__ import annotations

import polars as pl

from stages.curate.signals import of_audio, of_faces

FACES = {"track": pl.Int16, "tick": pl.Int32}


def test_pose_is_the_largest_turn_and_sharpness_the_mean() -> None:
    rows = {"content_id": ["a"] * 3, "track": [0, 0, 1], "tick": [0, 24, 25], "yaw_deg": [5.0, -30.0, 2.0], "pitch_deg": [1.0, 2.0, 3.0]}
    rows |= {"roll_deg": [0.0, 0.0, 4.0], "sharpness": [100.0, 50.0, 7.0], "presence": [0.9, 0.8, 1.0]}
    faces = pl.LazyFrame(rows, schema_overrides=FACES)
    found = of_faces(faces, 25).collect().sort("track")
    assert found.rows() == [("a", 0, 0, 30.0, 2.0, 0.0, 75.0, 0.8), ("a", 1, 25, 2.0, 3.0, 4.0, 7.0, 1.0)]
    whole = of_faces(faces, 5, whole_picture=True).collect().filter(pl.col("start_tick") == 5)
    assert whole.select("track", "yaw_deg", "sharpness").rows() == [(None, 30.0, 28.5)]


def test_speech_is_a_share_of_ticks() -> None:
    rows = {
        "content_id": ["a"] * 4,
        "tick": [0, 1, 2, 30],
        "speech": [True, False, None, True],
        "loudness_dbfs": [-20.0, -40.0, None, -3.0],
    }
    found = of_audio(pl.LazyFrame(rows, schema_overrides={"tick": pl.Int32}), 25).collect().sort("start_tick")
    assert found.rows() == [("a", 0, 1 / 3, -30.0), ("a", 25, 1.0, -3.0)]
