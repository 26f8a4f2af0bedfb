"""Which features a workspace keeps, what that changes in the chain, and which checkpoints may be scored with them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from fauforensics import build, save_checkpoint
from fauforensics.checkpoint_info import OWN_FAU
from pipelines.chain import Fingerprints, step_of
from pipelines.features import check_checkpoint, features_name
from pipelines.plan import make_plan
from pipelines.weights.folder import path_of
from pipelines.weights.needed import needed, require
from pipelines.weights.registry import weight_named
from pipelines.whole import label_all
from pipelines.workspace import Workspace
from schemas.errors import CheckpointError, ParamsError, WeightsError
from schemas.params import PipelineParams, validate
from tests.fauforensics.test_pretrained import me_graphau, write
from tests.fauforensics.test_trunk import CALIBRATION


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a.safetensors and a.pth have one trunk, b.safetensors another; lite networks with and without features."""
    folder = tmp_path_factory.mktemp("features")
    torch.manual_seed(0)
    net = build("reference")
    content: Any = me_graphau(net)
    content["state_dict"] = {k: v for k, v in content["state_dict"].items() if ".head." in k} | {
        f"module.{k}": v for k, v in net.fau_encoder.state_dict().items() if not k.startswith("norm.")
    }
    write(folder / "a.pth", content)
    save_checkpoint(folder / "a.safetensors", net, OWN_FAU, "0" * 32, CALIBRATION)
    with torch.no_grad():
        net.fau_encoder.backbone.conv1.weight += 1
    save_checkpoint(folder / "b.safetensors", net, OWN_FAU, "0" * 32, CALIBRATION)
    save_checkpoint(folder / "lite.safetensors", build("lite"), "mesh", "0" * 32, CALIBRATION)
    name = features_name(workspace(folder, fau={"embedding": "me-graphau", "embedding_weights": "a.pth"}))
    save_checkpoint(folder / "more.safetensors", build("lite", num_features=512), "mesh", "0" * 32, CALIBRATION, name)
    return folder


def workspace(folder: Path, **sections: dict[str, Any]) -> Workspace:
    return Workspace(folder, PipelineParams.model_validate(sections))


REFERENCE = {"preset": "reference", "weights": "a.safetensors"}
KEPT = {"embedding": "me-graphau", "embedding_weights": "a.pth"}


def test_a_checkpoint_may_use_features_of_its_own_trunk_from_whichever_file(folder: Path) -> None:
    for source in ("a.pth", "a.safetensors"):
        check_checkpoint(workspace(folder, score=REFERENCE, fau=KEPT | {"embedding_weights": source}))
    check_checkpoint(workspace(folder, score=REFERENCE))  # it has its trunk
    names = {features_name(workspace(folder, fau=KEPT | {"embedding_weights": f"{n}.safetensors"})) for n in "ab"}
    assert len(names) == 2


def test_features_of_another_trunk_are_refused(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"FAU encoder is me-graphau-\w{12}, but .*set fau.embedding_weights: a.safetensors"):
        check_checkpoint(workspace(folder, score=REFERENCE, fau=KEPT | {"embedding_weights": "b.safetensors"}))


