from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.chain import STEPS, Fingerprints
from pipelines.commands import steps
from pipelines.plan import make_plan
from pipelines.step import run_step
from pipelines.weights import needed
from pipelines.weights.fetch import fetch
from pipelines.weights.folder import locate
from pipelines.weights.records import Pin, sha256_of, write_lock
from pipelines.weights.registry import read_registry, weight_named
from pipelines.whole import open_for_run
from pipelines.workspace import Workspace
from schemas.errors import WeightsError
from schemas.params import PipelineParams
from tests.pipelines.weights.conftest import BYTES
from tests.pipelines.weights.hub import Hub


@pytest.fixture
def workspace(tmp_path: Path, register: None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """One whose FAU backend needs `ears`, which no registry pins, and whose face backend needs `eyes`."""
    for step, name in (("faces", "eyes"), ("fau", "ears")):
        monkeypatch.setitem(STEPS, step, replace(STEPS[step], models=(name,)))
    (tmp_path / "work").mkdir()
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / "a.mp4").write_bytes(b"never opened")
    params = PipelineParams().model_copy(update={"archive": PipelineParams().archive.model_copy(update={"uri": str(tmp_path / "archive")})})
    return Workspace(tmp_path / "work", params)


def get(*names: str) -> None:
    fetch([weight_named(name) for name in names], {}, accept_licence=True)


def test_the_default_needs_nothing_but_what_ships() -> None:
    assert needed.needed(PipelineParams()) == []


def test_every_name_that_a_backend_needs_is_in_the_registry() -> None:
    pyfeat = {"backend": "pyfeat"}
    for variant in ("xgb", "svm", "multitask"):
        for faces in ({}, pyfeat):
            asked = needed.needed(PipelineParams.model_validate({"faces": faces, "fau": pyfeat | {"variant": variant}}))
            assert asked and set(asked) <= read_registry().keys()


def test_missing_weights_are_said_before_a_video_is_touched(workspace: Workspace, tmp_path: Path) -> None:
    said = "run `fauscan models fetch ears eyes --accept-licence`"
    with pytest.raises(WeightsError, match=said):
        make_plan(workspace)
    with pytest.raises(WeightsError, match=said):
        open_for_run(str(tmp_path / "archive"), tmp_path / "new", None, None)
    assert not (tmp_path / "new").exists()
    (workspace.root / "params.yaml").write_text(f"archive: {{uri: {tmp_path / 'archive'}}}")
    with pytest.raises(WeightsError, match=said):
        steps.inventory(workspace.root, probe=None, admit=None)
    with pytest.raises(WeightsError, match="run `fauscan models fetch eyes`"):
        run_step(workspace, "faces")
    assert not workspace.data.exists()


def test_a_damaged_file_is_not_used(workspace: Workspace, hub: Hub) -> None:
    get("eyes", "ears")
    needed.require(workspace.root, ["eyes", "ears"])
    locate("eyes").write_bytes(BYTES[::-1])
    with pytest.raises(WeightsError, match=r"digest is \w+, FauScan's registry has \w+; run `fauscan models fetch eyes`"):
        needed.require(workspace.root, ["eyes", "ears"])


def test_what_the_lock_pins_is_held_to(workspace: Workspace, hub: Hub) -> None:
    get("eyes", "ears")
    write_lock(workspace.root, {"ears": Pin("a" * 64, 1000)})
    with pytest.raises(WeightsError, match=r"models\.lock\.yaml has aaaaaaaaaaaa"):
        needed.require(workspace.root, ["ears"])


def test_other_bytes_are_another_fingerprint_and_a_pin_alone_is_the_same_one(workspace: Workspace, hub: Hub) -> None:
    get("eyes", "ears")
    before = {name: Fingerprints(workspace).of(name) for name in ("faces", "fau", "audio")}
    pin = Pin(sha256_of(locate("ears")), 1000)
    locate("ears").write_bytes(b"newer")
    after = {name: Fingerprints(workspace).of(name) for name in before}
    assert {name for name in before if before[name] != after[name]} == {"fau"}
    write_lock(workspace.root, {"ears": pin})
    locate("ears").unlink()  # looking at a workspace needs no weights that are pinned
    assert {name: Fingerprints(workspace).of(name) for name in before} == before
