"""Accounts: files and frames without a label, grouped by reason."""

from __future__ import annotations

from typing import Any

import polars as pl

from schemas.reasons import HELP, Reason
from stages.view.names import visible_name

MAX_FILES = 1000
"""Files named under one reason; the rest is counted."""

_OUTCOME_ORDER = ("failed", "unlabelled", "pending", "filtered", "done")
_OUTCOME_WORDS = {"done": "labelled, damaged"}


def help_text(reason: str | None, outcome: str | None = None) -> str:
    """What a reason means, in words."""
    if reason in HELP:  # a StrEnum hashes like its text
        return HELP[Reason(reason)]
    if reason is None:
        return "The run ended before this file's turn." if outcome == "pending" else "No reason was recorded."
    return "A reason that this version of FauScan does not know."


def null_frame_rows(totals: dict[str, Any]) -> list[dict[str, Any]]:
    """Reasons of frames without a label, the commonest first."""
    ordered = sorted(totals["null_frames_by_reason"].items(), key=lambda item: (-item[1], item[0]))
    return [{"reason": reason, "help": help_text(None if reason == "null" else reason), "count": count} for reason, count in ordered]


def latest_attempts(failures: pl.DataFrame) -> pl.DataFrame:
    """Failures without the earlier attempts at the same thing."""
    same = ["content_id", "uri", "stage", "reason", "outcome", "frame_from", "frame_to"]
    return failures.sort("attempt").unique(same, keep="last", maintain_order=True)


def trouble_rows(inventory: pl.DataFrame, summed: pl.DataFrame, failures: pl.DataFrame) -> list[dict[str, Any]]:
    """Every file without a label once, under its reason; then labelled files with damage, under each of their reasons.

    Args:
        inventory: rows of INVENTORY.
        summed: rows of `verdicts` over it.
        failures: rows of FAILURES.

    Returns:
        outcome, reason, help, count (files), files (name and note), left (files not named).
    """
    failures = latest_attempts(failures)
    early = inventory.filter(pl.col("outcome") != "done").select("uri", "detail")
    late = failures.filter(pl.col("outcome") != "done", pl.col("content_id").is_not_null()).sort("attempt", "stage", "reason")
    late = late.group_by("content_id").agg(pl.col("stage", "attempt").last(), late_detail=pl.col("detail").last())
    without = summed.filter(pl.col("outcome") != "labelled").select("content_id", "uri", "outcome", "reason")
    without = without.join(early, on="uri", how="left").join(late, on="content_id", how="left")
    without = without.with_columns(detail=pl.coalesce("detail", "late_detail"), frame_from=None, frame_to=None)
    labelled = summed.filter(outcome="labelled").select("content_id", "uri")
    damaged = labelled.join(failures.filter(outcome="done").drop("uri"), on="content_id", how="inner")
    columns = ["outcome", "reason", "uri", "stage", "detail", "frame_from", "frame_to", "attempt"]
    groups: dict[tuple[str, str | None], dict[str, list[str]]] = {}
    for table in (without, damaged):
        for row in table.select(columns).sort("uri", "stage", "frame_from", "detail").iter_rows(named=True):
            notes = groups.setdefault((row["outcome"], row["reason"]), {}).setdefault(row["uri"], [])
            notes.append(failure_note(row))
    ordered = sorted(groups.items(), key=lambda item: (_OUTCOME_ORDER.index(item[0][0]), -len(item[1]), item[0][1] or ""))
    return [
        {
            "outcome": _OUTCOME_WORDS.get(outcome, outcome),
            "reason": reason or "unknown",
            "help": help_text(reason, outcome),
            "count": len(files),
            "files": [{"name": visible_name(uri), "note": "; ".join(filter(None, files[uri]))} for uri in list(files)[:MAX_FILES]],
            "left": max(0, len(files) - MAX_FILES),
        }
        for (outcome, reason), files in ordered
    ]


def failure_note(row: dict[str, Any]) -> str:
    """Detail, frames and attempt of one failure, in one line."""
    parts = [visible_name(row["detail"])] if row["detail"] else []
    if row["frame_from"] is not None:
        last = row["frame_to"] if row["frame_to"] is not None else row["frame_from"]
        parts.append(f"frame {last}" if last == row["frame_from"] else f"frames {row['frame_from']}\N{EN DASH}{last}")
    if (row["attempt"] or 1) > 1:
        parts.append(f"attempt {row['attempt']}")
    return ", ".join(parts)
