from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fauforensics.checkpoint_info import Calibration
from schemas.params import LabelParams
from schemas.tables import AUDIO, FACES, FRAMES, SCORES, STORED_LABELS
from schemas.timebase import tick_of
from stages.contract import as_frame, table_from_columns
from stages.label import Label
from stages.windows import window_starts

HEADS = ("total", "audio", "visual")
CALIBRATION = Calibration(dict.fromkeys(HEADS, 1.0), dict.fromkeys(HEADS, 0.0), 0.8, 0.5)


def table(schema: pa.Schema, count: int, **columns: object) -> pa.Table:
    return table_from_columns({n: columns.get(n, [None] * count) for n in schema.names}, schema)


def frames_at(times_us: list[int], damaged: tuple[int, ...] = ()) -> pa.Table:
    n = len(times_us)
    reasons = ["bad_packets" if i in damaged else None for i in range(n)]
    return table(FRAMES, n, content_id=["a"] * n, frame_index=range(n), pts_us=times_us, tick=tick_of(np.array(times_us)), reason=reasons)


def faces_on(ticks: list[int], track: int = 0) -> pa.Table:
    n = len(ticks)
    return table(
        FACES, n, content_id=["a"] * n, track=[track] * n, tick=ticks, box=[[10, 20, 210, 220]] * n, sharpness=[200.0] * n,
        yaw_deg=[0.0] * n, pitch_deg=[0.0] * n,
    )  # fmt: skip


def audio_on(ticks: int, reason: str | None = None) -> pa.Table:
    return table(AUDIO, ticks, content_id=["a"] * ticks, tick=range(ticks), reason=[reason] * ticks)


def windows(length: int, track: int | None, reason: str | None = None, **logits: float | None) -> pa.Table:
    starts = window_starts(length, 5).tolist()
    n = len(starts)
    columns: dict[str, object] = {f"logit_{h}": [v] * n for h, v in logits.items()}
    columns |= {f"evidence_{h}": [None if v is None else [v / 25] * 25] * n for h, v in logits.items()}
    return table(SCORES, n, content_id=["a"] * n, track=[track] * n, start_tick=starts, reason=[reason] * n, **columns)


def label(*inputs: pa.Table, **params: object) -> pl.DataFrame:
    result = Label(LabelParams(**params), CALIBRATION, "prov")(*inputs)
    assert result.rows.schema.equals(STORED_LABELS)
    return as_frame(result.rows)


def at_rate(rate: float, seconds: float) -> list[int]:
    return [round(i * 1e6 / rate) for i in range(round(seconds * rate))]


@pytest.mark.parametrize("rate", [23.976, 25.0, 29.97, 50.0])
def test_one_row_for_each_frame_of_the_source(rate: float) -> None:
    times = at_rate(rate, 3.0)
    ticks = int(tick_of(np.array(times)).max()) + 1
    scores = pa.concat_tables([windows(ticks, None, audio=1.0), windows(ticks, 0, total=3.0, visual=-3.0)])
    rows = label(frames_at(times), faces_on(list(range(ticks))), audio_on(ticks), scores)
    assert rows["frame_index"].to_list() == list(range(len(times)))
    assert rows["pts_us"].to_list() == times
    assert rows["label"].unique().to_list() == ["fake"]
    assert rows["basis"].unique().to_list() == ["total"]
    assert rows["reason"].null_count() == rows.height
    assert rows["p_total"].cast(float).to_list() == pytest.approx([1 / (1 + np.exp(-3))] * rows.height, abs=1e-3)
    assert rows["p_audio"].null_count() == 0


def test_without_sound_the_label_rests_on_sight_and_says_so() -> None:
    scores = pa.concat_tables([windows(75, None, "no_audio", audio=None), windows(75, 0, "no_audio", visual=-3.0)])
    rows = label(frames_at(at_rate(25, 3)), faces_on(list(range(75))), audio_on(75, "no_audio"), scores)
    assert rows["p_total"].null_count() == rows["p_audio"].null_count() == 75
    assert set(rows["basis"]) == {"visual"}
    assert set(rows["reason"]) == {"no_audio"}
    assert set(rows["label"]) == {"real"}


def test_a_fake_run_ends_where_the_basis_changes() -> None:
    """Seen in the demo: a fake second with sound made all the silent, merely uncertain, seconds after it fake."""
    loud = windows(50, 0, total=3.0, visual=1.0)  # p = 0.95 and 0.73
    silent = windows(100, 0, "silent_audio", visual=1.0)
    silent = silent.filter(pa.compute.greater_equal(silent["start_tick"], 50))
    scores = pa.concat_tables([windows(100, None, audio=0.0), loud, silent])
    rows = label(frames_at(at_rate(25, 4)), faces_on(list(range(100))), audio_on(100), scores, smooth_ticks=1)
    assert rows["label"].to_list() == ["fake"] * 50 + ["uncertain"] * 50
    assert rows["basis"].to_list() == ["total"] * 50 + ["visual"] * 50


