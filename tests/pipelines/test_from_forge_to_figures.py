"""From forge to figures: forgeries, their truth by an adapter, labels, a curated set, a detector trained on it, and how good it is."""

from __future__ import annotations

import json
import shutil

import polars as pl
import pytest
import yaml

from pipelines.curated import open_curated
from pipelines.workspace import Workspace
from tests.conftest import SHARED, needs_shared
from tests.pipelines.test_cli import fauscan

pytestmark = [pytest.mark.slow, needs_shared]

PEOPLE = {"bbaf2n": "s1", "brbk7n": "s2", "lbax4n": "s3"}
FORGE = {
    "forgeries_per_take": 2, "forgeries_per_identity": 0, "excerpt": {"look_minutes": 0.035},
    "splits": {"train": 0.34, "dev": 0.33, "test": 0.33},
}  # fmt: skip
RECIPE = {"targets": {"target_from": "truth"}, "clips": {"stride_ticks": 25}}
TINY = {
    "network": {"dim": 32, "video_width": 4, "crop_px": 32}, "au_steps": 2, "picture_steps": 2, "picture_batch": 4, "steps": 4,
    "batch_clips": 2, "validate_every": 4, "warmup_steps": 2,
}  # fmt: skip


def succeed(*arguments: object) -> str:
    done = fauscan(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout + done.stderr)


def test_forge_adapter_run_curate_train_evaluate(tmp_path):
    source, forged, workspace = tmp_path / "real", tmp_path / "forged", tmp_path / "forged-labels"
    source.mkdir()
    for name in PEOPLE:
        shutil.copy(SHARED / "media" / "grid" / f"{name}.mpg", source)
    lines = ["uri,identity", *(f"{name}.mpg,{who}" for name, who in PEOPLE.items())]
    (source / "identities.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name, content in (("forge", FORGE), ("set", RECIPE), ("train", TINY)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")

    succeed("forge", source, forged, "--seed", "1", "--recipe", tmp_path / "forge.yaml", "--workers", 1)
    truth = {row["file"]: row for row in json.loads((forged / "metadata.json").read_text(encoding="utf-8"))}
    succeed("run", forged, "-w", workspace, "--engine", "local")
    inventory = pl.read_parquet(workspace / "data" / "inventory.parquet").filter(pl.col("truth_fake").is_not_null())
    assert dict(inventory.select("uri", "truth_split").iter_rows()) == {file: row["split"] for file, row in truth.items()}

    succeed("curate", tmp_path / "set.yaml", "-w", workspace)
    curated = open_curated(Workspace.open(workspace), "set")
    for uri, split, target in curated.selection.select("uri", "split", "target").iter_rows():
        assert split == truth[uri]["split"] and (target == "real" or truth[uri]["n_fakes"])
    assert all(relation["overlaps"] == 0 for relation in curated.proof["relations"].values())

    succeed("train", "--curated", "set", "-w", workspace, "--params", tmp_path / "train.yaml", "--engine", "local")
    weights = workspace / "out" / "set" / "lite.safetensors"
    card = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["curated"] == {"name": "set", "digest": curated.digest}
    assert card["identities"] == {"train": 1, "dev": 1}

    figures = tmp_path / "figures.json"
    succeed("evaluate", "--data", forged, "--weights", weights, "--engine", "local", "--json", figures)
    (result,) = json.loads(figures.read_text(encoding="utf-8"))["results"]
    assert result["split"] == "test" and set(result["heads"]) >= {"total", "visual", "audio"}
