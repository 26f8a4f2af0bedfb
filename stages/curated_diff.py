"""Curated diff: clips that came, went, changed their split or their target between two versions of a curated set."""

from __future__ import annotations

import polars as pl

from schemas.tables import CURATED_DIFF

ADDED, REMOVED, MOVED, RETARGETED = "added", "removed", "split", "target"
_TOLD = ("uri", "dataset", "split", "target", "target_from")
_TARGET = ("target", "target_from", "fake_spans", "audio_fake", "visual_fake")


def compare(a: pl.DataFrame, b: pl.DataFrame) -> pl.DataFrame:
    """Rows of CURATED_DIFF, one for each change of a clip, sorted by change and clip: a clip can change both split and target.

    Clips meet by `clip_id`: the bytes of the video, the track, the place. A clip of other fake spans has another target.

    Args:
        a: rows of CURATED, the older version.
        b: the newer one.
    """
    target = pl.struct(
        pl.col("target", "target_from", "audio_fake", "visual_fake"),
        pl.col("fake_spans").list.eval(pl.element().arr.to_list().list.eval(pl.element().cast(pl.String)).list.join(" ")).list.join(","),
    )
    sides = [frame.select("clip_id", *_TOLD, all=target.struct.json_encode(), there=pl.lit(True)) for frame in (a, b)]
    both = sides[0].join(sides[1], on="clip_id", how="full", suffix="_b", coalesce=True)
    met = pl.col("there").is_not_null() & pl.col("there_b").is_not_null()
    changes = {
        ADDED: pl.col("there").is_null(),
        REMOVED: pl.col("there_b").is_null(),
        MOVED: met & (pl.col("split") != pl.col("split_b")),
        RETARGETED: met & (pl.col("all") != pl.col("all_b")),
    }
    parts = [
        both.filter(condition).select(
            pl.lit(name).alias("change"),
            "clip_id",
            uri=pl.coalesce("uri_b", "uri"),
            dataset=pl.coalesce("dataset_b", "dataset"),
            **{f"{column}_{side}": f"{column}{suffix}" for column in _TOLD[2:] for side, suffix in (("a", ""), ("b", "_b"))},
        )
        for name, condition in changes.items()
    ]
    return pl.concat(parts).sort("change", "clip_id").select(CURATED_DIFF.names)
