"""py-feat's networks through registry, sandbox, store and labels, on weights made here."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from fauforensics import build, save_checkpoint
from fauforensics.checkpoint_info import Calibration
from pipelines import sandbox
from pipelines.verify import Checked, verify
from pipelines.whole import label_all, open_for_run
from pipelines.workspace import Workspace
from schemas.errors import WeightsError
from stages.encoding import write_mp4
from tests.pyfeat_weights import FILES, make_all, spots

pytestmark = pytest.mark.slow

_FRAMES = 30
_HEADS = ("total", "audio", "visual")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """weights/, registry.yaml, archive/ with one face that wanders, and a checkpoint and parameters for each variant."""
    import stages.pyfeat.adapter  # noqa: F401 - py-feat's first import is this one, with its effects undone

    folder = tmp_path_factory.mktemp("pyfeat")
    entries = {}
    for name, made in make_all(folder / "made").items():
        repository, file = FILES[name]
        (folder / "weights" / repository).mkdir(parents=True)
        shutil.copy(made, folder / "weights" / repository / file)
        source = {"repository": repository, "file": file, "revision": None}
        entries[name] = {"purpose": "tests", "licence": "ours", "commercial": "yes", "page": "https://example.org", "source": source}
    (folder / "registry.yaml").write_text(yaml.safe_dump({"weights": entries}))
    (folder / "archive").mkdir()
    wave = np.sin(np.arange(16_000 * _FRAMES // 25, dtype=np.float32) / 12) * np.float32(0.3)
    pictures = ((i * 40_000, spots([(80 + i, 90)], (160, 192))) for i in range(_FRAMES))
    write_mp4(folder / "archive" / "face.mp4", pictures, wave, 16_000)
    calibration = Calibration(dict.fromkeys(_HEADS, 1.0), dict.fromkeys(_HEADS, 0.0), fake_above=0.7, real_below=0.3)
    for variant in ("xgb", "svm", "multitask"):
        weights = folder / f"{variant}.safetensors"
        save_checkpoint(weights, build("lite"), f"pyfeat-{variant}", "0" * 64, calibration)
        params = {
            "engine": {"name": "local", "workers": 1},
            "faces": {"backend": "pyfeat", "device": "cpu"},
            "fau": {"backend": "pyfeat", "variant": variant, "device": "cpu"},
            "score": {"weights": str(weights), "device": "cpu"},
        }
        (folder / f"{variant}.yaml").write_text(yaml.safe_dump(params))
    return folder


@pytest.fixture
def models(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of weights, which the environment names, to this process and to those that it starts."""
    monkeypatch.setenv("FAUSCAN_REGISTRY", str(here / "registry.yaml"))
    monkeypatch.setenv("FAUSCAN_MODELS", str(here / "weights"))
    return here / "weights"


def stored(workspace: Workspace, step: str) -> set[Path]:
    """Receipts of a step."""
    return set((workspace.root / "store" / step).rglob("receipt.json"))


@pytest.mark.usefixtures("models")
def test_each_variant_labels_every_frame_and_shares_the_faces(here: Path, tmp_path: Path) -> None:
    sandbox._close_idle()  # those of other tests have the environment of their day
    counts = []
    for variant in ("xgb", "svm", "multitask"):
        workspace = open_for_run(str(here / "archive"), tmp_path / "ws", None, here / f"{variant}.yaml")
        label_all(workspace)
        labels = pl.read_parquet(workspace.labels)
        assert labels["frame_index"].to_list() == list(range(_FRAMES))
        assert labels["label"].null_count() == labels["p_total"].null_count() == 0
        units = pl.concat([pl.read_parquet(p) for p in (workspace.root / "store" / "fau").rglob("fau*.parquet")])
        assert units.height == _FRAMES * (len(counts) + 1)
        assert units.select(pl.all().exclude("content_id")).null_count().sum_horizontal().item() == 0
        seen = Checked()
        assert list(verify(workspace, seen)) == []
        assert seen.videos == 1 and seen.receipts == 5
        counts.append({step: len(stored(workspace, step)) for step in ("faces", "audio", "fau", "score", "label")})
    assert counts == [{"faces": 1, "audio": 1, "fau": n, "score": n, "label": n} for n in (1, 2, 3)]
    sandbox._close_idle()


@pytest.mark.parametrize("name", ["pyfeat-retinaface", "pyfeat-svm"])
def test_a_missing_file_of_weights_ends_the_run_before_anything_is_made(name: str, here: Path, models: Path, tmp_path: Path) -> None:
    repository, file = FILES[name]
    away = shutil.move(models / repository / file, tmp_path / file)
    try:
        with pytest.raises(WeightsError, match=rf"{name} is not in .*run `fauscan models fetch") as caught:
            open_for_run(str(here / "archive"), tmp_path / "ws", None, here / "svm.yaml")
    finally:
        shutil.move(away, models / repository / file)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ws").exists()
