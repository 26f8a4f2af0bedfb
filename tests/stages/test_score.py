from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
import torch

from fauforensics import build, save_checkpoint
from fauforensics.checkpoint_info import Calibration
from schemas.au import AU_NAMES
from schemas.errors import CheckpointError, DeviceError
from schemas.params import ScoreParams
from schemas.tables import AUDIO, FACES, FAU, FAU_FEATURES
from stages.contract import as_frame, table_from_columns
from stages.score import Score


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    net = build("lite")
    for head in (net.total_head, net.audio_head, net.visual_head):
        torch.nn.init.normal_(head.weight)
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    heads = ("total", "audio", "visual")
    save_checkpoint(path, net, "mesh", "0" * 32, Calibration(dict.fromkeys(heads, 1.0), dict.fromkeys(heads, 0.0), 0.7, 0.5))
    return path


def faces(content_id: str, ticks: list[int], track: int = 0, seed: int = 0) -> tuple[pa.Table, pa.Table]:
    rng = np.random.default_rng(seed)
    crops = [cv2.imencode(".png", rng.integers(0, 255, (160, 160, 3), dtype=np.uint8))[1].tobytes() for _ in ticks]
    base = {"content_id": [content_id] * len(ticks), "track": [track] * len(ticks), "tick": ticks}
    face_rows = table_from_columns({n: ({**base, "crop": crops}).get(n, [None] * len(ticks)) for n in FACES.names}, FACES)
    aus = {au: rng.random(len(ticks)) for au in AU_NAMES} | {"AU11": [None] * len(ticks)}
    return face_rows, table_from_columns({**base, **aus}, FAU)


