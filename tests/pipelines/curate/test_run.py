from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from pipelines.curate.run import curate, read_recipe
from pipelines.params_file import render
from pipelines.parquet import read_frame, write_if_changed
from pipelines.workspace import Workspace
from schemas.errors import ParamsError, WorkspaceError
from schemas.params import PipelineParams
from schemas.tables import CURATED, INVENTORY, LABELS, SEGMENTS
from tests.pipelines.test_cli import fauscan
from tests.stages.curate.made_archive import frames, table, video

RECIPE = """\
name: set
filters:
  dataset: made
splits: {train: 0.5, dev: 0, test: 0.5}
"""


def write_tables(root: Path) -> None:
    """Four videos with truth and labels, in two files."""
    rows = [video(name, fake=name in "ab", identities=[f"made:{name}"]) for name in "abcd"]
    write_if_changed(table(INVENTORY, rows).to_arrow().cast(INVENTORY), root / "data" / "inventory.parquet")
    for unit, names in (("one", "ab"), ("two", "cd")):
        labels = table(LABELS, [row for name in names for row in frames(name)])
        write_if_changed(labels.to_arrow().cast(LABELS), root / "data" / "labels" / f"{unit}.parquet")
    write_if_changed(SEGMENTS.empty_table(), root / "data" / "segments.parquet")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Those tables and a recipe."""
    write_tables(tmp_path)
    (tmp_path / "params.yaml").write_text(render(PipelineParams()), encoding="utf-8")
    (tmp_path / "set.yaml").write_text(RECIPE, encoding="utf-8")
    return Workspace.open(tmp_path)


def digests(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_set_is_its_selection_with_proof_figures_and_recipe(workspace: Workspace) -> None:
    made = curate(workspace, workspace.root / "set.yaml")
    assert made.folder == workspace.data / "curated" / "set"
    assert sorted(digests(made.folder)) == [
        "card.md", "datasheet.md", "metrics.json",
        "plots/clips_per_identity.csv", "plots/funnel.csv", "plots/methods.csv", "plots/shares.csv",
        "plots/splits.csv", "proof.json", "recipe.yaml", "selection.parquet",
    ]  # fmt: skip
    rows = read_frame(made.folder / "selection.parquet", "fauscan curate", CURATED)
    assert rows.height == 12
    assert rows["clip_id"].is_sorted()
    metrics = json.loads((made.folder / "metrics.json").read_text())
    metadata = pq.read_schema(made.folder / "selection.parquet").metadata
    assert metadata[b"fauscan.recipe"].decode() == metrics["recipe"]
    assert metadata[b"fauscan.inputs"].decode() == metrics["inputs"]
    assert metrics["splits"]["train"]["clips"] == metrics["splits"]["test"]["clips"] == 6
    assert (made.folder / "recipe.yaml").read_text() == RECIPE


def test_a_rerun_writes_nothing_and_another_workspace_gives_the_same_bytes(
    workspace: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first = curate(workspace, workspace.root / "set.yaml")
    assert len(first.written) == 11
    stamps = {p: p.stat().st_mtime_ns for p in first.folder.rglob("*")}
    assert curate(workspace, workspace.root / "set.yaml").written == []
    assert {p: p.stat().st_mtime_ns for p in first.folder.rglob("*")} == stamps
    other = tmp_path_factory.mktemp("other")
    subprocess.run(["cp", "-r", *(str(workspace.root / name) for name in ("data", "params.yaml", "set.yaml")), str(other)], check=True)
    subprocess.run(["rm", "-r", str(other / "data" / "curated")], check=True)
    assert digests(curate(Workspace.open(other), other / "set.yaml").folder) == digests(first.folder)


def test_only_what_changed_is_written(workspace: Workspace) -> None:
    recipe = workspace.root / "set.yaml"
    folder = curate(workspace, recipe).folder
    recipe.write_text(RECIPE + "# a remark\n", encoding="utf-8")
    assert curate(workspace, recipe).written == ["recipe.yaml", "datasheet.md"]  # which quotes it
    (folder / ".tmp-selection").write_bytes(b"half")  # what a killed run leaves
    (folder / "proof.json").write_text("{}")
    assert curate(workspace, recipe).written == ["proof.json"]
    assert not (folder / ".tmp-selection").exists()


def test_new_labels_change_the_digest_of_the_inputs(workspace: Workspace) -> None:
    recipe = workspace.root / "set.yaml"
    before = json.loads((curate(workspace, recipe).folder / "metrics.json").read_text())
    labels = table(LABELS, [row for name in "ab" for row in frames(name, p=0.2)])
    write_if_changed(labels.to_arrow().cast(LABELS), workspace.labels / "one.parquet")
    after = json.loads((curate(workspace, recipe).folder / "metrics.json").read_text())
    assert (after["recipe"], after["inputs"] != before["inputs"]) == (before["recipe"], True)


def test_a_problem_of_the_data_names_the_recipes_line(workspace: Workspace) -> None:
    recipe = workspace.root / "set.yaml"
    recipe.write_text("filters:\n  quality: {min: 0.9}\n", encoding="utf-8")
    with pytest.raises(ParamsError, match=r"set\.yaml:2: filters\.quality leaves nothing .* quality is 0\.5 to 0\.5 in them$"):
        curate(workspace, recipe)
    assert not (workspace.data / "curated").exists()


def test_without_labels_there_is_nothing_to_curate(workspace: Workspace) -> None:
    for path in workspace.labels.glob("*.parquet"):
        path.unlink()
    with pytest.raises(WorkspaceError, match="no labels yet; run `fauscan run`"):
        curate(workspace, workspace.root / "set.yaml")


def test_a_recipe_needs_a_name_that_a_folder_can_have(workspace: Workspace) -> None:
    (workspace.root / "my set.yaml").write_text("", encoding="utf-8")
    with pytest.raises(ParamsError, match=r"'my set' can't be a folder's name; say `name: \.\.\.`"):
        curate(workspace, workspace.root / "my set.yaml")
    with pytest.raises(ParamsError, match=r"gone\.yaml: no such file; docs/curation\.md"):
        read_recipe(workspace.root / "gone.yaml")


@pytest.mark.slow
def test_the_command_prints_steps_splits_and_proof_in_80_columns(workspace: Workspace) -> None:
    done = fauscan("curate", workspace.root / "set.yaml", "-w", workspace.root)
    assert done.returncode == 0, done.stderr
    assert max(len(line) for line in done.stdout.splitlines()[:-1]) <= 80
    assert "Shared by splits (of all): identity 0/4" in done.stdout
    assert "12 clips" in done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_pose_speech_and_looks_come_from_the_store_and_hashes_are_kept(labelled: Path) -> None:
    recipe = labelled / "real.yaml"
    recipe.write_text(
        "filters: {yaw_deg: {max: 60}, sharpness: {min: 0}, loudness_dbfs: {min: -200}}\n"
        "clips: {min_face_share: 0.5}\nduplicates: {near: {enabled: true}}\nsplits: {train: 1, dev: 0, test: 0}\n",
        encoding="utf-8",
    )
    workspace = Workspace.open(labelled)
    rows = read_frame(workspace.inventory, "", INVENTORY).with_columns(truth_fake=pl.lit(False))  # its labels are uncertain
    write_if_changed(rows.to_arrow().cast(INVENTORY), workspace.inventory)
    first = curate(workspace, recipe)
    rows = first.selected.selection
    assert rows["uri"].unique().to_list() == ["single_face.mp4"]
    assert rows.select(pl.col("start_tick").sort()).to_series().to_list() == [0, 25]
    kept = sorted((labelled / "cache" / "looks").glob("*.parquet"))
    assert kept
    stamps = [p.stat().st_mtime_ns for p in kept]
    assert curate(workspace, recipe).written == []
    assert [p.stat().st_mtime_ns for p in kept] == stamps
    kept[0].write_bytes(b"damaged")
    assert curate(workspace, recipe).written == []
    assert kept[0].read_bytes() != b"damaged"
