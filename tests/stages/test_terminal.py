"""The terminal view: sparklines, reasons in words, and names that can't command the terminal."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console, RenderableType

from schemas.reasons import HELP, Reason
from schemas.tables import FAILURES, INVENTORY, LABELS, SEGMENTS
from stages import terminal
from stages.view.verdicts import verdicts

HOSTILE = "<script>[bold red]x[/]\x1b[2J\nname\u202e.mp4"


def table(schema: Any, rows: list[dict[str, Any]]) -> pl.DataFrame:
    empty = pl.DataFrame(schema.empty_table())
    full = [{name: row.get(name) for name in empty.columns} for row in rows]
    return pl.DataFrame(full, schema=empty.schema) if full else empty


def printed(what: RenderableType, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


VIDEO: dict[str, Any] = dict.fromkeys(INVENTORY.names) | {
    "content_id": "c", "uri": "a.mp4", "outcome": "done", "video_codec": "h264", "width": 640, "height": 480, "frame_rate": 29.97,
    "is_vfr": False, "duration_us": 2_000_000, "has_audio": True, "audio_codec": "aac", "audio_rate_hz": 44100, "audio_channels": 2,
}  # fmt: skip


def frames(num_frames: int = 50, fake: range = range(0), track: int | None = 0, sound: bool = True) -> list[dict[str, Any]]:
    rows = []
    for i in range(num_frames):
        p = 0.95 if i in fake else 0.05
        row = {"content_id": "c", "track": track, "frame_index": i, "pts_us": i * 40_000, "p_visual": p, "evidence": p}
        row |= {"p_total": p, "p_audio": 0.05} if sound else {"reason": "no_audio"}
        rows.append(row | {"label": "fake" if i in fake else "real", "basis": "total" if sound else "visual"})
    return rows


def shown(
    rows: list[dict[str, Any]], segments: list[dict[str, Any]] | None = None, failures: list[dict[str, Any]] | None = None,
    video: dict[str, Any] | None = None, width: int = 100,
) -> str:  # fmt: skip
    video = VIDEO | (video or {})
    tables = table(LABELS, rows), table(SEGMENTS, segments or []), table(FAILURES, failures or [])
    return printed(terminal.show(video["uri"], video, *tables, width), width)


def lane(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(name))[8:].rstrip()


def test_headline_tells_what_the_file_is() -> None:
    assert shown(frames()).splitlines()[:2] == [
        "a.mp4",
        "2.0 s, h264 640\N{MULTIPLICATION SIGN}480, 29.97 fps; aac, 44.1 kHz, 2 channels; 1 face",
    ]


def test_sparkline_rises_where_the_frames_are_fake_and_the_label_line_says_so_without_colour() -> None:
    text = shown(frames(fake=range(10, 20)))
    assert lane(text, "total") == "▁" * 10 + "█" * 10 + "▁" * 30
    assert lane(text, "label") == "─" * 10 + "█" * 10 + "─" * 30
    assert "10 fake, 0 uncertain, 40 real, 0 without a label" in text


def test_a_spike_of_one_frame_shows_in_a_narrow_terminal() -> None:
    text = shown(frames(5000, fake=range(3210, 3211)), width=40)
    assert lane(text, "total").count("█") == 1
    assert all(len(line) <= 40 for line in text.splitlines())


def test_sparkline_has_dots_where_there_is_no_score_and_reasons_are_in_words() -> None:
    rows = frames()
    for row in rows[:20]:
        row |= {"track": None, "p_total": None, "p_visual": None, "label": None, "reason": "no_face"}
    text = shown(rows)
    assert lane(text, "total") == "·" * 20 + "▁" * 30
    assert lane(text, "audio") == "▁" * 50
    assert f"20 no_face: {HELP[Reason.NO_FACE]}" in text


def test_a_video_without_sound_has_an_empty_audio_line() -> None:
    text = shown(frames(sound=False), video={"has_audio": False})
    assert set(lane(text, "audio")) == {"·"}
    assert "no sound" in text


def test_two_faces_have_a_timeline_each() -> None:
    text = shown(frames(track=0) + frames(track=1, fake=range(5)))
    assert "face 0" in text and "face 1" in text and "2 faces" in text


def test_segments_are_listed_in_order_of_time() -> None:
    spans = [
        {"content_id": "c", "track": 0, "modality": "total", "start_s": 1.0, "end_s": 1.5, "score": 0.91},
        {"content_id": "c", "track": None, "modality": "audio", "start_s": 0.2, "end_s": 0.6, "score": 0.8},
    ]
    text = shown(frames(), spans)
    assert text.index("0.20\N{EN DASH}0.60 s") < text.index("1.00\N{EN DASH}1.50 s")
    assert "0.91" in text


def test_damage_and_failure_are_in_words() -> None:
    damage = {"content_id": "c", "stage": "faces", "reason": "bad_packets", "outcome": "done", "detail": "2 packets", "frame_from": 3}
    text = shown(frames(), failures=[damage], width=200)
    assert f"damaged in faces: bad_packets (2 packets, frame 3). {HELP[Reason.BAD_PACKETS]}" in text
    broken = {"outcome": "failed", "reason": "open_failed", "detail": "no moov", "video_codec": None, "duration_us": None}
    text = shown([], video=broken, width=200)
    assert f"failed: open_failed. {HELP[Reason.OPEN_FAILED]} no moov" in text
    assert "not scored" in text


@pytest.mark.parametrize("width", [10, 20, 200])
def test_any_width_will_do(width: int) -> None:
    assert shown(frames(track=None), width=width)


def test_names_cannot_command_the_terminal_or_the_markup() -> None:
    text = shown(frames(), video={"uri": HOSTILE})
    assert text.splitlines()[0] == "<script>[bold red]x[/]\\u001b[2J\\nname\\u202e.mp4"


def test_verdict_table_has_a_row_for_every_file() -> None:
    text_file = {"content_id": None, "uri": "b.txt", "outcome": "filtered", "reason": "not_a_video"}
    inventory = [VIDEO, VIDEO | {"uri": HOSTILE}, VIDEO | text_file]
    span = {"content_id": "c", "track": 0, "modality": "total", "start_s": 0.4, "end_s": 0.8, "score": 0.95}
    tables = table(INVENTORY, inventory), table(LABELS, frames(fake=range(10, 20))), table(SEGMENTS, [span])
    text = printed(terminal.verdict_table(verdicts(*tables)), 140)
    assert "\x1b" not in text
    assert text.count("total 0.40\N{EN DASH}0.80 s") == 2
    assert "20 %" in text
    assert "not_a_video" in text.splitlines()[-1]


def test_blocks_span_the_whole_range() -> None:
    assert "".join(terminal._blocks(np.array([0, 0.124, 0.126, 0.5, 0.999, 1, np.nan], np.float32))) == "▁▁▂▅██·"
