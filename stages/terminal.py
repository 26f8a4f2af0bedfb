"""Terminal: one video's labels as sparklines, and the verdicts at the end of a run."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from stages.view.accounts import failure_note, help_text, latest_attempts
from stages.view.names import duration_text, span_text, visible_name
from stages.view.timeline import LABEL_OF_RANK, MODALITIES, Pooled, pool
from stages.view.verdicts import plain
from stages.view.video_entry import DASH, media_text, percent, video_duration_s

BLOCKS = "▁▂▃▄▅▆▇█"
NO_SCORE = "·"
LABEL_MARKS = {"real": "─", "uncertain": "▒", "fake": "█", None: " "}
STYLES = {"real": "blue", "uncertain": "yellow", "fake": "bold red", "unlabelled": "dim", None: "dim"}

MAX_TRACKS = 8
MAX_SEGMENTS = 20
_MARGIN = 8  # names of the lanes


def show(
    uri: str, video: dict[str, Any], labels: pl.DataFrame, segments: pl.DataFrame, failures: pl.DataFrame, width: int
) -> RenderableType:
    """One video, top to bottom: what it is, its scores over time, its fake segments, and what has no label and why.

    Args:
        uri: the name to show.
        video: its row of INVENTORY.
        labels: its rows of LABELS; none where it was never scored.
        segments: its rows of SEGMENTS.
        failures: its rows of FAILURES.
        width: columns of the terminal.
    """
    labels, segments, failures = plain(labels), plain(segments), latest_attempts(plain(failures))
    parts: list[RenderableType] = [_headline(uri, video, labels)]
    if labels.height:
        parts += _timelines(labels, video_duration_s(video, labels), max(10, width - _MARGIN))
        parts += [_segment_table(segments), _label_counts(labels)]
        parts += [_segments_left(segments)] if segments.height > MAX_SEGMENTS else []
        parts += _null_reasons(labels)
    elif video["outcome"] != "done":
        detail = f" {visible_name(video['detail'])}" if video["detail"] else ""
        parts.append(Text(f"{video['outcome']}: {video['reason']}. {help_text(video['reason'])}{detail}"))
    else:
        parts.append(Text("No labels."))
    for row in failures.sort("stage", "reason", "frame_from").iter_rows(named=True):
        note = failure_note(row)
        line = f"{row['stage']}: {row['reason']}{f' ({note})' if note else ''}. {help_text(row['reason'])}"
        parts.append(Text(f"{'damaged' if row['outcome'] == 'done' else row['outcome']} in {line}"))
    return Group(*parts)


def verdict_table(verdicts: pl.DataFrame) -> Table:
    """A table of rows of `stages.view.verdicts`, in their order."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    # Eighty columns must hold everything but a long name, which folds.
    table.add_column("video", overflow="fold", ratio=1)
    table.add_column("verdict", no_wrap=True)
    table.add_column("fake", justify="right", no_wrap=True, min_width=4)
    table.add_column("strongest span", overflow="fold", max_width=17)
    table.add_column("basis", no_wrap=True, min_width=7)
    for row in verdicts.iter_rows(named=True):
        segment = DASH
        if row["strongest_modality"]:
            segment = f"{row['strongest_modality']} {span_text(row['strongest_start_s'], row['strongest_end_s'])}"
            segment += f" {row['strongest_score']:.2f}" if row["strongest_score"] is not None else ""
        why = row["basis"] if row["verdict"] != "unlabelled" else row["reason"] or row["outcome"]
        verdict = Text(row["verdict"], STYLES[row["verdict"]])
        table.add_row(Text(visible_name(row["uri"])), verdict, percent(row["share_fake"]), segment, Text(why or DASH))
    return table


