"""DVC end to end, in a git repository made for the test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from pipelines.initialise import commit_all, initialise
from pipelines.parquet import write_if_changed
from pipelines.step import UNIT_STEPS
from pipelines.weights.records import LOCK_FILE, read_lock
from schemas.tables import MANIFEST, PROVENANCE
from tests.pipelines.clips import FRAMES, different_clips, write_clip
from tests.pipelines.curate.test_run import RECIPE, digests, write_tables
from tests.pipelines.test_cli import fauscan

ROOT = Path(__file__).parents[2]
OUTS = ("selection.parquet", "proof.json", "recipe.yaml", "card.md", "datasheet.md", "plots")


def run(workspace: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, cwd=workspace, env=environment, capture_output=True, text=True, timeout=600)


def repro(workspace: Path) -> str:
    done = run(workspace, sys.executable, "-m", "dvc", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_templates_are_this_repositorys_own_pipeline() -> None:
    assert (ROOT / "dvc.yaml").read_bytes() == (ROOT / "pipelines" / "templates" / "dvc.yaml").read_bytes()


def test_steps_that_use_fetched_weights_depend_on_the_lock_which_init_begins(tmp_path: Path) -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert {name for name in UNIT_STEPS if LOCK_FILE in stages[name]["deps"]} == {"faces", "fau"}
    initialise(tmp_path / "ws", "archive", check=False)
    assert read_lock(tmp_path / "ws") == {}
    assert LOCK_FILE in run(tmp_path / "ws", "git", "ls-files").stdout.split()


@pytest.mark.slow
def test_init_repro_nothing_new_new_parameter_new_file(tmp_path: Path) -> None:
    archive, workspace = tmp_path / "archive", tmp_path / "ws"
    different_clips(archive, "a.mp4")
    done = fauscan("init", workspace, "--archive", archive)
    assert done.returncode == 0, done.stderr
    assert run(workspace, "git", "status", "--porcelain").stdout == ""
    assert "fauscan==" in (workspace / "requirements.txt").read_text(encoding="utf-8")
    assert "analytics = false" in (workspace / ".dvc" / "config").read_text(encoding="utf-8")

    params = workspace / "params.yaml"
    params.write_text(params.read_text(encoding="utf-8").replace("name: ray", "name: local"), encoding="utf-8")
    repro(workspace)
    first = pl.read_parquet(workspace / "data" / "labels")
    assert first.height == FRAMES
    assert (workspace / "reports" / "index.html").is_file()
    changed = run(workspace, "git", "status", "--porcelain").stdout
    assert "store/" not in changed
    assert "labels/" not in changed

    again = repro(workspace)
    assert again.count("didn't change, skipping") == 7  # all but the inventory, which always looks
    assert "nothing new" in again

    params.write_text(params.read_text(encoding="utf-8").replace("smooth_ticks: 5", "smooth_ticks: 9"), encoding="utf-8")
    planned = run(workspace, sys.executable, "-m", "dvc", "status").stdout
    assert "smooth_ticks" in planned or "label" in planned
    assert "faces:" not in planned

    write_clip(archive / "b.mp4", 1)
    grown = repro(workspace)
    assert "faces      1 videos" in grown
    assert pl.read_parquet(workspace / "data" / "labels").height == 2 * FRAMES


@pytest.mark.slow
def test_without_an_archive_the_root_of_the_project_says_what_to_set(tmp_path: Path) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    done = fauscan("inventory", cwd=tmp_path)
    assert done.returncode == 1
    assert "archive.uri is not set; put the folder or URL of your videos there" in done.stderr


@pytest.mark.slow
def test_the_training_pipeline_is_forge_train_evaluate(tmp_path: Path) -> None:
    """Its commands are those of the README, its recipes are read by what they are for."""
    from pipelines.train.train import _given
    from schemas.recipe import read_recipe
    from schemas.train import train_params

    folder = tmp_path / "pipelines" / "train"
    folder.mkdir(parents=True)
    for file in (ROOT / "pipelines" / "train").glob("*.yaml"):
        shutil.copy(file, folder)
    assert run(tmp_path, "git", "init", "-q").returncode == 0
    assert run(tmp_path, sys.executable, "-m", "dvc", "init", "-q").returncode == 0
    listed = run(tmp_path, sys.executable, "-m", "dvc", "stage", "list", "pipelines/train/dvc.yaml", "--name-only").stdout.split()
    assert [name.rsplit(":", 1)[1] for name in listed] == ["forge", "train", "evaluate"]
    dry = run(tmp_path, sys.executable, "-m", "dvc", "repro", "--dry", "pipelines/train/dvc.yaml").stdout
    assert "fauscan forge videos out/train/forged --seed 1 --recipe pipelines/train/forge.yaml" in dry
    read_recipe(folder / "forge.yaml")
    train_params("lite", _given(folder / "train.yaml"), "train.yaml")


@pytest.mark.slow
def test_a_curated_set_is_an_output_that_checkout_brings_back(tmp_path: Path) -> None:
    """Tables by hand instead of videos: the template's own stage, by itself."""
    archive, workspace = tmp_path / "archive", tmp_path / "ws"
    archive.mkdir()
    assert fauscan("init", workspace, "--archive", archive).returncode == 0
    write_tables(workspace)
    for step in ("faces", "audio"):
        write_if_changed(MANIFEST.empty_table(), workspace / "data" / "manifests" / f"{step}.parquet")
    write_if_changed(PROVENANCE.empty_table(), workspace / "data" / "provenance.parquet")
    params, recipe, made = workspace / "params.yaml", workspace / "recipes" / "set.yaml", workspace / "data" / "curated" / "set"
    listed = run(workspace, sys.executable, "-m", "dvc", "stage", "list", "--name-only")
    assert "report" in listed.stdout.split() and "curate" not in listed.stdout  # no recipe is no stage
    recipe.parent.mkdir()
    recipe.write_text(RECIPE, encoding="utf-8")
    params.write_text(params.read_text(encoding="utf-8").replace("recipes: []", "recipes: [set]"), encoding="utf-8")

    def curate_alone() -> str:
        done = run(workspace, sys.executable, "-m", "dvc", "repro", "-s", "curate@set")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    curate_alone()
    first = digests(made)
    assert {"selection.parquet", "card.md", "datasheet.md", "proof.json", "recipe.yaml", "metrics.json"} <= first.keys()
    assert "Stage 'curate@set' didn't change, skipping" in curate_alone()
    assert '"clips": 12' in run(workspace, sys.executable, "-m", "dvc", "metrics", "show", "--json").stdout
    commit_all(workspace, "one")

    recipe.write_text(RECIPE.replace("{train: 0.5, dev: 0, test: 0.5}", "{train: 1, dev: 0, test: 0}"), encoding="utf-8")
    curate_alone()
    second = digests(made)
    assert second["selection.parquet"] != first["selection.parquet"]
    commit_all(workspace, "two")

    done = fauscan("curate-diff", "HEAD~1", ".", "--name", "set", "-w", workspace, "--json", "--exit-code")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert told["changes"] == {"added": 0, "removed": 0, "split": 6, "target": 0} and told["recipe_changed"]
    assert told["moves"] == [{"split_a": "test", "split_b": "train", "clips": 6}]

    assert run(workspace, "git", "checkout", "-q", "HEAD~1").returncode == 0
    assert run(workspace, sys.executable, "-m", "dvc", "checkout", "-q", *(f"data/curated/set/{name}" for name in OUTS)).returncode == 0
    assert digests(made) == first
