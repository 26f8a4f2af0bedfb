"""Truth from metadata in an archive: into the inventory and the labels, out of the way of everything else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from pipelines import listing
from pipelines.evaluate_known import evaluate_if_known
from pipelines.listing import read_inventory, update_inventory
from pipelines.parquet import to_bytes
from pipelines.publish import publish_labels
from pipelines.status import print_status
from pipelines.step import UNIT_STEPS, due_units, run_step
from pipelines.truth import read_problems
from pipelines.verify import Checked, verify
from pipelines.view import write_report
from pipelines.workspace import Workspace
from schemas.errors import TruthError
from schemas.params import PipelineParams
from schemas.tables import INVENTORY, LABEL_TRUTH, LABELS, MEDIA, STORED_LABELS, TRUTH_COLUMNS
from tests.conftest import SINGLE_FACE
from tests.stages.datasets import miniatures


def entry(file: str, **more: Any) -> dict[str, Any]:
    real = {"file": file, "fake_periods": [], "n_fakes": 0, "modify_video": False, "modify_audio": False, "split": "test"}
    return real | {"original": None} | more


FAKE = {"fake_periods": [[0.5, 1.5]], "n_fakes": 1, "modify_video": True, "original": "test/000000.mp4"}
ROWS = [entry("test/000000.mp4"), entry("test/000001.mp4", **FAKE), entry("test/000002.mp4")]


def archive(folder: Path, *uris: str, metadata: bytes | None = None) -> Path:
    """Files that hold their own names, and metadata in LAV-DF's layout."""
    for uri in uris:
        (folder / uri).parent.mkdir(parents=True, exist_ok=True)
        (folder / uri).write_bytes(uri.encode())
    (folder / "metadata.json").write_bytes(json.dumps(ROWS).encode() if metadata is None else metadata)
    return folder