def audio(content_id: str, ticks: int, silent: bool = False, missing: range = range(0), seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    columns = {
        "content_id": [content_id] * ticks,
        "tick": range(ticks),
        "power_db": [None if t in missing else (rng.normal(-20, 10, 320) if not silent else np.full(320, -100.0)) for t in range(ticks)],
        "loudness_dbfs": [None if t in missing else (-100.0 if silent else -20.0) for t in range(ticks)],
        "speech": [None if t in missing else True for t in range(ticks)],
        "reason": ["audio_ends_early" if t in missing else None for t in range(ticks)],
    }
    return table_from_columns({k: list(v) for k, v in columns.items()}, AUDIO)


def score(weights: Path, *inputs: pa.Table, **params: object) -> list[dict]:
    stage = Score(ScoreParams(device="cpu", **params), weights, "mesh")
    return as_frame(stage(*inputs).rows).to_dicts()


def test_evidence_of_every_window_sums_to_its_logit(weights: Path) -> None:
    rows = score(weights, *faces("a", list(range(60))), audio("a", 60))
    assert len(rows) == 2 * 8
    for row in rows:
        for head in ("total", "audio", "visual"):
            if row[f"logit_{head}"] is not None:
                assert sum(row[f"evidence_{head}"]) == pytest.approx(row[f"logit_{head}"], rel=1e-3, abs=1e-4)
    assert {r["track"] for r in rows if r["logit_audio"] is not None} == {None}
    assert all(r["logit_total"] is not None and r["logit_visual"] is not None for r in rows if r["track"] == 0)


def test_windows_overlap_without_changing_each_other(weights: Path) -> None:
    inputs = (*faces("a", list(range(70))), audio("a", 70))
    fine = {(r["track"], r["start_tick"]): r["logit_total"] for r in score(weights, *inputs, stride_ticks=1)}
    coarse = {(r["track"], r["start_tick"]): r["logit_total"] for r in score(weights, *inputs, stride_ticks=15)}
    assert len(fine) == 2 * 46
    for key, logit in coarse.items():
        assert logit == (None if fine[key] is None else pytest.approx(fine[key], rel=1e-3, abs=1e-4))


def test_videos_share_a_batch_and_not_their_scores(weights: Path) -> None:
    a, b = faces("a", list(range(30)), seed=1), faces("b", list(range(40)), seed=2)
    sounds = audio("a", 30, seed=1), audio("b", 40, seed=2)
    both = score(weights, pa.concat_tables([a[0], b[0]]), pa.concat_tables([a[1], b[1]]), pa.concat_tables(sounds))
    alone = score(weights, *a, sounds[0]) + score(weights, *b, sounds[1])
    key = lambda r: (r["content_id"], -1 if r["track"] is None else r["track"], r["start_tick"])  # noqa: E731
    for one, other in zip(sorted(both, key=key), sorted(alone, key=key), strict=True):
        assert key(one) == key(other)
        for head in ("total", "audio", "visual"):
            assert one[f"logit_{head}"] == (
                None if other[f"logit_{head}"] is None else pytest.approx(other[f"logit_{head}"], rel=1e-3, abs=1e-4)
            )


def test_silence_is_stated_and_the_face_is_judged_all_the_same(weights: Path) -> None:
    rows = score(weights, *faces("a", list(range(30))), audio("a", 30, silent=True))
    assert {r["reason"] for r in rows} == {"silent_audio"}
    assert all(r["logit_total"] is None and r["logit_audio"] is None for r in rows)
    assert all(r["logit_visual"] is not None for r in rows if r["track"] == 0)


def test_sound_that_ends_early_leaves_the_later_windows_to_the_eye(weights: Path) -> None:
    rows = [r for r in score(weights, *faces("a", list(range(75))), audio("a", 75, missing=range(40, 75))) if r["track"] == 0]
    by_start = {r["start_tick"]: r for r in rows}
    assert by_start[0]["logit_total"] is not None
    assert by_start[50]["logit_total"] is None
    assert by_start[50]["reason"] == "audio_ends_early"


def test_a_gap_in_a_track_silences_the_windows_that_see_too_little(weights: Path) -> None:
    ticks = [t for t in range(80) if not 35 <= t < 45]
    rows = [r for r in score(weights, *faces("a", ticks), audio("a", 80)) if r["track"] == 0]
    starts = {r["start_tick"] for r in rows}
    assert {0, 5, 10} <= starts
    assert 25 not in starts
    assert {45, 50, 55} <= starts


def test_a_short_track_has_no_window_and_the_sound_still_has(weights: Path) -> None:
    rows = score(weights, *faces("a", list(range(20))), audio("a", 60))
    assert {r["track"] for r in rows} == {None}


def test_a_video_without_faces_keeps_its_sound(weights: Path) -> None:
    rows = score(weights, FACES.empty_table(), FAU.empty_table(), audio("a", 60))
    assert rows
    assert all(r["logit_audio"] is not None for r in rows)


def short_of_memory(stage: Score, windows: int, ticks: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Makes the networks raise, as CUDA does, on more than so many windows or ticks at once; says how large each pass was."""
    asked = []

    def limited(function: Callable[..., object], limit: int) -> Callable[..., object]:
        def call(*tensors: torch.Tensor | None) -> object:
            size = max(len(t) for t in tensors if t is not None)
            asked.append(size)
            if size > limit:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return function(*tensors)

        return call

    monkeypatch.setattr(stage._net, "judge", limited(stage._net.judge, windows))
    monkeypatch.setattr(stage._net.video_encoder, "per_tick", limited(stage._net.video_encoder.per_tick, ticks))
    return asked


def test_a_device_that_is_too_small_gives_the_same_scores_in_smaller_batches(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = (*faces("a", list(range(70))), audio("a", 70))
    stage = Score(ScoreParams(device="cpu"), weights, "mesh")
    asked = short_of_memory(stage, 3, 20, monkeypatch)
    small = as_frame(stage(*inputs).rows).to_dicts()
    assert asked[:3] == [70, 35, 17]
    asked.clear()
    stage(*inputs)
    assert max(asked) == 17  # it does not try the large ones again
    for ours, theirs in zip(small, score(weights, *inputs), strict=True):
        for name, value in theirs.items():
            assert ours[name] == (value if value is None or isinstance(value, str) else pytest.approx(value, rel=1e-3, abs=1e-4)), name


def test_where_not_one_window_fits_the_line_says_what_to_do(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Score(ScoreParams(device="cpu"), weights, "mesh")
    short_of_memory(stage, 0, 100, monkeypatch)
    with pytest.raises(DeviceError, match=r"too small for a single face track or window; .* or set score\.device: cpu"):
        stage(*faces("a", list(range(30))), audio("a", 30))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_cuda_agrees_with_the_cpu(weights: Path) -> None:
    inputs = (*faces("a", list(range(60))), audio("a", 60))
    stage = Score(ScoreParams(device="cuda", precision="float32"), weights, "mesh")
    for ours, theirs in zip(as_frame(stage(*inputs).rows).to_dicts(), score(weights, *inputs), strict=True):
        assert ours["logit_visual"] == (None if theirs["logit_visual"] is None else pytest.approx(theirs["logit_visual"], abs=1e-2))


def test_a_network_that_reads_features_scores_with_them_and_not_without(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, path, heads = build("lite", num_features=6), tmp_path / "more.safetensors", ("total", "audio", "visual")
    for head in (net.total_head, net.audio_head, net.visual_head):
        torch.nn.init.normal_(head.weight)
    flat = Calibration(dict.fromkeys(heads, 1.0), dict.fromkeys(heads, 0.0), 0.7, 0.5)
    save_checkpoint(path, net, "mesh", "0" * 32, flat, "pyfeat-multitask")
    inputs = (*faces("a", [t for t in range(40) if t != 7]), audio("a", 40))
    ticks = [t for t in range(40) if t not in {7, 12}]  # one without a face, one whose features are missing

    def kept(seed: int) -> pa.Table:
        values = np.random.default_rng(seed).normal(size=(len(ticks), 6)).astype(np.float32)
        columns = {"content_id": ["a"] * len(ticks), "track": [0] * len(ticks), "tick": ticks, "features": values.tolist()}
        return table_from_columns(columns, FAU_FEATURES)

    answers = [[row["logit_visual"] for row in score(path, *inputs, kept(seed)) if row["track"] == 0] for seed in (0, 0, 1)]
    assert np.isfinite(answers[0]).all() and answers[0] == answers[1] and answers[0] != answers[2]
    with pytest.raises(CheckpointError, match="reads 6 features of a frozen network a tick, but fau_features has 0"):
        score(path, *inputs)
