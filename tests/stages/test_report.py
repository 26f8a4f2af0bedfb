"""The report: what it counts, what it says, and that a file name can do no harm."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import cv2
import numpy as np
import polars as pl
import pytest

from schemas.params import ReportParams
from schemas.reasons import HELP, Reason
from schemas.tables import FAILURES, INVENTORY, LABELS, PROVENANCE, SEGMENTS
from stages import report
from stages.view import accounts, timeline

HOSTILE = [
    "<script>alert(1)</script>.mp4",
    "line\nbreak \"quoted\" 'single'.mp4",
    "\u202egpj.exe \u05e9\u05dc\u05d5\u05dd.mp4",
    "</title></script><img src=x onerror=alert(1)>{{ 7*7 }}.mp4",
    "\x1b[31mred\x07.mp4",
]


def table(schema: Any, rows: list[dict[str, Any]]) -> pl.DataFrame:
    empty = pl.DataFrame(schema.empty_table())
    full = [{name: row.get(name) for name in empty.columns} for row in rows]
    return pl.DataFrame(full, schema=empty.schema) if full else empty


class Archive:
    """Synthetic tables of an archive; each method adds one video."""

    def __init__(self) -> None:
        self.inventory: list[dict[str, Any]] = []
        self.labels: list[dict[str, Any]] = []
        self.segments: list[dict[str, Any]] = []
        self.failures: list[dict[str, Any]] = []
        self.crop_requests: list[list[tuple[str, int, int]]] = []

    def file(self, uri: str, outcome: str = "done", reason: str | None = None, detail: str | None = None, **more: Any) -> str:
        content_id = more.pop("content_id", f"{len(self.inventory):032x}")
        media = {"video_codec": "h264", "width": 640, "height": 480, "frame_rate": 25.0, "is_vfr": False, "duration_us": 4_000_000}
        sound = {"has_audio": True, "audio_codec": "aac", "audio_rate_hz": 16000, "audio_channels": 1}
        row = {"content_id": content_id, "uri": uri, "outcome": outcome, "reason": reason, "detail": detail}
        self.inventory.append(media | sound | row | more)
        return str(content_id)

    def video(
        self, uri: str, num_frames: int = 100, fake: range = range(0), tracks: int = 1, sound: bool = True, fake_track: int = 0, **more: Any
    ) -> str:
        content_id = self.file(uri, has_audio=sound, duration_us=num_frames * 40_000, **more)
        wave = np.random.default_rng(num_frames).normal(0, 0.05, num_frames)
        for track in range(tracks):
            for i in range(num_frames):
                is_fake = i in fake and track == fake_track
                p = float(np.clip((0.9 if is_fake else 0.15) + wave[i], 0, 1))
                row = {"content_id": content_id, "track": track, "frame_index": i, "pts_us": i * 40_000, "p_visual": p}
                row |= {"p_total": p, "p_audio": 0.2} if sound else {"reason": "no_audio"}
                row |= {"label": "fake" if is_fake else "real", "basis": "total" if sound else "visual", "evidence": 10 * (p - 0.5)}
                self.labels.append(row | {"box": [0.0, 0.0, 9.0, 9.0], "provenance_id": "p1"})
        if fake:
            span = {"start_s": fake.start / 25, "end_s": fake.stop / 25, "score": 0.9, "track": fake_track}
            self.segments.append({"content_id": content_id, "modality": "total" if sound else "visual", **span})
        return content_id

    def tables(self) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        return (
            table(INVENTORY, self.inventory),
            table(LABELS, self.labels),
            table(SEGMENTS, self.segments),
            table(FAILURES, self.failures),
        )

    def thumbnails(self, keys: list[tuple[str, int, int]]) -> dict[tuple[str, int, int], bytes]:
        self.crop_requests.append(keys)
        image = np.full((160, 160, 3), 127, np.uint8)
        return {key: cv2.imencode(".jpg", image)[1].tobytes() for key in keys}

    def page(self, name: str = "demo", **params: int) -> str:
        provenance = {"provenance_id": "p1", "preset": "lite", "weights_sha256": "ab" * 32, "fau_backend": "mesh", "face_backend": "mesh"}
        rows = table(PROVENANCE, [provenance | {"params_digest": "cd" * 16, "schema_version": 1, "code_version": "0.1.0"}])
        return report.render(*self.tables(), rows, self.thumbnails, ReportParams(**params), name)

    def verdicts(self) -> dict[str, dict[str, Any]]:
        return {row["uri"]: row for row in report.verdicts(*self.tables()).iter_rows(named=True)}


class Page(HTMLParser):
    """Tags, attributes and text of a page, as a browser sees them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "input", "rect", "path", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("rect", "path"):
            assert self.open.pop() == tag, f"</{tag}> closes something else"
        elif self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def count(self, tag: str, **attributes: str) -> int:
        return sum(t == tag and all(a.get(k.rstrip("_")) == v for k, v in attributes.items()) for t, a in self.tags)


