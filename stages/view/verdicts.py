"""Verdicts: one row per file of the inventory, summed up from the labels of its frames."""

from __future__ import annotations

from typing import Any, TypeVar

import polars as pl

_Table = TypeVar("_Table", pl.DataFrame, pl.LazyFrame)

VERDICTS = ("fake", "uncertain", "real", "unlabelled")
"""From the most to the least suspicious."""

OUTCOMES = ("labelled", "unlabelled", "filtered", "failed", "pending")
"""Every file has exactly one. `unlabelled`: scanned, but no frame could be labelled. `pending`: not scanned yet."""

UNCERTAIN_SHARE = 0.1
"""Without a fake segment, a video is uncertain from this share of frames that are not labelled real: single frames flicker."""

_BASES = ("total", "visual")
"""What a label may rest on, the better first."""

_TEXT = ("content_id", "uri", "outcome", "reason", "label", "basis", "modality", "stage", "detail", "provenance_id")
_SCORES = ("p_total", "p_audio", "p_visual", "evidence", "score")


def plain(table: _Table) -> _Table:
    """The table with text for categories, float32 for float16, and null for NaN: what the expressions here expect."""
    names = table.collect_schema().names()
    text = [pl.col(name).cast(pl.String) for name in _TEXT if name in names]
    scores = [pl.col(name).cast(pl.Float32).fill_nan(None) for name in _SCORES if name in names]
    return table.with_columns(*text, *scores)


def known_labels(inventory: pl.DataFrame, labels: pl.DataFrame | pl.LazyFrame) -> pl.LazyFrame:
    """Labels, plain, of what is in the inventory. Lazy: a row a frame of a large archive is more than memory holds."""
    known = inventory.lazy().select(pl.col("content_id").cast(pl.String)).drop_nulls().unique()
    return plain(labels.lazy()).join(known, on="content_id", how="semi")


