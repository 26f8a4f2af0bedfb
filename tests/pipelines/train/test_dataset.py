"""What training takes from a folder, and what it says when it can't."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.train.dataset import check_splits, ticks_in
from pipelines.train.state import STATE_NAME, load_state
from pipelines.train.train import train
from schemas.errors import ParamsError, TruthError, WorkspaceError
from schemas.truth import TruthRow, read_truth
from tests.pipelines.train import fabricated


def write(folder: Path, rows: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "metadata.json").write_text(json.dumps(rows), encoding="utf-8")
    return folder


def test_spans_in_seconds_are_ticks_of_40_ms():
    assert np.flatnonzero(ticks_in([(0.4, 0.52), (1.16, 1.2)], np.arange(50))).tolist() == [10, 11, 12, 29]


def test_lav_df_rows_are_read_as_they_are(tmp_path):
    row = {
        "file": "test/000001.mp4", "n_fakes": 1, "fake_periods": [[1.24, 1.6]], "timestamps": [["not", 0.0, 0.2]], "duration": 4.224,
        "transcript": "not the point", "original": None, "modify_video": True, "modify_audio": False, "split": "test", "video_frames": 103,
        "audio_channels": 1, "audio_frames": 65536,
    }  # fmt: skip
    (read,) = read_truth(write(tmp_path / "lavdf", [row]))
    assert read.forgery == "visual"
    assert read.spans("visual") == [(1.24, 1.6)] and read.spans("audio") == [] and read.spans("total") == [(1.24, 1.6)]
    assert read.leaves_trace("visual") and not read.leaves_trace("audio")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"a": 1}, "must be a list of clips"),
        ([{"file": "a.mp4", "fake_periods": [[2.0, 1.0]]}], r"row 0: row: .*0 <= start <= end"),
        ([{"file": "a.mp4"}, {"fake_periods": []}], "row 1: file: field required"),
        ([{"file": "a.mp4", "split": "validation"}], "row 0: split"),
    ],
)
def test_wrong_metadata_is_named(tmp_path, rows, message):
    with pytest.raises(TruthError, match=message):
        read_truth(write(tmp_path / "data", rows))


def test_without_metadata_it_says_what_to_do(tmp_path):
    with pytest.raises(TruthError, match=r"metadata\.json: no such file; `fauscan forge"):
        train(tmp_path, tmp_path / "a.safetensors")


def test_a_checkpoint_has_the_right_ending(tmp_path):
    with pytest.raises(ParamsError, match=r"must end in \.safetensors"):
        train(tmp_path, tmp_path / "weights.pt")


def test_a_person_in_two_splits_ends_it():
    clips = [fabricated.clip(n, split, kind) for n, split in ((1, "train"), (2, "dev")) for kind in ("real", "self_blend")]
    check_splits(clips)
    both = [TruthRow.model_validate(c.truth.model_dump() | {"identity": "anna"}) for c in clips]
    import dataclasses

    with pytest.raises(TruthError, match="identity 'anna' and 0 others are in several splits"):
        check_splits([dataclasses.replace(c, truth=t) for c, t in zip(clips, both, strict=True)])


def test_a_split_with_real_clips_alone_ends_it():
    with pytest.raises(TruthError, match="split 'dev' has only real clips"):
        check_splits([fabricated.clip(1, "train", "real"), fabricated.clip(1, "train", "desync"), fabricated.clip(2, "dev", "real")])


@pytest.mark.parametrize("damage", ["cut", "text", "code"])
def test_a_damaged_state_is_refused(tmp_path, damage):
    path = tmp_path / STATE_NAME
    if damage == "cut":
        fabricated.fit(tmp_path, fabricated.params(au_steps=0, picture_steps=0, steps=1, validate_every=1))
        path.write_bytes(path.read_bytes()[:3000])
    elif damage == "text":
        path.write_text("hello", encoding="utf-8")
    else:
        import torch

        torch.save({"format": "fauscan.training.1", "run_id": print}, path)
    with pytest.raises(WorkspaceError, match=r"can't be read .*--fresh"):
        load_state(tmp_path)
