"""Video entry: everything that the report says about one video."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import polars as pl

from stages.view.accounts import failure_note, latest_attempts
from stages.view.names import duration_text, span_text, visible_name
from stages.view.thumbnails import Picture
from stages.view.timeline import Block, Chart, Lane, chart
from stages.view.truth import TruthEntry

MAX_POINTS = 600
MAX_TRACKS = 6
"""Timelines of one video; the most suspicious faces. The page says how many were left out."""

MAX_SEGMENTS = 12
DASH = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class DrawnChart:
    """A chart with the words around it."""

    title: str
    aria: str
    lanes: list[Lane]
    labels: list[Block]
    ticks: list[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class VideoEntry:
    """One row of the table of videos and what unfolds below it."""

    content_id: str
    names: list[str]
    search: str
    verdict: str
    share: float  # -1: no labelled frame
    share_text: str
    score: float  # of the strongest segment, -1 without one
    strongest: str
    duration_s: float
    duration: str
    faces: int
    basis: str | None
    notes: list[str]
    media: str
    frames_text: str
    charts: list[DrawnChart]
    charts_text: str
    thumbs: list[dict[str, str]]
    thumbs_title: str
    segments: list[dict[str, str]]
    segments_left: int
    truth: TruthEntry | None = None


def video_entry(
    summed: dict[str, Any],
    media: dict[str, Any],
    names: list[str],
    labels: pl.DataFrame,
    segments: pl.DataFrame,
    damage: pl.DataFrame,
    pictures: list[Picture],
    draw: bool,
    truth: TruthEntry | None = None,
) -> VideoEntry:
    """Puts one video into words.

    Args:
        summed: its row of `verdicts`.
        media: its row of INVENTORY.
        names: all its uris.
        labels: its rows of LABELS.
        segments: its rows of SEGMENTS.
        damage: its rows of FAILURES with outcome `done`.
        pictures: its strongest frames.
        draw: whether it gets timelines.
        truth: what is known of it.
    """
    shown = [visible_name(name) for name in names]
    duration_s = video_duration_s(media, labels)
    score = summed["strongest_score"]
    charts, charts_left = _charts(labels, segments, duration_s) if draw else ([], 0)
    ranked = segments.sort("score", "start_s", "modality", "track", descending=[True, False, False, False], nulls_last=True)
    strongest = ""
    if summed["strongest_modality"]:
        span = span_text(summed["strongest_start_s"], summed["strongest_end_s"])
        strongest = f"{summed['strongest_modality']} {span} \N{MIDDLE DOT} {DASH if score is None else f'{score:.2f}'}"
    return VideoEntry(
        content_id=summed["content_id"],
        names=shown,
        search="\n".join(shown).lower(),
        verdict=summed["verdict"],
        share=-1 if summed["share_fake"] is None else round(summed["share_fake"], 4),
        share_text=percent(summed["share_fake"]),
        score=-1 if score is None else round(score, 4),
        strongest=strongest,
        duration_s=round(duration_s, 3),
        duration=duration_text(duration_s),
        faces=summed["faces"] or 0,
        basis=summed["basis"],
        notes=_notes(summed, media, shown, labels, damage),
        media=media_text(media),
        frames_text=_frames_text(labels),
        charts=charts,
        charts_text=_charts_text(draw, charts_left),
        thumbs=[_thumb(picture) for picture in pictures],
        thumbs_title="Strongest frames" if any(p.pick.label == "fake" for p in pictures) else "Frames with the highest score",
        segments=[_segment_text(row) for row in ranked.head(MAX_SEGMENTS).iter_rows(named=True)] if draw else [],
        segments_left=max(0, ranked.height - MAX_SEGMENTS) if draw else 0,
        truth=truth,
    )


def video_duration_s(media: dict[str, Any], labels: pl.DataFrame) -> float:
    """From the inventory, or to the last frame where that is later or the inventory does not know; never 0."""
    last_us = labels["pts_us"].max() if labels.height else 0
    return max((media["duration_us"] or 0) / 1e6, float(last_us or 0) / 1e6 + 0.04)  # type: ignore[arg-type]


def media_text(media: dict[str, Any]) -> str:
    """`h264 1280x720, 29.97 fps; aac 44.1 kHz, 2 channels`."""
    video = [media["video_codec"] or "unknown codec"]
    if media["width"] and media["height"]:
        video.append(f"{media['width']}\N{MULTIPLICATION SIGN}{media['height']}")
    rate = f"{media['frame_rate']:.2f}".rstrip("0").rstrip(".") + " fps" if media["frame_rate"] else "unknown rate"
    text = " ".join(video) + f", {rate}" + (" on average (variable)" if media["is_vfr"] else "")
    if not media["has_audio"]:
        return f"{text}; no sound"
    sound = [media["audio_codec"] or "sound"]
    sound += [f"{media['audio_rate_hz'] / 1000:g} kHz"] if media["audio_rate_hz"] else []
    channels = media["audio_channels"]
    sound += [f"{channels} channel{'' if channels == 1 else 's'}"] if channels else []
    return f"{text}; {', '.join(sound)}"


def percent(share: float | None) -> str:
    """Never rounds something to 0 % nor less than all to 100 %."""
    if share is None:
        return DASH
    if 0 < share < 0.01:
        return "<1 %"
    return ">99 %" if 0.99 < share < 1 else f"{100 * share:.0f} %"


def _charts(labels: pl.DataFrame, segments: pl.DataFrame, duration_s: float) -> tuple[list[DrawnChart], int]:
    """A chart for each of the most suspicious faces, in the order of their numbers; and how many faces have none."""
    fake = (pl.col("label") == "fake").sum()
    highest = pl.max_horizontal("p_total", "p_visual").max()
    seen = labels.filter(pl.col("track").is_not_null()).group_by("track").agg(fake=fake, highest=highest)
    tracks: list[int | None] = seen.sort("fake", "highest", "track", descending=[True, True, False], nulls_last=True)["track"].to_list()
    if not tracks and labels.height:
        tracks = [None]
    numbered = len(tracks) > 1
    kept = sorted(tracks[:MAX_TRACKS], key=lambda track: -1 if track is None else track)
    drawn = [_with_words(chart(labels, segments, track, duration_s, MAX_POINTS), duration_s, numbered) for track in kept]
    return drawn, len(tracks) - len(kept)


def _with_words(lanes: Chart, duration_s: float, numbered: bool) -> DrawnChart:
    title = "Sound; no face" if lanes.track is None else f"Face {lanes.track}" if numbered else "Scores over time"
    found = [f"{lane.name} {span.title}" for lane in lanes.lanes for span in lane.spans]
    said = f"fake segments: {'; '.join(found[:MAX_SEGMENTS])}" if found else "no fake segment"
    names = ", ".join(lane.name for lane in lanes.lanes) or "none"
    return DrawnChart(title, f"{title}, {duration_s:.1f} seconds, scores: {names}; {said}", lanes.lanes, lanes.labels, lanes.ticks)


def _charts_text(draw: bool, num_left: int) -> str:
    if not draw:
        return "No timeline: the report draws the most suspicious videos only (report.max_timelines)."
    return f"{num_left} less suspicious face{' is' if num_left == 1 else 's are'} not drawn." if num_left else ""


def _notes(summed: dict[str, Any], media: dict[str, Any], names: list[str], labels: pl.DataFrame, damage: pl.DataFrame) -> list[str]:
    notes = [f"{len(names)} files with the same bytes"] if len(names) > 1 else []
    if summed["verdict"] == "unlabelled":
        notes.append(f"no frame could be labelled: {summed['reason'] or 'no reason recorded'}")
    if not media["has_audio"]:
        notes.append("no sound, labelled from the picture")
    elif picture_only := labels.filter(pl.col("label").is_not_null(), pl.col("basis") == "visual").height:
        notes.append(f"{picture_only:,} frames labelled from the picture alone")
    if summed["verdict"] != "fake" and summed["num_segments"]:
        notes.append(f"only the {summed['strongest_modality']} scores look fake")
    without = _null_reasons(labels)
    if without and summed["verdict"] != "unlabelled":
        notes.append(f"without a label: {without}")
    for row in latest_attempts(damage).sort("stage", "reason", "frame_from").iter_rows(named=True):
        notes.append(f"damaged: {row['reason']} {failure_note(row)}".strip())
    return notes


def _null_reasons(labels: pl.DataFrame) -> str:
    counts = Counter(labels.filter(pl.col("label").is_null())["reason"].to_list())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0] or ""))
    return ", ".join(f"{count:,} {reason or 'no reason recorded'}" for reason, count in ordered)


def _frames_text(labels: pl.DataFrame) -> str:
    counts = Counter(labels["label"].to_list())
    parts = [f"{counts[name]:,} {name}" for name in ("fake", "uncertain", "real")]
    text = f"{labels['frame_index'].n_unique():,} frames; labels: {', '.join(parts)}, {counts[None]:,} without"
    return f"{text} ({_null_reasons(labels)})" if counts[None] else text


def _segment_text(row: dict[str, Any]) -> dict[str, str]:
    face = DASH if row["track"] is None else str(row["track"])
    score = DASH if row["score"] is None else f"{row['score']:.2f}"
    return {"modality": row["modality"], "face": face, "span": span_text(row["start_s"], row["end_s"]), "score": score}


def _thumb(picture: Picture) -> dict[str, str]:
    pick = picture.pick
    time = f"{pick.pts_us / 1e6:.2f} s"
    note = f"score {pick.score:.2f}" + ("" if pick.evidence is None else f", evidence {pick.evidence:+.2f}")
    alt = f"Face {pick.key[1]} at {time}, frame {pick.key[2]}, {pick.label or 'no label'}, {note}"
    return {"data": picture.data, "time": time, "note": note, "alt": alt}