def workspace(tmp_path: Path, **dataset: Any) -> Workspace:
    params = {"archive": {"uri": str(tmp_path / "a")}, "engine": {"name": "local", "workers": 1}, "dataset": dataset}
    (tmp_path / "ws").mkdir(exist_ok=True)
    return Workspace(tmp_path / "ws", PipelineParams.model_validate(params))


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every .mp4 is a video that was read, every other file none; an empty one has failed."""

    def read(_: Workspace, seen: Any, wanted: pl.DataFrame, __: Any) -> pl.DataFrame:
        is_video, is_empty = pl.col("uri").str.ends_with(".mp4"), pl.col("size_bytes") == 0
        rows = wanted.with_columns(
            outcome=pl.when(is_empty).then(pl.lit("failed")).when(is_video).then(pl.lit("done")).otherwise(pl.lit("filtered")),
            reason=pl.when(is_empty).then(pl.lit("empty_file")).when(~is_video).then(pl.lit("not_a_video")),
            content_id=pl.col("uri").str.split("/").list.last(),
            duration_us=4_000_000,
            made_by=pl.lit(seen.made_by),
        )
        types = seen.cached.schema
        return rows.select((pl.col(name) if name in rows.columns else pl.lit(None)).cast(kind).alias(name) for name, kind in types.items())

    monkeypatch.setattr(listing, "_read", read)


def kinds(opened: Workspace) -> list[tuple[str, str]]:
    return list(read_problems(opened).select("kind", "uri").iter_rows())


def outcomes(opened: Workspace) -> dict[str, tuple[str, str | None]]:
    return {uri: (outcome, reason) for uri, outcome, reason in read_inventory(opened.inventory)["uri", "outcome", "reason"].iter_rows()}


def test_the_inventory_has_the_truth_and_the_problems_have_a_table(tmp_path: Path, stubs: None, capsys: pytest.CaptureFixture[str]) -> None:
    archive(tmp_path / "a", "test/000000.mp4", "test/000001.mp4", "test/000009.mp4")
    opened = workspace(tmp_path)
    update_inventory(opened)
    rows = {row["uri"]: row for row in read_inventory(opened.inventory).to_dicts()}
    fake = rows["test/000001.mp4"]
    assert (fake["truth_dataset"], fake["truth_fake"], fake["truth_visual_fake"], fake["truth_audio_fake"]) == ("lavdf", True, True, False)
    assert (fake["truth_spans"], fake["truth_audio_spans"], fake["truth_source"]) == ([[0.5, 1.5]], [], "test/000000.mp4")
    assert fake["truth_identities"] == ["lavdf:test/000000.mp4"]
    assert all(rows[uri][name] is None for uri in ("metadata.json", "test/000009.mp4") for name in TRUTH_COLUMNS)
    assert kinds(opened) == [("extra", "test/000009.mp4"), ("missing", "test/000002.mp4")]
    line = "truth      lavdf, 2 videos; problems: 1 extra, 1 missing (data/truth_problems.parquet)"
    assert line in capsys.readouterr().err
    before = [path.read_bytes() for path in (opened.inventory, opened.truth_problems)]
    update_inventory(opened)
    assert [path.read_bytes() for path in (opened.inventory, opened.truth_problems)] == before


def test_an_archive_without_metadata_says_nothing_of_truth(tmp_path: Path, stubs: None, capsys: pytest.CaptureFixture[str]) -> None:
    archive(tmp_path / "a", "x.mp4")
    update_inventory(workspace(tmp_path))
    assert read_problems(workspace(tmp_path)).is_empty()
    assert "truth" not in capsys.readouterr().err
    archive(tmp_path / "a", "test/000000.mp4")
    update_inventory(workspace(tmp_path, name="none"))
    assert read_inventory(workspace(tmp_path).inventory)["truth_dataset"].null_count() == 3


BAD = {
    "broken": (b'[{"file": "test/000000.mp4", ', "metadata"),
    "empty": (b"", "metadata"),
    "no list": (b"3", "metadata"),
    "leads out": (json.dumps([entry("../../etc/passwd.mp4"), *ROWS[:1]]).encode(), "row"),
    "absurd": (json.dumps([entry("test/000000.mp4", fake_periods=[[-5, 1e300]], modify_video=True)]).encode(), "row"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_metadata_is_a_finding_and_the_rest_goes_on(tmp_path: Path, stubs: None, name: str) -> None:
    data, kind = BAD[name]
    archive(tmp_path / "a", "test/000000.mp4", metadata=data)
    opened = workspace(tmp_path)
    update_inventory(opened)
    assert (kind, "metadata.json") in kinds(opened)
    assert all("\n" not in what for what in read_problems(opened)["what"])
    assert outcomes(opened) == {"metadata.json": ("filtered", "not_a_video"), "test/000000.mp4": ("done", None)}
    if kind == "metadata":
        with pytest.raises(TruthError, match=r"^dataset lavdf: .*metadata\.json"):
            update_inventory(workspace(tmp_path, name="lavdf"))


def test_a_bug_in_reading_metadata_costs_the_truth_and_no_night(tmp_path: Path, stubs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise KeyError("oops")

    monkeypatch.setattr("stages.datasets.read", fails)
    opened = workspace(tmp_path)
    archive(tmp_path / "a", "test/000000.mp4")
    update_inventory(opened)
    (row,) = read_problems(opened).to_dicts()
    assert (row["kind"], row["what"]) == ("metadata", "internal error: KeyError: 'oops'")
    assert "Traceback" in (opened.root / "logs" / "runs.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "message"),
    [("fakeavceleb", "nothing in it is laid out like fakeavceleb"), ("lavdv", "'lavdv' is not known; use one of .*lavdf")],
)
def test_a_dataset_by_name_must_be_there(tmp_path: Path, stubs: None, name: str, message: str) -> None:
    archive(tmp_path / "a", "test/000000.mp4")
    with pytest.raises(TruthError, match=message):
        update_inventory(workspace(tmp_path, name=name))
    assert not workspace(tmp_path).inventory.exists()


def test_big_metadata_is_read_in_a_process_that_can_be_killed(tmp_path: Path, stubs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.truth._SMALL_BYTES", 10)
    archive(tmp_path / "a", "test/000000.mp4", "test/000001.mp4")
    opened = workspace(tmp_path)
    update_inventory(opened)
    assert read_inventory(opened.inventory)["truth_fake"].to_list() == [None, False, True]


def test_the_same_bytes_with_another_truth_are_a_problem(tmp_path: Path, stubs: None) -> None:
    archive(tmp_path / "a", "test/000000.mp4", "test/000001.mp4", "other/test/000001.mp4")
    rows = [entry("test/000001.mp4")]
    (tmp_path / "a" / "other" / "metadata.json").write_text(json.dumps(rows), encoding="utf-8")
    opened = workspace(tmp_path)
    update_inventory(opened)
    assert kinds(opened)[:3] == [("copies", "test/000001.mp4")] * 2 + [("missing", "test/000002.mp4")]


def test_every_dataset_of_an_archive_is_found(tmp_path: Path, stubs: None) -> None:
    miniatures.write(miniatures.archive_of_all(), tmp_path / "a")
    for path in (tmp_path / "a").rglob("*.mp4"):
        path.write_bytes(path.as_posix().encode())
    opened = workspace(tmp_path)
    update_inventory(opened)
    found = read_inventory(opened.inventory)
    assert found.drop_nulls("truth_dataset")["truth_dataset"].n_unique() >= 10
    assert not [uri for uri, (outcome, _) in outcomes(opened).items() if outcome == "failed"]


# --- With real labels ---


def label(opened: Workspace) -> int:
    """Runs every step. Returns how many units they computed."""
    update_inventory(opened)
    computed = 0
    for name in UNIT_STEPS:
        computed += len(due_units(opened, name)[1])
        receipts = run_step(opened, name)
    publish_labels(opened, receipts)
    evaluate_if_known(opened)
    write_report(opened)
    return computed


def labels_of(opened: Workspace, uri: str) -> pl.DataFrame:
    (content_id,) = read_inventory(opened.inventory).filter(uri=uri)["content_id"]
    return pl.read_parquet(opened.labels).filter(content_id=content_id).sort("frame_index")


def older(path: Path, schema: Any) -> None:
    """Puts a table back to what FauScan 0.1 wrote."""
    path.write_bytes(to_bytes(pq.read_table(path).select(schema.names).cast(schema)))


@pytest.mark.slow
def test_truth_goes_through_to_labels_figures_and_page_and_recomputes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = archive(tmp_path / "a", "test/000000.mp4", "test/000001.mp4")
    for path in folder.rglob("*.mp4"):
        path.write_bytes(SINGLE_FACE.path.read_bytes() + path.name.encode())
    opened = workspace(tmp_path)
    assert label(opened) == len(UNIT_STEPS)
    frames = labels_of(opened, "test/000001.mp4")
    assert frames["truth_fake"].to_list() == [15 <= i < 45 for i in range(72)]  # 30 frames a second
    assert frames["truth_audio_fake"].to_list() == [False] * 72
    assert not any(verify(opened, Checked()))
    (result,) = json.loads((opened.report.parent / "metrics-evaluate.json").read_text(encoding="utf-8"))["results"]
    assert (result["split"], result["clips"]) == ("test", {"truth": 2, "judged": 2, "forged": 1, "real": 1})
    page = opened.report.read_text(encoding="utf-8")
    assert page.count("truth: fake") == page.count("truth: real") == 1 and "is known of 2 files (2 of lavdf)" in page
    assert "evaluate   frame AUC" in capsys.readouterr().err
    print_status(opened)
    assert "truth lavdf: 2 files" in " ".join(capsys.readouterr().err.split())

    # Another truth is published and nothing is computed for it.
    rows = [entry("test/000000.mp4"), entry("test/000001.mp4", **FAKE | {"fake_periods": [[0.0, 1.0]]})]
    (folder / "metadata.json").write_text(json.dumps(rows), encoding="utf-8")
    assert label(opened) == 0
    assert labels_of(opened, "test/000001.mp4")["truth_fake"].to_list() == [i < 30 for i in range(72)]
    assert not any(verify(opened, Checked()))

    # What FauScan 0.1 left is no fault, and none of it is computed again.
    ours = {path.name: path.read_bytes() for path in (opened.inventory, *opened.labels.iterdir())}
    older(opened.inventory, MEDIA.with_metadata({"fauscan.table": "inventory", "fauscan.version": "1"}))
    for path in opened.labels.iterdir():
        older(path, STORED_LABELS)
    opened.truth_problems.unlink()
    assert not any(verify(opened, Checked()))
    assert label(opened) == 0
    assert {path.name: path.read_bytes() for path in (opened.inventory, *opened.labels.iterdir())} == ours

    # And without the metadata nothing is said.
    (folder / "metadata.json").unlink()
    shutil.rmtree(opened.report.parent)
    assert label(opened) == 0
    assert all(labels_of(opened, "test/000001.mp4")[flag].null_count() == 72 for flag in LABEL_TRUTH)
    assert "ruth" not in opened.report.read_text(encoding="utf-8").split("</style>")[1]
    assert [pq.read_schema(opened.inventory), pq.read_schema(next(opened.labels.iterdir()))] == [INVENTORY, LABELS]