def test_a_frame_without_a_face_keeps_its_sound_and_has_no_label() -> None:
    scores = pa.concat_tables([windows(75, None, audio=2.0), windows(40, 0, total=-2.0, visual=-2.0)])
    rows = label(frames_at(at_rate(25, 3)), faces_on(list(range(40))), audio_on(75), scores)
    assert rows.height == 75
    bare = rows.filter(pl.col("frame_index") >= 40)
    assert bare["track"].null_count() == bare["label"].null_count() == bare["box"].null_count() == 35
    assert set(bare["reason"]) == {"no_face"}
    assert bare["p_audio"].null_count() == 0
    assert set(bare["n_windows"]) == {0}


def test_two_faces_are_two_rows_a_frame() -> None:
    scores = pa.concat_tables(
        [windows(75, None, audio=0.0), windows(75, 0, total=3.0, visual=3.0), windows(75, 1, total=-3.0, visual=-3.0)]
    )
    faces = pa.concat_tables([faces_on(list(range(75)), 0), faces_on(list(range(75)), 1)])
    rows = label(frames_at(at_rate(25, 3)), faces, audio_on(75), scores)
    assert rows.select("frame_index", "track").unique().height == rows.height == 150
    assert dict(rows.group_by("track").agg(pl.col("label").first()).iter_rows()) == {0: "fake", 1: "real"}


def test_a_damaged_frame_has_a_reason_and_no_label() -> None:
    scores = pa.concat_tables([windows(75, None, audio=0.0), windows(75, 0, total=3.0, visual=3.0)])
    rows = label(frames_at(at_rate(25, 3), damaged=(30, 31)), faces_on(list(range(75))), audio_on(75), scores)
    assert rows.filter(pl.col("label").is_null())["frame_index"].to_list() == [30, 31]
    assert set(rows.filter(pl.col("label").is_null())["reason"]) == {"bad_packets"}


def test_a_track_too_short_for_a_window_says_so() -> None:
    rows = label(frames_at(at_rate(25, 1)), faces_on(list(range(20))), audio_on(25), windows(25, None, audio=0.0))
    short = rows.filter(pl.col("track") == 0)
    assert short.height == 20
    assert set(short["reason"]) == {"track_too_short"}
    assert short["label"].null_count() == 20


def test_every_tick_counts_its_windows() -> None:
    scores = pa.concat_tables([windows(75, None, audio=0.0), windows(75, 0, total=0.0, visual=0.0)])
    rows = label(frames_at(at_rate(25, 3)), faces_on(list(range(75))), audio_on(75), scores)
    expected = np.zeros(75, int)
    for start in window_starts(75, 5):
        expected[start : start + 25] += 1
    assert rows["n_windows"].to_list() == expected.tolist()


def test_thresholds_in_the_parameters_win_over_the_checkpoint() -> None:
    scores = pa.concat_tables([windows(75, None, audio=0.0), windows(75, 0, total=1.0, visual=0.0)])  # p = 0.73
    inputs = (frames_at(at_rate(25, 3)), faces_on(list(range(75))), audio_on(75), scores)
    assert set(label(*inputs)["label"]) == {"uncertain"}
    assert set(label(*inputs, fake_above=0.7)["label"]) == {"fake"}
    assert set(label(*inputs, real_below=0.75)["label"]) == {"real"}


def test_quality_falls_with_size_sharpness_and_turn() -> None:
    def quality(**changes: object) -> float:
        n = 30
        columns = {"content_id": ["a"] * n, "track": [0] * n, "tick": range(n), "box": [[0, 0, 200, 200]] * n}
        columns |= {"sharpness": [200.0] * n, "yaw_deg": [0.0] * n, "pitch_deg": [0.0] * n}
        faces = table(FACES, n, **(columns | {k: [v] * n for k, v in changes.items()}))
        scores = pa.concat_tables([windows(30, None, audio=0.0), windows(30, 0, total=0.0, visual=0.0)])
        return float(label(frames_at(at_rate(25, 1.2)), faces, audio_on(30), scores)["quality"][0])

    assert quality() == 1.0
    assert quality(box=[0, 0, 60, 60]) == pytest.approx(0.5)
    assert quality(sharpness=25.0) == pytest.approx(0.25)
    assert quality(yaw_deg=-30.0) == pytest.approx(0.5)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 90_000), min_size=1, max_size=80), st.integers(0, 2**32 - 1))
def test_no_time_base_loses_or_repeats_a_frame(steps: list[int], seed: int) -> None:
    times = np.cumsum(steps).tolist()
    ticks = int(tick_of(np.array(times)).max()) + 1
    rng = np.random.default_rng(seed)
    seen = sorted(rng.choice(ticks, size=rng.integers(0, ticks + 1), replace=False).tolist())
    scores = windows(ticks, None, audio=float(rng.normal()))
    rows = label(frames_at(times), faces_on(seen), audio_on(ticks), scores)
    assert rows["frame_index"].to_list() == list(range(len(times)))
    for column in ("p_total", "p_audio", "p_visual"):
        known = rows[column].drop_nulls().cast(float)
        assert known.is_between(0, 1).all()
    assert (rows["label"].is_not_null() | rows["reason"].is_not_null()).all()
