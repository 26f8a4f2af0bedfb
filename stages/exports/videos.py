"""Videos: what is known of each video that a curated set has clips of."""

from __future__ import annotations

from typing import Any

import polars as pl

from stages.exports.spans import merged

_TRUTH = ("fake", "audio_fake", "visual_fake", "spans", "audio_spans", "visual_spans", "source", "identities", "methods")
_MEDIA = (
    "width", "height", "rotation_deg", "frame_rate", "num_packets", "origin_us", "duration_us", "audio_channels", "audio_start_us",
    "audio_end_us", "size_bytes",
)  # fmt: skip


def videos_of(selection: pl.DataFrame, inventory: pl.DataFrame) -> list[dict[str, Any]]:
    """One row for each uri of the selection, sorted by it.

    Truth is that of the whole video where the inventory has it, else what the clips say together.

    Args:
        selection: rows of CURATED.
        inventory: rows of INVENTORY; a video that is no longer in it has null facts.

    Returns:
        Dicts with uri, content_id, dataset, split, clips, from_truth, fake, audio_fake, visual_fake, spans, audio_spans,
        visual_spans (lists of [start, end] seconds, or None), methods, source, identities, and the columns of the media.
    """
    known = {row["uri"]: row for row in inventory.to_dicts()}
    videos = []
    for (uri,), clips in selection.sort("uri", "start_tick").group_by("uri", maintain_order=True):
        row = known.get(str(uri), {})
        has_truth = row.get("truth_fake") is not None
        said = {name: row.get(f"truth_{name}") for name in _TRUTH} if has_truth else _together(clips)
        videos.append(
            {"uri": uri, **{name: clips[name][0] for name in ("content_id", "dataset", "split")}, "clips": clips.height}
            | {"from_truth": has_truth, "present": bool(row)}
            | {name: row.get(name) for name in _MEDIA}
            | said
            | {"methods": said["methods"] or [], "identities": said["identities"] or []}
        )
    return videos


def streams_of(row: dict[str, Any], fake: str = "fake") -> tuple[bool, bool]:
    """(audio, visual): which streams are fake, as formats that know no "unknown" must have it.

    A fake of which nobody says how counts as forged to the eye, unless that is what is ruled out.
    """
    if not row[fake]:
        return False, False
    audio, visual = row["audio_fake"], row["visual_fake"]
    if audio is None and visual is None:
        return False, True
    return audio if audio is not None else not visual, visual if visual is not None else not audio


def is_guess(row: dict[str, Any]) -> bool:
    """Whether `streams_of` had to assume something."""
    return bool(row["fake"]) and (row["audio_fake"] is None or row["visual_fake"] is None)


def total_spans(video: dict[str, Any]) -> list[list[float]]:
    """Fake seconds of a video, where formats want spans: from end to end for a fake of which nothing is known of when."""
    if not video["fake"]:
        return []
    if video["spans"] is None:
        return [[0.0, (video["duration_us"] or 0) / 1e6]]
    return [list(span) for span in video["spans"]]


def stream_spans(video: dict[str, Any], stream: str) -> list[list[float]]:
    """As `total_spans`, of one stream."""
    audio, visual = streams_of(video)
    if not (audio if stream == "audio" else visual):
        return []
    own = video[f"{stream}_spans"]
    return total_spans(video) if own is None else [list(span) for span in own]


def _together(clips: pl.DataFrame) -> dict[str, Any]:
    """What the clips of one video say, none of them with truth."""
    fake = bool((clips["target"] == "fake").any())
    rows = clips.to_dicts()
    spans = [span for row in rows for span in row["fake_spans"] or ([] if row["target"] == "real" else [_whole(row)])]
    streams = {name: _any(clips[name].to_list()) if fake else False for name in ("audio_fake", "visual_fake")}
    return {
        "fake": fake,
        **streams,
        "spans": merged(spans),
        "audio_spans": None,
        "visual_spans": None,
        "source": rows[0]["source"],
        "identities": rows[0]["identities"],
        "methods": sorted({m for row in rows for m in row["methods"] or ()}),
    }


def _whole(row: dict[str, Any]) -> tuple[float, float]:
    return row["start_us"] / 1e6, row["end_us"] / 1e6


def _any(values: list[bool | None]) -> bool | None:
    return True if True in values else None if None in values else False