def _headline(uri: str, video: dict[str, Any], labels: pl.DataFrame) -> Text:
    faces = labels["track"].drop_nulls().n_unique()
    duration = duration_text(video_duration_s(video, labels)) if labels.height or video["duration_us"] else "unknown length"
    counted = f"{faces} face{'' if faces == 1 else 's'}" if labels.height else "not scored"
    media = media_text(video) if video["video_codec"] else "not decoded"
    return Text.assemble((visible_name(uri), "bold"), "\n", (f"{duration}, {media}; {counted}", "dim"))


def _timelines(labels: pl.DataFrame, duration_s: float, width: int) -> list[RenderableType]:
    tracks: list[int | None] = labels["track"].drop_nulls().unique().sort().to_list() or [None]
    parts: list[RenderableType] = []
    for track in tracks[:MAX_TRACKS]:
        points = pool(labels, track, width)
        parts.append(Text("\nsound, no face" if track is None else f"\nface {track}"))
        parts += [_sparkline(name, points) for name in MODALITIES]
        marks = Text(f"{'label':<{_MARGIN}}", "dim")
        for rank in points.ranks.tolist():
            label = LABEL_OF_RANK[rank]
            marks.append(LABEL_MARKS[label], STYLES[label])
        end = f"{duration_s:.1f} s"
        parts += [marks, Text(" " * _MARGIN + "0 s" + end.rjust(max(len(end) + 1, len(points.ranks) - 3)), "dim")]
    if len(tracks) > MAX_TRACKS:
        parts.append(Text(f"and {len(tracks) - MAX_TRACKS} more faces", "dim"))
    legend = Text("label: ", "dim")
    for label in ("fake", "uncertain", "real"):
        legend.append(f"{LABEL_MARKS[label]} {label}  ", STYLES[label])
    return [*parts, legend.append(f"{NO_SCORE} no score", "dim")]


def _sparkline(name: str, points: Pooled) -> Text:
    line = Text(f"{name:<{_MARGIN}}", "dim")
    for block, rank in zip(_blocks(points.scores[name]), points.ranks.tolist(), strict=True):
        line.append(block, STYLES[None if block == NO_SCORE else LABEL_OF_RANK[rank]])
    return line


def _blocks(scores: NDArray[np.float32]) -> list[str]:
    known = ~np.isnan(scores)
    level = np.minimum(np.clip(np.nan_to_num(scores), 0, 1) * len(BLOCKS), len(BLOCKS) - 1).astype(int)
    return [BLOCKS[k] if k_known else NO_SCORE for k, k_known in zip(level.tolist(), known.tolist(), strict=True)]


def _segment_table(segments: pl.DataFrame) -> RenderableType:
    if segments.height == 0:
        return Text("\nNo fake segments.")
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), title_justify="left", title="\nFake segments", title_style="")
    for column, justify in (("modality", "left"), ("face", "right"), ("time", "right"), ("score", "right")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    ranked = segments.sort("score", "start_s", "modality", descending=[True, False, False], nulls_last=True).head(MAX_SEGMENTS)
    for row in ranked.sort("start_s", "modality", "track").iter_rows(named=True):
        face = DASH if row["track"] is None else str(row["track"])
        score = DASH if row["score"] is None else f"{row['score']:.2f}"
        table.add_row(row["modality"], face, span_text(row["start_s"], row["end_s"]), score)
    return table


def _segments_left(segments: pl.DataFrame) -> Text:
    return Text(f"{segments.height - MAX_SEGMENTS} weaker segments are not listed.", "dim")


def _label_counts(labels: pl.DataFrame) -> Text:
    counts = Counter(labels["label"].to_list())
    line = Text("\nFrames: ")
    for label in ("fake", "uncertain", "real"):
        line.append(f"{counts[label]:,} {label}", STYLES[label]).append(", ")
    return line.append(f"{counts[None]:,} without a label")


def _null_reasons(labels: pl.DataFrame) -> list[Text]:
    counts = Counter(labels.filter(pl.col("label").is_null())["reason"].to_list())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0] or ""))
    return [Text(f"  {count:,} {reason or 'unknown'}: {help_text(reason)}") for reason, count in ordered]