def verdicts(
    inventory: pl.DataFrame, labels: pl.DataFrame | pl.LazyFrame, segments: pl.DataFrame, failures: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Sums up every file.

    A video is `fake` when it has frames labelled fake and a fake segment in the modality that its labels rest on;
    `uncertain` when it has other fake segments, or when `UNCERTAIN_SHARE` of its labelled frames are not real; otherwise `real`.

    Args:
        inventory: rows of INVENTORY; the same content under two names gives two rows.
        labels: rows of LABELS; content that the inventory does not know is left out.
        segments: rows of SEGMENTS.
        failures: rows of FAILURES; tells what became of videos that a later stage gave up on. Without it they are `pending`.

    Returns:
        One row per uri, the most suspicious first: content_id, uri, outcome, verdict, share_fake (of labelled frames), num_frames,
        num_labelled, num_fake, num_uncertain, faces, basis, max_score, strongest_* and longest_* segment (modality, start_s,
        end_s, score), num_segments, reason (why unlabelled), duration_s.
    """
    inventory = plain(inventory)
    known = inventory.select("content_id").drop_nulls().unique()
    labels = known_labels(inventory, labels)
    segments = plain(segments).join(known, on="content_id", how="semi")
    frames = _frame_sums(labels)
    rows = (
        inventory.select("content_id", "uri", "outcome", "reason", (pl.col("duration_us") / 1e6).alias("duration_s"))
        .join(frames, on="content_id", how="left")
        .join(_segment_sums(segments, frames), on="content_id", how="left")
        .join(_commonest_null_reason(labels), on="content_id", how="left")
        .join(_given_up(failures), on="content_id", how="left")
        .with_columns(pl.col("num_segments", "num_own_segments").fill_null(0))
    )
    outcome = (
        pl.when(pl.col("outcome") != "done").then("outcome")
        .when(pl.col("num_labelled") > 0).then(pl.lit("labelled"))
        .when(pl.col("late_outcome").is_not_null()).then("late_outcome")
        .when(pl.col("num_frames") > 0).then(pl.lit("unlabelled"))
        .otherwise(pl.lit("pending"))
    )  # fmt: skip
    doubtful = (pl.col("num_segments") > 0) | ((pl.col("num_fake") + pl.col("num_uncertain")) >= UNCERTAIN_SHARE * pl.col("num_labelled"))
    rows = rows.with_columns(outcome=outcome, first_outcome="outcome").with_columns(
        share_fake=pl.when(pl.col("num_labelled") > 0).then(pl.col("num_fake") / pl.col("num_labelled")),
        verdict=pl.when(pl.col("outcome") != "labelled").then(pl.lit("unlabelled"))
        .when((pl.col("num_own_segments") > 0) & (pl.col("num_fake") > 0)).then(pl.lit("fake"))
        .when(doubtful).then(pl.lit("uncertain"))
        .otherwise(pl.lit("real")),
        reason=pl.when(pl.col("outcome") == "labelled").then(None)
        .when(pl.col("first_outcome") != "done").then("reason")
        .otherwise(pl.coalesce("late_reason", "null_reason")),
    )  # fmt: skip
    suspicion = (
        pl.col("verdict").replace_strict({v: i for i, v in enumerate(VERDICTS)}, return_dtype=pl.Int8),
        *(-pl.col(name).fill_null(-1) for name in ("strongest_score", "share_fake", "max_score")),
        pl.col("uri"),
    )
    dropped = ("first_outcome", "late_outcome", "late_reason", "null_reason", "num_own_segments", "bases")
    return rows.sort(*suspicion).drop(*dropped)


def metrics(inventory: pl.DataFrame, labels: pl.DataFrame | pl.LazyFrame, segments: pl.DataFrame, failures: pl.DataFrame) -> dict[str, Any]:
    """Archive totals for DVC. Files count names, copies included; frames and segments count contents once.

    files = labelled + unlabelled + filtered + failed + pending. `frame_labels` has one per face and frame, and one per frame
    without a face: it is the sum of `frames_by_label`; null_frames_by_reason sums to its `null`.
    """
    files = verdicts(inventory, labels, segments, failures)
    known = files.select("content_id").drop_nulls().unique()
    segments = plain(segments).join(known, on="content_id", how="semi")
    outcomes, opinions = _counts(files, "outcome"), _counts(files, "verdict")
    frames = files.unique("content_id", keep="any")["num_frames"].sum()
    of_labels = _collect(known_labels(inventory, labels).group_by("label", "reason").agg(pl.len()))
    by_label = _counts(of_labels, "label", "len")
    return {
        "files": files.height,
        "videos": inventory.filter(pl.col("outcome").cast(pl.String) == "done").height,
        "copies": files["content_id"].drop_nulls().len() - known.height,
        **{name: outcomes.get(name, 0) for name in OUTCOMES},
        "verdicts": {name: opinions.get(name, 0) for name in VERDICTS},
        "frames": frames,
        "frame_labels": sum(by_label.values()),
        "frames_by_label": {name: by_label.get(name, 0) for name in ("real", "fake", "uncertain", "null")},
        "null_frames_by_reason": _counts(of_labels.filter(pl.col("label").is_null()), "reason", "len"),
        "fake_segments": {name: _counts(segments, "modality").get(name, 0) for name in ("total", "audio", "visual")},
    }


def _counts(table: pl.DataFrame, column: str, of: str | None = None) -> dict[str, int]:
    """Rows with each value, or the sum of `of` over them."""
    counted = table.group_by(column).agg(pl.len() if of is None else pl.col(of).sum())
    return {name or "null": count for name, count in counted.sort(column, nulls_last=True).iter_rows()}


def _collect(rows: pl.LazyFrame) -> pl.DataFrame:
    return rows.collect(engine="streaming")


def _frame_sums(labels: pl.LazyFrame) -> pl.DataFrame:
    labelled, visual = pl.col("label").is_not_null(), pl.col("basis") == "visual"
    score = pl.when(visual).then("p_visual").otherwise("p_total")
    sums = labels.group_by("content_id").agg(
        num_frames=pl.col("frame_index").n_unique(),
        num_labelled=labelled.sum(),
        num_fake=(pl.col("label") == "fake").sum(),
        num_uncertain=(pl.col("label") == "uncertain").sum(),
        faces=pl.col("track").drop_nulls().n_unique(),
        max_score=pl.when(labelled).then(score).max(),
        **{f"on_{basis}": (labelled & (pl.col("basis") == basis)).any() for basis in _BASES},
    )
    # A list of distinct texts for each video would cost more than all the rest.
    bases = pl.concat_list(pl.when(f"on_{basis}").then(pl.lit(basis)) for basis in _BASES).list.drop_nulls()
    return _collect(sums).with_columns(bases=bases).with_columns(basis=pl.col("bases").list.first()).drop(f"on_{b}" for b in _BASES)


def _segment_sums(segments: pl.DataFrame, frames: pl.DataFrame) -> pl.DataFrame:
    own = pl.col("bases").list.contains(pl.col("modality")).fill_null(False)
    length = pl.col("end_s") - pl.col("start_s")
    shape = ("modality", "start_s", "end_s", "score")
    tie = ("score", length, -pl.col("start_s"), "modality")
    by_length = (length, "score", -pl.col("start_s"), "modality")
    return (
        segments.join(frames.select("content_id", "bases"), on="content_id", how="left")
        .group_by("content_id")
        .agg(
            num_segments=pl.len(),
            num_own_segments=own.sum(),
            **{f"strongest_{name}": pl.col(name).sort_by(*tie).last() for name in shape},
            **{f"longest_{name}": pl.col(name).sort_by(*by_length).last() for name in shape},
        )
    )


def _commonest_null_reason(labels: pl.LazyFrame) -> pl.DataFrame:
    counted = _collect(labels.filter(pl.col("label").is_null()).group_by("content_id", "reason").len())
    ordered = counted.sort("len", "reason", descending=[True, False])
    return ordered.group_by("content_id").agg(null_reason=pl.col("reason").first())


def _given_up(failures: pl.DataFrame | None) -> pl.DataFrame:
    """For each content that a stage gave up on: what became of it, and why. The last attempt speaks."""
    if failures is None:
        return pl.DataFrame(schema={"content_id": pl.String, "late_outcome": pl.String, "late_reason": pl.String})
    rows = plain(failures).filter(pl.col("outcome") != "done", pl.col("content_id").is_not_null()).sort("attempt", "stage", "reason")
    return rows.group_by("content_id").agg(late_outcome=pl.col("outcome").last(), late_reason=pl.col("reason").last())
