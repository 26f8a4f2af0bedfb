from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fauforensics import build, load_checkpoint, save_checkpoint
from fauforensics.checkpoint_info import OWN_FAU, Calibration
from schemas.errors import CheckpointError

CALIBRATION = Calibration({"total": 1.0, "audio": 2.0, "visual": 3.0}, {"total": 0.0, "audio": 0.1, "visual": 0.2}, 0.7, 0.5)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, build("lite"), "mesh", "digest", CALIBRATION)
    return path


def test_a_saved_network_comes_back(saved: Path) -> None:
    net, info = load_checkpoint(saved, "lite", "mesh")
    again, _ = load_checkpoint(saved, "lite", "mesh")
    assert info.calibration == CALIBRATION
    assert info.training_data_digest == "digest"
    assert not net.training
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True))


def test_equal_networks_are_equal_files(saved: Path, tmp_path: Path) -> None:
    """safetensors writes several metadata entries in any order, another one in each process or map."""
    net, info = load_checkpoint(saved, "lite", "mesh")
    for number in range(5):
        path = tmp_path / f"{number}.safetensors"
        save_checkpoint(path, net, info.fau_backend, info.training_data_digest, info.calibration)
        assert path.read_bytes() == saved.read_bytes()


def test_another_fau_backend_is_refused(saved: Path) -> None:
    with pytest.raises(CheckpointError, match=r"trained on FAU backend 'mesh', but fau\.backend is 'pyfeat'"):
        load_checkpoint(saved, "lite", "pyfeat")


def test_another_preset_is_refused(saved: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds preset 'lite', but score\.preset is 'reference'"):
        load_checkpoint(saved, "reference", "mesh")


@pytest.mark.parametrize("size", [0, 5, 100, 5000])
def test_a_truncated_file_is_refused(saved: Path, size: int) -> None:
    saved.write_bytes(saved.read_bytes()[:size])
    with pytest.raises(CheckpointError, match="damaged or not a safetensors file"):
        load_checkpoint(saved, "lite", "mesh")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such weights file"):
        load_checkpoint(tmp_path / "none.safetensors", "lite", "mesh")


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (exec, (f"open({str(tmp_path / 'boom')!r}, 'w')",))

    for name in ("net.pt", "net.safetensors"):
        path = tmp_path / name
        path.write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(CheckpointError):
            load_checkpoint(path, "lite", "mesh")
    assert not (tmp_path / "boom").exists()


def test_a_strangers_safetensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="not a FauScan checkpoint"):
        load_checkpoint(path, "lite", "mesh")


def test_weights_that_do_not_fit_are_refused(saved: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    with safe_open(saved, "pt") as file:
        metadata = dict(file.metadata())
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del state["queries"]
    path = tmp_path / "lacking.safetensors"
    save_file(state, path, metadata)
    with pytest.raises(CheckpointError, match="queries"):
        load_checkpoint(path, "lite", "mesh")
    facts = json.loads(metadata["fauscan"]) | {"config": {"depth": 9}}
    save_file(state, path, {"fauscan": json.dumps(facts)})
    with pytest.raises(CheckpointError, match="metadata is damaged"):
        load_checkpoint(path, "lite", "mesh")


def test_the_shipped_weights_load_and_say_what_they_are() -> None:
    import models

    net, info = load_checkpoint(Path(next(iter(models.__path__)), "lite.safetensors"), "lite", "mesh")
    assert info.fau_backend == "mesh"
    assert len(info.training_data_digest) == 32
    assert sum(p.numel() for p in net.parameters()) < 3_000_000


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    net = build("lite")
    with torch.no_grad():
        net.queries.fill_(float("nan"))
    path = tmp_path / "nan.safetensors"
    save_checkpoint(path, net, "mesh", "digest", CALIBRATION)
    with pytest.raises(CheckpointError, match=r"1 hold NaN or infinity \(queries\)"):
        load_checkpoint(path, "lite", "mesh")


def test_a_calibration_without_a_head_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cal.safetensors"
    save_checkpoint(path, build("lite"), "mesh", "digest", Calibration({"total": 1.0}, CALIBRATION.shift, 0.7, 0.5))
    with pytest.raises(CheckpointError, match="metadata is damaged"):
        load_checkpoint(path, "lite", "mesh")


@pytest.fixture(scope="module")
def saved_reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reference") / "reference.safetensors"
    torch.manual_seed(1)
    save_checkpoint(path, build("reference", fau_input_px=224), OWN_FAU, "digest", CALIBRATION)
    return path


def test_the_reference_network_comes_back_whatever_made_the_action_units(saved_reference: Path) -> None:
    net, info = load_checkpoint(saved_reference, "reference", "mesh")
    torch.manual_seed(1)
    fresh = build("reference").state_dict()
    assert info.config.preset == "reference" and info.fau_backend == OWN_FAU
    assert net.config.fau_input_px == net.fau_encoder.input_px == 224
    assert not net.training
    assert all(torch.equal(tensor, fresh[name]) for name, tensor in net.state_dict().items())


def test_a_reference_checkpoint_is_not_taken_for_another(saved_reference: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds preset 'reference', but score\.preset is 'lite'"):
        load_checkpoint(saved_reference, "lite", "mesh")
    path = tmp_path / "cut.safetensors"
    with saved_reference.open("rb") as file:
        path.write_bytes(file.read(1_000_000))
    with pytest.raises(CheckpointError, match="damaged or not a safetensors file"):
        load_checkpoint(path, "reference", "mesh")


@pytest.mark.parametrize(("preset", "fau_backend"), [("lite", OWN_FAU), ("reference", "mesh")])
def test_a_checkpoint_can_not_lie_about_its_action_units(tmp_path: Path, preset: str, fau_backend: str) -> None:
    with pytest.raises(ValueError, match=f"fau_backend is {fau_backend!r}"):
        save_checkpoint(tmp_path / "net.safetensors", build(preset), fau_backend, "digest", CALIBRATION)
