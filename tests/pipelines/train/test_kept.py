"""Training on features that the workspace keeps: both presets, and the way back into scoring."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from fauforensics import ReferenceFauForensics, build
from fauforensics.checkpoint import load_checkpoint
from fauforensics.checkpoint_info import read_info
from fauforensics.encoders.fau import LiteFauEncoder
from pipelines.features import features_name
from pipelines.listing import update_inventory
from pipelines.step import receipts_of, run_step
from pipelines.train.batches import make_batch
from pipelines.train.dataset import Dataset
from pipelines.train.draws import Draw
from pipelines.train.loop import Trainer
from pipelines.train.objective import ReferenceObjective
from pipelines.train.pixels import stored_crops
from pipelines.train.starts import Starts
from pipelines.train.state import TrainState
from pipelines.train.train import train
from pipelines.workspace import Workspace
from schemas.errors import ParamsError
from schemas.params import DecodeParams
from schemas.train import train_params
from stages.contract import as_frame
from stages.decoding import Damage, scan_video
from stages.encoding import write_mp4
from tests.conftest import SINGLE_FACE, needs_shared
from tests.fauforensics.test_pretrained import write
from tests.pipelines.train import fabricated
from tests.stages.test_tokens import small

__all__ = ["small"]  # a fixture


def test_a_feature_that_is_unknown_is_not_one_that_is_zero() -> None:
    torch.manual_seed(0)
    encoder = LiteFauEncoder(16, 20, 5, 6).eval()
    seen = torch.rand(1, 9, 26)
    lost, zero = seen.clone(), seen.clone()
    lost[0, 4, 20:], zero[0, 4, 20:] = float("nan"), 0.0
    with torch.inference_mode():
        a, b, c = (encoder(x)[0, 4] for x in (seen, lost, zero))
    assert torch.isfinite(b).all()
    assert not torch.allclose(a, b) and not torch.allclose(b, c)


def test_lite_learns_from_features_what_nothing_else_shows(tmp_path: Path) -> None:
    """The fake spans of sight show in one of eight features; pictures and action units are noise."""

    def with_features(clip):
        rng = np.random.default_rng([3, len(clip.truth.file)])
        features = rng.normal(size=(clip.ticks, 8)).astype(np.float32)
        features[:, 2] += 4 * clip.fake["visual"]
        noise = fabricated.clip(int(rng.integers(1000)), "train", "real", clip.ticks)
        return dataclasses.replace(clip, features=features, crops=noise.crops)

    made = fabricated.dataset()
    data = Dataset([with_features(clip) for clip in made.clips], "fabricated", {}, "a network")
    wanted = fabricated.params(au_steps=60, picture_steps=0, steps=20, validate_every=20, batch_clips=8, lr=3e-3, fau_features=True)
    torch.manual_seed(1)
    net = build("lite", **wanted.network, num_features=data.num_features)
    state = Trainer(net, data, wanted, stored_crops, tmp_path, "cpu").fit(TrainState("x"), lambda row, steps: None)
    assert max(row["dev visual self_blend"] for row in state.curve if "dev_auc" in row) > 0.9


def test_a_step_of_the_reference_preset_reads_features_instead_of_running_the_trunk(
    small: ReferenceFauForensics, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = train_params("reference", {"batch_clips": 2, "erase_p": 0, "flip_p": 0, "crop_min": 1, "crop_max": 1}, "test")
    clips = [fabricated.clip(n, "train", kind, 25) for n, kind in ((1, "real"), (2, "self_blend"))]
    draws = [Draw(clip, 0, 7) for clip in clips]
    batch = make_batch(draws, plain, 25, 112, stored_crops)
    assert batch.time_mask.any() and batch.crops is not None
    objective = ReferenceObjective(small, plain)
    trunk, looked = small.fau_encoder.backbone, []
    with torch.inference_mode():
        expected = objective(batch, "whole")
        from stages.network_input import imagenet

        kept = torch.stack([small.fau_encoder.features(imagenet(pictures)) for pictures in batch.crops])
        monkeypatch.setattr(trunk, "forward", lambda x, forward=trunk.forward: (looked.append(len(x)), forward(x))[1])
        found = objective(dataclasses.replace(batch, features=kept), "whole")
    assert looked == [1], "one blank frame, for what the time mask covers"
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def short_faces(count: int) -> Iterator[tuple[int, np.ndarray]]:
    for frame in islice(scan_video(SINGLE_FACE.path, 0, 0, DecodeParams(), Damage()), count):
        yield frame.index * 40_000, frame.rgb()


@pytest.mark.slow
@needs_shared
def test_the_reference_preset_takes_a_step_on_kept_features_and_scores_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """68 million parameters on a CPU: four clips of one second, one step, one validation, all scored twice."""
    monkeypatch.setattr("pipelines.train.train._CALIBRATE_STRIDE", 25)
    data, home = tmp_path / "clips", tmp_path / "home"
    data.mkdir(), home.mkdir()
    wave = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    rows = []
    for split in ("train", "dev"):
        for kind in ("real", "desync"):
            name = f"{split}_{kind}.mp4"
            write_mp4(data / name, short_faces(25), wave * (1 if kind == "real" else 0.5) * (1 if split == "dev" else 0.7), 16_000)
            whole = [] if kind == "real" else [[0.0, 1.0]]
            rows.append({"file": name, "split": split, "kind": kind, "identity": split, "original": f"{split}_real.mp4",
                         "fake_periods": whole, "audio_fake_periods": whole, "visual_fake_periods": [], "traces": []})  # fmt: skip
    (data / "metadata.json").write_text(json.dumps(rows), encoding="utf-8")
    torch.manual_seed(5)
    trunk = build("reference").fau_encoder.state_dict()
    write(home / "me_graphau.pth", {"state_dict": {f"module.{n}": t for n, t in trunk.items() if not n.startswith("norm.")}})
    ask = {"steps": 1, "batch_clips": 2, "validate_every": 1, "fau_features": True, "sampling": "pairs"}
    out = home / "trained.safetensors"
    wrong = {"preset": "reference", "overrides": ask, "workspace": home, "engine_name": "local"}
    (home / "params.yaml").write_text("fau: {embedding: none}", encoding="utf-8")
    with pytest.raises(ParamsError, match=r"fau_features is true, but .* has fau.embedding: none; .*'reference' reads me-graphau"):
        train(data, out, **wrong)
    (home / "params.yaml").write_text("fau: {embedding: me-graphau, embedding_weights: me_graphau.pth}", encoding="utf-8")
    torch.save({"state_dict": {n: t * 2 if t.is_floating_point() else t for n, t in trunk.items()}}, tmp_path / "other.pth")
    found = train(data, out, **wrong)
    assert found["preset"] == "reference"
    net, _ = load_checkpoint(out, "reference", "mesh")
    assert all(torch.equal(net.fau_encoder.state_dict()[n], t) for n, t in trunk.items() if not n.startswith("norm."))
    with pytest.raises(ParamsError, match=r"holds another FAU encoder than .*me_graphau.pth"):
        train(data, tmp_path / "x.safetensors", **wrong, starts=Starts(fau=write(tmp_path / "twice.pth", _twice(trunk))))

    # What was kept for training is what the trained network would see: nothing is computed again but the scores.
    before = {r.unit_key for r in receipts_of(Workspace.open(home), "fau")}
    answers = {}
    for embedding in ("me-graphau", "none"):
        (home / "params.yaml").write_text(
            f"archive: {{uri: {data}}}\nengine: {{name: local, workers: 1}}\nlabel: {{smooth_ticks: 5}}\n"
            f"fau: {{embedding: {embedding}, embedding_weights: me_graphau.pth}}\n"
            f"score: {{preset: reference, weights: {out.name}, stride_ticks: 25, device: cpu}}\n",
            encoding="utf-8",
        )
        opened = Workspace.open(home)
        update_inventory(opened)
        for step in ("faces", "fau", "audio", "score"):
            receipts = run_step(opened, step)
        tables = [as_frame(opened.store().read("score", r.unit_key, "scores")) for r in receipts]
        answers[embedding] = next(t for t in tables if t.height).sort("track", "start_tick")
        if embedding == "me-graphau":
            assert {r.unit_key for r in receipts_of(opened, "fau")} <= before
            assert features_name(opened) is not None and read_info(out).fau_features is None
    kept, computed = answers["me-graphau"], answers["none"]
    assert kept.height == computed.height == 2 * 4
    for head in ("total", "visual"):
        np.testing.assert_allclose(kept[f"logit_{head}"].drop_nulls(), computed[f"logit_{head}"].drop_nulls(), atol=1e-4)


def _twice(trunk: dict[str, torch.Tensor]) -> dict[str, object]:
    return {"state_dict": {n: t * 2 if t.is_floating_point() else t for n, t in trunk.items() if not n.startswith("norm.")}}
