"""`fauscan evaluate`: wrong input is one line before anything is computed; what is written and printed from given labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import pipelines.evaluate as module
from pipelines.evaluate import EvaluateJob, evaluate
from pipelines.parquet import write_if_changed
from pipelines.view import EVALUATION_NAME, write_report
from pipelines.whole import open_for_run
from pipelines.workspace import Workspace
from schemas.errors import CheckpointError, FauScanError, ParamsError, TruthError, WorkspaceError
from schemas.tables import FAILURES, INVENTORY, LABELS, PROVENANCE, SEGMENTS
from tests.pipelines.clips import different_clips
from tests.pipelines.test_cli import fauscan, refused
from tests.stages.test_evaluate import perfect
from tests.stages.test_truth_frames import table


def data_folder(folder: Path, rows: list[dict[str, Any]] | None = None) -> Path:
    """Empty files and the truth of `perfect()`, or other rows."""
    folder.mkdir(parents=True)
    truth = [row.model_dump(mode="json") for row in perfect().truth] if rows is None else rows
    (folder / "metadata.json").write_text(json.dumps(truth), encoding="utf-8")
    for row in truth:
        (folder / row["file"]).write_bytes(b"")
    return folder


@pytest.fixture
def labelled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, frozenset[str]]]:
    """Puts the labels of `perfect()` where the pipeline would; what was asked for, (weights, files), is in the list."""
    asked: list[tuple[str, frozenset[str]]] = []

    def label_all(workspace: Workspace, only: frozenset[str]) -> None:
        asked.append((workspace.params.score.weights, only))
        archive = perfect()
        tables = (INVENTORY, archive.inventory, "inventory"), (LABELS, archive.labels, "labels/u"), (SEGMENTS, archive.segments, "segments")
        for schema, rows, name in (*tables, (FAILURES, [], "failures"), (PROVENANCE, [], "provenance")):
            write_if_changed(table(schema, rows).to_arrow().cast(schema), workspace.data / f"{name}.parquet")

    monkeypatch.setattr(module, "label_all", label_all)
    monkeypatch.setattr("pipelines.view._Thumbnails", lambda _: lambda _wanted: {})
    return asked


def weights_file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shipped = Workspace.open(Path(__file__).resolve().parents[2]).weights()
    path.write_bytes(shipped.read_bytes())
    return path


def test_writes_figures_plots_and_page_beside_the_data(tmp_path: Path, labelled: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    data = data_folder(tmp_path / "forged")
    (result,) = evaluate(EvaluateJob([data], engine="local", resamples=10))
    assert sorted(p.name for p in data.iterdir()) == sorted(["metadata.json", *(f"{n}.mp4" for n in range(12))])
    reports = tmp_path / "forged-labels" / "reports"
    (written,) = json.loads((reports / EVALUATION_NAME).read_text(encoding="utf-8"))["results"]
    assert written["weights"] == "lite" and written["data"] == "forged" and len(written["weights_sha256"]) == 64
    assert written["heads"]["total"]["kinds"]["all"]["frame_auc"]["value"] == 1.0
    assert "roc" not in written["heads"]["total"] and "roc" in result["heads"]["total"]
    assert (reports / "roc.csv").read_text(encoding="utf-8").startswith("weights,head,fpr,tpr\nlite,total,0.0,0.0\n")
    assert (reports / "reliability.csv").read_text(encoding="utf-8").count("\n") == 1 + 3 * 10
    assert 'id="evaluation"' in (reports / "index.html").read_text(encoding="utf-8")
    assert "lite on forged, split test" in capsys.readouterr().out
    assert labelled == [("models/lite.safetensors", frozenset(f"{n}.mp4" for n in range(12)))]


def test_the_same_labels_write_the_same_bytes(tmp_path: Path, labelled: list[Any]) -> None:
    data = data_folder(tmp_path / "forged")
    reports = tmp_path / "forged-labels" / "reports"
    evaluate(EvaluateJob([data], engine="local", resamples=10))
    before = {p.name: p.read_bytes() for p in reports.iterdir()}
    evaluate(EvaluateJob([data], engine="local", resamples=10))
    assert {p.name: p.read_bytes() for p in reports.iterdir()} == before


def test_several_weights_and_data_make_a_cross_table(tmp_path: Path, labelled: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    first, second = data_folder(tmp_path / "first"), data_folder(tmp_path / "second")
    weights = [weights_file(tmp_path / "a" / "best.safetensors"), weights_file(tmp_path / "b" / "best.safetensors")]
    results = evaluate(EvaluateJob([first, second], weights, engine="local", resamples=10, json_file=tmp_path / "all.json"))
    assert [(r["weights"], r["data"]) for r in results] == [(w, d) for d in ("first", "second") for w in ("a/best", "b/best")]
    assert [used for used, _ in labelled] == [str(path) for path in weights] * 2
    shown = capsys.readouterr().out
    assert "weights" in shown and "first" in shown.splitlines()[-3] and "second" in shown.splitlines()[-3]
    assert len(json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))["results"]) == 4
    kept = (tmp_path / "first-labels" / "params.yaml").read_text(encoding="utf-8")
    assert "best.safetensors" not in kept  # --weights is for this run only


def test_trains_on_each_and_measures_on_all(tmp_path: Path, labelled: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []

    def train(data: Path, out: Path, minutes: float) -> Path:
        trained.append((data.name, minutes))
        return weights_file(out)

    monkeypatch.setattr(module, "_train", train)
    first, second = data_folder(tmp_path / "first"), data_folder(tmp_path / "second")
    results = evaluate(EvaluateJob([first, second], train_minutes=0.5, engine="local", resamples=10))
    assert trained == [("first", 0.5), ("second", 0.5)]
    assert {(r["weights"], r["data"]) for r in results} == {(f"{w} (trained)", d) for w in ("first", "second") for d in ("first", "second")}


def test_a_page_with_a_damaged_evaluation(tmp_path: Path, labelled: list[Any]) -> None:
    data = data_folder(tmp_path / "forged")
    evaluate(EvaluateJob([data], engine="local", resamples=10))
    opened = open_for_run(str(data), tmp_path / "forged-labels", "local", None)
    for damaged in ("{}", "[]", "not JSON", '{"results": [{"weights": 3}]}', '{"results": 3}'):
        (opened.root / "reports" / EVALUATION_NAME).write_text(damaged, encoding="utf-8")
        with pytest.raises(WorkspaceError, match=r"metrics-evaluate.json: not what `fauscan evaluate` writes; delete it"):
            write_report(opened)


def rows_of(**more: Any) -> list[dict[str, Any]]:
    return [{"file": "a.mp4", "split": "test"} | more, {"file": "b.mp4", "split": "test"} | more]


@pytest.mark.parametrize(
    ("rows", "split", "message"),
    [
        (rows_of(), "test", r"metadata.json: all 2 clips of split 'test' are real; figures need both"),
        (rows_of(fake_periods=[[0, 1]]), "test", r"metadata.json: all 2 clips of split 'test' are forged; figures need both"),
        (rows_of(), "dev", r"metadata.json: no clip is in split 'dev' \(of 2 clips; splits: test\); use --split all"),
        (rows_of(), "val", r"metadata.json: split is 'val'; use one of test, dev, train, all"),
        ([], "all", r"metadata.json: no clip is in split 'all' \(of 0 clips; splits: none\)"),
    ],
)
def test_wrong_truth(tmp_path: Path, rows: list[dict[str, Any]], split: str, message: str) -> None:
    with pytest.raises(TruthError, match=message) as caught:
        evaluate(EvaluateJob([data_folder(tmp_path / "forged", rows)], split=split))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "forged-labels").exists()


def test_clips_that_are_not_there(tmp_path: Path) -> None:
    data = data_folder(tmp_path / "forged")
    for clip in data.glob("*.mp4"):
        clip.unlink()
    with pytest.raises(TruthError, match=r"none of its 12 clips of split 'test' is there, as .*0.mp4; is this the right folder\?"):
        evaluate(EvaluateJob([data]))


def test_wrong_arguments(tmp_path: Path) -> None:
    data = data_folder(tmp_path / "forged")
    weights = weights_file(tmp_path / "w.safetensors")
    wrong: list[tuple[EvaluateJob, type[FauScanError], str]] = [
        (EvaluateJob([]), ParamsError, "--data is missing"),
        (EvaluateJob([data, data], workspace=tmp_path / "w"), ParamsError, "--workspace takes one --data, not 2"),
        (EvaluateJob([tmp_path]), TruthError, "metadata.json: no such file"),
        (EvaluateJob([data], [tmp_path / "none.safetensors"]), CheckpointError, "none.safetensors: no such weights file"),
        (EvaluateJob([data], [weights, weights]), ParamsError, "one of them twice"),
    ]
    for job, kind, message in wrong:
        with pytest.raises(kind, match=message):
            evaluate(job)
    assert not (tmp_path / "forged-labels").exists()


@pytest.mark.slow
def test_the_command_line_says_it_in_one_line(tmp_path: Path) -> None:
    refused(fauscan("evaluate", "--data", tmp_path), "metadata.json: no such file")
    data = data_folder(tmp_path / "forged")
    refused(fauscan("evaluate", "--data", data, "--engine", "local"), "none of its 12 files is a video that can be read")


@pytest.mark.slow
def test_only_clips_of_the_split_are_labelled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "forged"
    different_clips(data, "a.mp4", "b.mp4", "c.mp4")
    rows = [
        {"file": "a.mp4", "split": "test", "kind": "real"},
        {"file": "b.mp4", "split": "test", "kind": "mouth", "modify_video": True, "fake_periods": [[0.5, 1.0]]},
        {"file": "c.mp4", "split": "train", "kind": "real"},
    ]
    (data / "metadata.json").write_text(json.dumps(rows), encoding="utf-8")
    for _ in range(2):
        evaluate(EvaluateJob([data], engine="local", resamples=10))
        said = capsys.readouterr()
        assert "lite on forged, split test" in said.out
    assert "nothing new (2 videos already done)" in said.err
    (result,) = json.loads((tmp_path / "forged-labels" / "reports" / EVALUATION_NAME).read_text(encoding="utf-8"))["results"]
    assert (result["clips"]["judged"], result["missing_labels"], result["missing_truth"]) == (2, [], [])
    assert result["heads"]["total"]["kinds"]["mouth"]["coverage"] == 1.0
