"""Forge, train, evaluate: the three commands of the README on real talkers, and what stands between them."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from fauforensics.checkpoint import load_checkpoint
from fauforensics.checkpoint_info import read_info
from pipelines import engine
from pipelines.train.state import load_state
from pipelines.train.train import train
from schemas.errors import CheckpointError, ParamsError, WorkspaceError
from tests.conftest import SHARED, needs_shared
from tests.pipelines.test_cli import fauscan

pytestmark = [pytest.mark.slow, needs_shared]

PEOPLE = {"bbaf2n": "s1", "brbk7n": "s2", "lbax4n": "s3", "sbwe5n": "s4"}
RECIPE = {
    "forgeries_per_take": 6, "forgeries_per_identity": 0, "excerpt": {"look_minutes": 0.035},
    "splits": {"train": 0.5, "dev": 0.25, "test": 0.25},
}  # fmt: skip
TINY = {
    "network": {"dim": 32, "video_width": 4, "crop_px": 32}, "au_steps": 2, "picture_steps": 2, "picture_batch": 4, "steps": 4,
    "batch_clips": 2, "stretch_ticks": 30, "validate_every": 4, "warmup_steps": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def forged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    source = folder / "real"
    source.mkdir()
    for name in PEOPLE:
        shutil.copy(SHARED / "media" / "grid" / f"{name}.mpg", source)
    lines = ["uri,identity", *(f"{name}.mpg,{who}" for name, who in PEOPLE.items())]
    (source / "identities.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    recipe = folder / "forge.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    (folder / "train.yaml").write_text(yaml.safe_dump(TINY), encoding="utf-8")
    done = fauscan("forge", source, folder / "forged", "--seed", "1", "--recipe", recipe, "--workers", 1)
    assert done.returncode == 0, done.stderr
    return folder / "forged"


@pytest.fixture(scope="module")
def weights(forged: Path) -> Path:
    done = fauscan("train", "--data", forged, "--params", forged.parent / "train.yaml", "--engine", "local")
    assert done.returncode == 0, done.stderr
    assert "step 8/8" in done.stdout or "step 8/8" in done.stderr
    return forged.with_name("forged-model") / "lite.safetensors"


def test_the_checkpoint_says_what_it_was_made_of(forged, weights):
    net, info = load_checkpoint(weights, "lite", "mesh")
    assert net.config.crop_px == 32
    card = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["training_data_digest"] == info.training_data_digest
    assert card["identities"] == {"train": 2, "dev": 1}
    assert 0 < info.calibration.real_below <= 0.5 <= info.calibration.fake_above < 1
    assert list((weights.with_name("lite-run") / "dvclive" / "plots" / "metrics").glob("*.tsv"))


def test_again_does_nothing_and_another_recipe_is_refused(forged, weights):
    before = weights.read_bytes()
    train(forged, weights, params_file=forged.parent / "train.yaml", engine_name="local")
    assert weights.read_bytes() == before
    with pytest.raises(WorkspaceError, match="holds a run that differs in asked; use --fresh"):
        train(forged, weights, params_file=forged.parent / "train.yaml", seed=7, engine_name="local")


def test_evaluate_prints_a_table_of_the_held_out_speaker(forged, weights):
    done = fauscan("evaluate", "--data", forged, "--weights", weights, "--engine", "local", "--json", forged.parent / "m.json")
    assert done.returncode == 0, done.stderr
    assert "desync" in done.stdout and max(len(line) for line in done.stdout.splitlines()) <= 80
    (result,) = json.loads((forged.parent / "m.json").read_text(encoding="utf-8"))["results"]
    assert result["weights_sha256"] == read_info(weights).sha256


@pytest.fixture
def _end_of_ray() -> Iterator[None]:
    yield
    sys.modules["ray"].shutdown()
    engine._connect.cache_clear()


@pytest.fixture
def foreign_dashboard():
    """A Ray dashboard at the usual port that knows of no actor, as that of another cluster on this machine."""

    class Nobody(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = {"total": 0, "num_after_truncation": 0, "num_filtered": 0, "result": [], "partial_failure_warning": "", "warnings": []}
            body = json.dumps({"result": True, "msg": "", "data": {"result": page}}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    try:
        server = ThreadingHTTPServer(("127.0.0.1", 8265), Nobody)
    except OSError:  # the cluster tests' own is there, which knows as little
        yield
        return
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.usefixtures("foreign_dashboard", "_end_of_ray")
def test_two_workers_share_the_gradient(forged, tmp_path):
    out = tmp_path / "two.safetensors"
    train(forged, out, overrides=TINY, workers=2, device="cpu", engine_name="local")
    state = load_state(tmp_path / "two-run")
    assert state is not None and state.finished and state.step == 8
    load_checkpoint(out, "lite", "mesh")


def test_pixels_from_the_video_are_those_of_the_store(forged, tmp_path):
    """decord and the stored crops show the network the same: the crops differ by what float16 landmarks lose."""
    import numpy as np

    from pipelines.train.dataset import load_dataset
    from pipelines.train.pixels import VideoCrops, stored_crops
    from pipelines.workspace import Workspace
    from schemas.truth import read_truth

    opened = Workspace.open(forged.with_name("forged-labels"))
    rows = [row for row in read_truth(forged) if row.split != "test"]
    data = load_dataset(opened, rows, 30, with_landmarks=True)
    read = VideoCrops(opened.archive(), opened.params.faces, opened.params.decode)
    for clip in data.clips[:3]:
        where = slice(10, 14)
        for anew, kept in zip(read(clip, where), stored_crops(clip, where), strict=True):
            assert np.abs(anew.astype(int) - kept.astype(int)).mean() < 3


def test_weights_of_another_preset_are_refused(forged, weights, tmp_path):
    from pipelines.train.starts import Starts

    with pytest.raises(CheckpointError, match="holds preset 'lite'"):
        train(forged, tmp_path / "a.safetensors", preset="reference", overrides={"steps": 1}, starts=Starts(weights), engine_name="local")
    with pytest.raises(ParamsError, match="--init-csn: preset 'lite' has no such encoder"):
        train(forged, tmp_path / "b.safetensors", overrides=TINY, starts=Starts(csn=weights), engine_name="local")