@pytest.fixture
def archive() -> Archive:
    made = Archive()
    made.video("fake.mp4", fake=range(20, 45))
    made.video("real.mp4")
    made.video("two_faces.mp4", tracks=2, fake=range(50, 60), fake_track=1)
    made.video("silent.mp4", sound=False, fake=range(10, 30))
    copied = made.video("b/copy.mp4")
    made.file("a/original.mp4", content_id=copied)
    made.file("notes.txt", "filtered", "not_a_video", "text", content_id=None)
    made.file("broken.mp4", "failed", "open_failed", "moov atom not found")
    faceless = made.file("landscape.mp4")
    made.failures.append({"content_id": faceless, "uri": "landscape.mp4", "stage": "faces", "reason": "no_face", "outcome": "filtered"})
    return made


def test_every_file_is_accounted_for(archive: Archive) -> None:
    found = report.metrics(*archive.tables())
    assert found["files"] == 9
    assert (found["labelled"], found["filtered"], found["failed"], found["unlabelled"], found["pending"]) == (6, 2, 1, 0, 0)
    assert sum(found["verdicts"].values()) == 9
    assert "9 files = 6 labelled + 2 filtered + 1 failed" in Page(archive.page()).text


def test_a_video_that_no_stage_reported_is_pending_not_lost(archive: Archive) -> None:
    archive.file("interrupted.mp4")
    assert report.metrics(*archive.tables())["pending"] == 1
    assert "6 labelled + 2 filtered + 1 failed + 1 pending" in Page(archive.page()).text


def test_metrics_are_json_and_count_a_copied_content_once(archive: Archive) -> None:
    found = json.loads(json.dumps(report.metrics(*archive.tables())))
    assert found["copies"] == 1
    assert found["frames"] == 500
    assert found["frame_labels"] == 600 == sum(found["frames_by_label"].values())
    assert found["fake_segments"] == {"total": 2, "audio": 0, "visual": 1}


def test_null_frames_are_counted_by_reason_and_add_up(archive: Archive) -> None:
    content_id = archive.inventory[1]["content_id"]
    for i, reason in enumerate(["no_face", "no_face", "silent_audio", None]):
        archive.labels.append({"content_id": content_id, "frame_index": 100 + i, "pts_us": (100 + i) * 40_000, "reason": reason})
    found = report.metrics(*archive.tables())
    assert found["null_frames_by_reason"] == {"no_face": 2, "silent_audio": 1, "null": 1}
    assert found["frames_by_label"]["null"] == 4


def test_verdict_follows_segments_of_the_modality_the_labels_rest_on(archive: Archive) -> None:
    dubbed = archive.video("dubbed.mp4")
    archive.segments.append({"content_id": dubbed, "modality": "audio", "start_s": 1.0, "end_s": 2.0, "score": 0.99})
    found = archive.verdicts()
    assert {uri: row["verdict"] for uri, row in found.items() if row["outcome"] == "labelled"} == {
        "fake.mp4": "fake",
        "two_faces.mp4": "fake",
        "silent.mp4": "fake",
        "dubbed.mp4": "uncertain",
        "real.mp4": "real",
        "a/original.mp4": "real",
        "b/copy.mp4": "real",
    }
    assert found["silent.mp4"]["basis"] == "visual"
    assert found["two_faces.mp4"]["share_fake"] == pytest.approx(10 / 200)
    assert found["fake.mp4"]["strongest_start_s"] == pytest.approx(0.8)


def test_a_few_uncertain_frames_leave_a_video_real_and_a_tenth_of_them_does_not() -> None:
    archive = Archive()
    archive.video("few.mp4")
    archive.video("many.mp4")
    for start, count in ((0, 9), (100, 10)):
        for row in archive.labels[start : start + count]:
            row["label"] = "uncertain"
    assert {uri: row["verdict"] for uri, row in archive.verdicts().items()} == {"few.mp4": "real", "many.mp4": "uncertain"}


