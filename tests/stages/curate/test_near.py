from __future__ import annotations

import cv2
import numpy as np
import polars as pl

from schemas.tables import LOOKS
from stages.contract import as_frame
from stages.curate.near import looks_of, pairs_of, superfluous
from stages.curate.videos import videos_of
from tests.stages.curate.made_archive import table, video

TICKS = 60


def track(name: str, seed: int, look: int = 0, quality: int = 95, side: int = 160, shift_ticks: int = 0) -> pl.DataFrame:
    """Crops of a made-up face: `look` draws what it looks like, `seed` how it moves."""
    base = np.random.default_rng(look).uniform(40, 215, (12, 12))
    moves = np.random.default_rng(1000 + seed).uniform(-60, 60, (TICKS + 20, 4))
    smooth = np.stack([np.convolve(m, np.ones(6) / 6, "same") for m in moves.T], 1)[shift_ticks:]
    crops = []
    for tick in range(TICKS):
        picture = base.copy()
        picture[7:10, 3:9] += smooth[tick, 0]
        picture[2:4, 1:5] += smooth[tick, 1]
        picture[2:4, 7:11] += smooth[tick, 2]
        picture[5:7, 5:7] += smooth[tick, 3]
        grey = cv2.resize(np.clip(picture, 0, 255).astype(np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)
        crops.append(cv2.imencode(".jpg", cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes())
    ticks = pl.Series(range(TICKS), dtype=pl.Int32)
    return pl.DataFrame({"content_id": name, "track": pl.Series([0] * TICKS, dtype=pl.Int16), "tick": ticks, "crop": crops})


def pairs(*tracks: pl.DataFrame, max_distance: float = 5, min_motion: float = 0.6) -> list[tuple[str, str]]:
    return list(pairs_of(as_frame(looks_of(pl.concat(tracks))), max_distance, min_motion).iter_rows())


def test_looks_are_of_every_fifth_tick() -> None:
    found = looks_of(track("a", 1))
    assert found.schema.equals(LOOKS, check_metadata=True)
    assert found["tick"].to_pylist() == list(range(0, TICKS, 5))


def test_a_copy_is_found_however_it_was_encoded_and_scaled() -> None:
    assert pairs(track("b", 1), track("a", 1, quality=30), track("c", 1, side=96)) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_the_same_face_that_moves_otherwise_is_no_copy() -> None:
    assert pairs(track("a", 1), track("b", 2)) == []
    assert pairs(track("a", 1), track("b", 2), min_motion=-1) == [("a", "b")]


def test_another_face_is_no_copy() -> None:
    assert pairs(track("a", 1), track("b", 1, look=1), min_motion=-1) == []


def test_two_faces_of_one_video_are_no_pair_and_order_changes_nothing() -> None:
    second = track("a", 1).with_columns(track=pl.lit(1, pl.Int16))
    looks = as_frame(looks_of(pl.concat([track("a", 1), second, track("b", 1)])))
    assert list(pairs_of(looks, 5, 0.6).iter_rows()) == [("a", "b")]
    assert pairs_of(looks, 5, 0.6).equals(pairs_of(looks.reverse(), 5, 0.6))


def test_too_little_in_common_is_no_pair() -> None:
    assert pairs(track("a", 1), track("b", 1).filter(pl.col("tick") < 20)) == []
    assert pairs(track("a", 1), track("b", 1).filter(pl.col("tick") < 25)) == [("a", "b")]


def test_no_faces_have_no_pairs() -> None:
    assert pairs(track("a", 1).head(0)) == []


def test_the_longest_then_largest_of_each_group_stays() -> None:
    from schemas.tables import INVENTORY

    rows = [
        video("a", fake=False) | {"width": 100, "height": 100},
        video("b", fake=False) | {"width": 200, "height": 100},
        video("c", fake=False) | {"width": 100, "height": 100, "duration_us": 2_000_000},
        video("d", fake=True, audio_fake=True), video("e", fake=True, audio_fake=True),
        video("f"), video("g"), video("h", fake=True, visual_fake=True),
    ]  # fmt: skip
    linked = [("a", "b"), ("b", "c"), ("a", "d"), ("d", "e"), ("f", "g"), ("a", "h")]
    near = pl.DataFrame([(f"id-{x}", f"id-{y}") for x, y in linked], schema=["content_id_a", "content_id_b"], orient="row")
    assert superfluous(videos_of(table(INVENTORY, rows)), near)["content_id"].sort().to_list() == ["id-a", "id-c", "id-g"]
