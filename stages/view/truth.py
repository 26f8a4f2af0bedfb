"""Truth: what is known of a video, in words; always called truth, as it is no opinion of the network."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import polars as pl

from stages.view.names import span_text, visible_name

_MAX_SPANS, _MAX_KINDS = 8, 8
_WORDS = {True: "fake", False: "real", None: "not known"}


@dataclass(frozen=True, slots=True)
class TruthEntry:
    """`word`: fake, real, not known, or contradictory; `text`: streams, spans, method and data set."""

    word: str
    text: str


def truth_entry(rows: pl.DataFrame) -> TruthEntry | None:
    """What is known of one content; None where nothing is.

    Args:
        rows: rows of INVENTORY of all files that hold it.
    """
    told = [row for row in rows.sort("uri").iter_rows(named=True) if row["truth_dataset"] is not None]
    if not told:
        return None
    words = list(dict.fromkeys(_WORDS[row["truth_fake"]] for row in told))
    return TruthEntry(words[0] if len(words) == 1 else "contradictory", " / ".join(dict.fromkeys(_text(row) for row in told)))


def _text(row: dict[str, Any]) -> str:
    parts = [_stream("picture", row["truth_visual_fake"], row["truth_visual_spans"])]
    parts.append(_stream("sound", row["truth_audio_fake"], row["truth_audio_spans"]))
    if row["truth_visual_spans"] is None and row["truth_audio_spans"] is None and row["truth_spans"]:
        parts.append(f"fake {_spans(row['truth_spans'])}")
    parts += ["+".join(row["truth_methods"])] if row["truth_methods"] else []
    parts += [f"split {row['truth_split']}"] if row["truth_split"] else []
    parts.append(f"by {row['truth_dataset']}")
    parts += [row["truth_note"]] if row["truth_note"] else []
    return visible_name("; ".join(parts))


def _stream(name: str, is_fake: bool | None, spans: list[list[float]] | None) -> str:
    where = f" {_spans(spans)}" if is_fake and spans else ""
    return f"{name} {_WORDS[is_fake]}{where}"


def _spans(spans: list[list[float]]) -> str:
    shown = ", ".join(span_text(start, end) for start, end in spans[:_MAX_SPANS])
    return shown + (f" and {len(spans) - _MAX_SPANS} more spans" if len(spans) > _MAX_SPANS else "")


def truth_summary(inventory: pl.DataFrame, problems: pl.DataFrame | None) -> str:
    """Of how many files the truth is known, and what does not match; empty where there is no truth and no trouble with it.

    Args:
        inventory: rows of INVENTORY.
        problems: rows of TRUTH_PROBLEMS.
    """
    known = inventory.filter(pl.col("truth_dataset").is_not_null())
    trouble = Counter(problems["kind"].to_list()) if problems is not None else Counter[str]()
    if known.is_empty() and not trouble:
        return ""
    counts = Counter(known["truth_dataset"].to_list())
    named = ", ".join(f"{count:,} of {visible_name(name)}" for name, count in counts.most_common(_MAX_KINDS))
    text = f"Truth, as metadata in the archive tells it, is known of {known.height:,} files{f' ({named})' if named else ''}."
    text += " Labels and verdicts take no notice of it."
    if trouble:
        listed = ", ".join(f"{count:,} {kind}" for kind, count in sorted(trouble.items()))
        text += f" What does not match: {listed} (data/truth_problems.parquet)."
    return text