def test_unlabelled_files_say_why(archive: Archive) -> None:
    short = archive.video("short.mp4", num_frames=10)
    for row in archive.labels:
        if row["content_id"] == short:
            row |= {"label": None, "basis": None, "reason": "track_too_short"}
    found = archive.verdicts()
    reasons = {uri: row["reason"] for uri, row in found.items() if row["verdict"] == "unlabelled"}
    expected = {"notes.txt": "not_a_video", "broken.mp4": "open_failed", "landscape.mp4": "no_face", "short.mp4": "track_too_short"}
    assert reasons == expected
    text = Page(archive.page()).text
    for reason in expected.values():
        assert HELP[Reason(reason)] in text
    assert "moov atom not found" in text


def test_labels_of_files_no_longer_in_the_inventory_are_left_out(archive: Archive) -> None:
    archive.inventory = [row for row in archive.inventory if row["uri"] != "fake.mp4"]
    found = report.metrics(*archive.tables())
    assert found["frames"] == 400
    assert "fake.mp4" not in archive.verdicts()
    assert archive.page()


def test_damaged_but_labelled_files_count_as_labelled(archive: Archive) -> None:
    row = archive.inventory[1]
    damage = {"content_id": row["content_id"], "uri": row["uri"], "stage": "faces", "reason": "bad_packets", "outcome": "done"}
    archive.failures += [damage | {"detail": "2 packets", "frame_from": 118, "frame_to": 131, "attempt": a} for a in (1, 2)]
    page = Page(archive.page())
    assert report.metrics(*archive.tables())["labelled"] == 6
    assert "labelled, damaged" in page.text
    assert page.text.count("2 packets, frames 118\N{EN DASH}131, attempt 2") == 2  # in the video's notes and in the table, each once


def test_hostile_names_do_nothing_but_are_shown() -> None:
    archive = Archive()
    for name in HOSTILE:
        archive.video(name, num_frames=30)
        archive.file(f"x{name}", "failed", "open_failed", f"can't open {name}")
    html = archive.page(name=HOSTILE[0])
    page = Page(html)
    assert page.count("script") == 1
    assert page.count("img") == sum(
        (attributes.get("src") or "").startswith("data:image/jpeg;base64,") for tag, attributes in page.tags if tag == "img"
    )
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert not set("\u202e\x1b\x07") & set(html)
    assert "{{ 7*7 }}" in page.text
    assert "\\u202egpj.exe שלום.mp4" in page.text
    assert "line\\nbreak \"quoted\" 'single'.mp4" in page.text