@pytest.mark.parametrize("fau", [{}, KEPT | {"embedding_weights": "b.safetensors"}])
def test_a_lite_network_wants_the_features_that_it_was_trained_on(folder: Path, fau: dict[str, str]) -> None:
    more = {"weights": "more.safetensors"}
    check_checkpoint(workspace(folder, score=more, fau=KEPT))
    check_checkpoint(workspace(folder, score={"weights": "lite.safetensors"}, fau=fau))  # which reads none
    with pytest.raises(CheckpointError, match=r"more.safetensors: was trained on features of me-graphau-.*set fau.embedding: me-graphau"):
        check_checkpoint(workspace(folder, score=more, fau=fau))


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"score": {"weights": "a.safetensors"}}, r"a.safetensors: holds preset 'reference', but score.preset is 'lite'"),
        (
            {"score": {"weights": "lite.safetensors"}, "fau": {"backend": "pyfeat"}},
            r"was trained on FAU backend 'mesh', but fau.backend is 'pyfeat-xgb'",
        ),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_before_the_first_step(
    folder: Path, tmp_path: Path, sections: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.plan.require", lambda *_: None)  # py-feat's own weights are another matter
    unfit = workspace(folder, archive={"uri": str(tmp_path / "nothing here")}, **sections)
    for attempt in (make_plan, label_all):
        with pytest.raises(CheckpointError, match=said):
            attempt(unfit)


def test_the_chain_keeps_and_reads_the_table_where_it_is_wanted(folder: Path) -> None:
    def tables(step: str, **sections: dict[str, Any]) -> tuple[set[str], set[str]]:
        found = step_of(step, PipelineParams.model_validate(sections))
        return set(found.outputs), {r.table for r in found.reads}

    assert tables("fau", fau=KEPT) == ({"fau", "fau_features"}, {"faces"})
    assert {"frame_index", "crop", "landmarks"} < set(step_of("fau", PipelineParams.model_validate({"fau": KEPT})).reads[0].columns or ())
    assert "fau_features" in tables("score", fau=KEPT, score=REFERENCE)[1]
    multitask = {"backend": "pyfeat", "variant": "multitask", "embedding": "multitask"}
    assert "fau_features" in tables("score", fau=multitask)[1]
    assert "fau_features" not in tables("score", fau=multitask, score=REFERENCE)[1]  # it knows only its own trunk's
    assert "fau_features" not in tables("score")[1]


def test_what_the_weights_hold_is_in_the_fingerprint_and_their_name_is_not(folder: Path) -> None:
    def of(**fau: str) -> str:
        return Fingerprints(workspace(folder, fau=fau)).of("fau")

    assert of(**KEPT) == of(**KEPT | {"embedding_weights": "a.safetensors"})
    assert len({of(**KEPT), of(**KEPT | {"embedding_weights": "b.safetensors"}), of()}) == 3
    assert of() == of(embedding_weights="elsewhere.pth")


def test_a_name_in_the_registry_is_needed_and_found(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAUSCAN_MODELS", str(tmp_path))
    fau = KEPT | {"embedding_weights": "open-graphau"}
    params = PipelineParams.model_validate({"fau": fau})
    assert needed(params) == ["open-graphau"]
    with pytest.raises(WeightsError, match=r"open-graphau: not on this machine; get OpenGprahAU-ResNet50_second_stage.pth from"):
        require(tmp_path, needed(params))
    place = path_of(weight_named("open-graphau"))
    place.parent.mkdir()
    shutil.copy(folder / "a.pth", place)
    named, by_path = (Workspace(folder, PipelineParams.model_validate({"fau": f})) for f in (fau, KEPT))
    assert Fingerprints(named).of("fau") == Fingerprints(by_path).of("fau")


def test_weights_that_are_not_there_are_one_line(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none.pth: no such weights file; fau.embedding_weights in params.yaml"):
        features_name(workspace(folder, fau=KEPT | {"embedding_weights": "none.pth"}))


def test_the_old_switch_still_means_what_it_did() -> None:
    multitask = {"backend": "pyfeat", "variant": "multitask", "embedding": True}
    assert validate({"fau": multitask}, "p").fau.embedding == "multitask"
    assert validate({"fau": {"embedding": False}}, "p").fau.embedding == "none"
    with pytest.raises(ParamsError, match=r"fau.embedding is multitask, but the action units are 'mesh'"):
        validate({"fau": {"embedding": "multitask"}}, "p")


def test_a_checkpoint_says_whose_features_it_reads(tmp_path: Path) -> None:
    for features, source in ((512, None), (0, "pyfeat-multitask")):
        with pytest.raises(ValueError, match="fau_features is"):
            save_checkpoint(tmp_path / "x.safetensors", build("lite", num_features=features), "mesh", "0" * 32, CALIBRATION, source)
