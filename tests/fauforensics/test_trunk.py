from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fauforensics import ReferenceFauForensics, build, save_checkpoint
from fauforensics.checkpoint_info import OWN_FAU, Calibration
from fauforensics.trunk import load_trunk, trunk_digest
from schemas.errors import CheckpointError
from tests.fauforensics.test_pretrained import me_graphau, write

HEADS = ("total", "audio", "visual")
CALIBRATION = Calibration(dict.fromkeys(HEADS, 1.0), dict.fromkeys(HEADS, 0.0), 0.7, 0.5)


@pytest.fixture(scope="module")
def net() -> ReferenceFauForensics:
    torch.manual_seed(3)
    return build("reference")


@pytest.fixture(scope="module")
def checkpoint(net: ReferenceFauForensics, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trunk") / "net.safetensors"
    save_checkpoint(path, net, OWN_FAU, "0" * 32, CALIBRATION)
    return path


def test_a_checkpoint_s_trunk_sees_what_its_network_sees(net: ReferenceFauForensics, checkpoint: Path) -> None:
    trunk = load_trunk(checkpoint, 224)
    assert trunk.input_px == 112, "the checkpoint knows, whatever is asked"
    frames = torch.randn(2, 3, 112, 112)
    with torch.inference_mode():
        torch.testing.assert_close(trunk.features(frames), net.eval().fau_encoder.features(frames))
        torch.testing.assert_close(net.fau_encoder.norm(trunk.features(frames)), net.fau_encoder.per_tick(frames))


def test_the_digest_follows_the_public_file_through_training(net: ReferenceFauForensics, tmp_path: Path) -> None:
    public = write(tmp_path / "me_graphau.pth", me_graphau(net))
    first = trunk_digest(load_trunk(public, 112))
    trained = build("reference")
    trained.fau_encoder.load_state_dict(load_trunk(public, 112).state_dict())
    with torch.no_grad():
        trained.fau_encoder.norm.gamma += 1  # all that trains of it
    save_checkpoint(tmp_path / "trained.safetensors", trained, OWN_FAU, "0" * 32, CALIBRATION)
    assert trunk_digest(load_trunk(tmp_path / "trained.safetensors", 112)) == first
    assert trunk_digest(load_trunk(public, 224)) != first
    with torch.no_grad():
        trained.fau_encoder.global_linear.bn.running_mean[0] += 1
    assert trunk_digest(trained.fau_encoder) != first


def test_a_lite_checkpoint_has_no_trunk(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "lite.safetensors", build("lite"), "mesh", "0" * 32, CALIBRATION)
    with pytest.raises(CheckpointError, match=r"lite.safetensors: holds preset 'lite', which has no frozen FAU encoder"):
        load_trunk(tmp_path / "lite.safetensors", 112)