def test_page_is_self_contained_and_its_script_is_the_only_one_allowed(archive: Archive) -> None:
    html = archive.page()
    assert not re.search(r"https?:|//[a-z]|@import|url\(", html)
    policy = next(a["content"] for t, a in Page(html).tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and "default-src 'none'" in policy and "script-src 'sha256-" in policy


def test_page_is_well_formed_and_labels_what_it_draws(archive: Archive) -> None:
    page = Page(archive.page())
    assert not page.open
    assert all(a.get("alt") for t, a in page.tags if t == "img")
    assert all(a.get("aria-label") for t, a in page.tags if t == "figure")
    assert all(a.get("scope") for t, a in page.tags if t == "th")
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"] for t, a in page.tags if t == "a"} <= {f"#{i}" for i in ids}


def test_same_tables_in_any_order_give_the_same_bytes(archive: Archive) -> None:
    once = archive.page()
    for rows in (archive.inventory, archive.labels, archive.segments, archive.failures):
        rows.reverse()
    assert archive.page() == once


def test_duplicates_share_a_row_with_both_names(archive: Archive) -> None:
    page = Page(archive.page())
    rows = [a for t, a in page.tags if t == "tbody" and "data-name" in a]
    assert len(rows) == 5
    assert "a/original.mp4\nb/copy.mp4" in [a["data-name"] for a in rows]
    assert "1 further name is listed" in page.text


def test_two_faces_get_a_timeline_each_and_a_silent_video_has_no_audio_lane(archive: Archive) -> None:
    html = archive.page()
    entry = re.split(r"<tbody data-order", html)
    faces = next(part for part in entry if 'data-name="two_faces.mp4"' in part)
    silent = next(part for part in entry if 'data-name="silent.mp4"' in part)
    assert faces.count("<figure") == 2
    assert 'class="lane">audio' in faces
    assert 'class="lane">audio' not in silent
    assert "no sound, labelled from the picture" in silent


def test_only_the_most_suspicious_get_timelines_and_the_page_says_so(archive: Archive) -> None:
    html = archive.page(max_timelines=2, thumbnails=0)
    assert html.count("<figure") == 2
    assert "2 most suspicious; 3 left out" in Page(html).text
    assert archive.crop_requests == []


def test_thumbnails_show_fake_frames_apart_from_each_other(archive: Archive) -> None:
    archive.page(thumbnails=3)
    first = archive.inventory[0]["content_id"]
    frames = [frame for content_id, _, frame in archive.crop_requests[0] if content_id == first]
    assert frames
    assert all(20 <= frame < 45 for frame in frames)
    assert all(abs(a - b) * 0.04 >= 0.5 for a in frames for b in frames if a != b)


def test_a_frame_without_a_crop_borrows_its_neighbours_and_a_broken_crop_is_left_out(archive: Archive) -> None:
    good = cv2.imencode(".png", np.zeros((160, 160, 3), np.uint8))[1].tobytes()

    def odd_frames_only(keys: list[tuple[str, int, int]]) -> dict[tuple[str, int, int], bytes]:
        return {key: good if key[0] == archive.inventory[0]["content_id"] else b"not a picture" for key in keys if key[2] % 2}

    archive.thumbnails = odd_frames_only  # type: ignore[method-assign]
    pictures = Page(archive.page(thumbnails=1)).count("img")
    assert pictures == 1


@pytest.mark.parametrize("empty", ["no files", "only failures"])
def test_an_archive_without_a_labelled_video_has_a_page(empty: str) -> None:
    archive = Archive()
    if empty == "only failures":
        archive.file("broken.mp4", "failed", "open_failed", "moov atom not found", content_id=None)
    page = Page(archive.page())
    assert "nothing to show here" in page.text
    assert f"{len(archive.inventory)} file" in page.text
    assert report.metrics(*archive.tables())["frames"] == 0


def test_a_spike_of_one_frame_survives_pooling() -> None:
    archive = Archive()
    archive.video("long.mp4", num_frames=30_000, fake=range(12_345, 12_346))
    pooled = timeline.pool(archive.tables()[1].with_columns(pl.col("^p_.*$").cast(pl.Float32)), 0, 600)
    assert len(pooled.mid_s) <= 600
    assert pooled.scores["total"].max() > 0.7
    assert (pooled.ranks == 3).sum() == 1


def test_path_breaks_where_scores_are_null() -> None:
    scores = np.array([0.5, 0.5, 0.5, np.nan, 1.0, np.nan, 0.0, 0.25], np.float32)
    assert timeline._path(np.arange(8.0), scores) == "M0 50l2 0M4 0l1 0M6 100l1-25"


def test_sound_goes_on_where_the_face_is_away() -> None:
    archive = Archive()
    content_id = archive.video("away.mp4", num_frames=50)
    for row in archive.labels[20:30]:
        row |= {"track": None, "p_total": None, "p_visual": None, "label": None, "basis": None, "reason": "no_face"}
    labels, segments = archive.tables()[1:3]
    drawn = timeline.chart(labels.with_columns(pl.col("^p_.*$").cast(pl.Float32)), segments, 0, 2.0, 600)
    breaks = {lane.name: lane.path.count("M") for lane in drawn.lanes}
    assert content_id and breaks == {"total": 2, "audio": 1, "visual": 2}


@pytest.mark.parametrize(("duration_s", "last"), [(0.08, "0.08"), (4.0, "4"), (61.0, "60"), (7200.0, "6000")])
def test_axis_ticks_are_few_and_round(duration_s: float, last: str) -> None:
    ticks = timeline.axis_ticks(duration_s)
    assert 3 <= len(ticks) <= 7
    assert ticks[-1][1] == last


def test_every_reason_has_words_even_one_from_the_future() -> None:
    assert accounts.help_text("no_face") == HELP[Reason.NO_FACE]
    assert "does not know" in accounts.help_text("eaten_by_goats")


def test_a_video_without_fake_frames_is_not_fake_whatever_its_spans_say() -> None:
    """Seen in the demo: sight alone gave one span over the whole video, while every frame with sound was labelled real."""
    archive = Archive()
    content_id = archive.video("a.mp4", 50)
    archive.segments.append({"content_id": content_id, "modality": "visual", "track": 0, "start_s": 0.0, "end_s": 2.0, "score": 0.9})
    for row in archive.labels[:25]:
        row["basis"] = "visual"
    assert archive.verdicts()["a.mp4"]["verdict"] == "uncertain"
