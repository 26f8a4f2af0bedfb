"""`fauscan evaluate` of a workspace: labels against the truth in its own inventory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.evaluate_known import evaluate_if_known, evaluate_known
from pipelines.parquet import write_if_changed
from pipelines.workspace import Workspace
from schemas.errors import FauScanError, TruthError
from schemas.params import PipelineParams
from schemas.tables import FAILURES, INVENTORY, LABELS, PROVENANCE, SEGMENTS
from tests.stages.test_evaluate import Archive
from tests.stages.test_truth_frames import table


def labelled(folder: Path, clips: str, with_spans: bool = True, **truth: Any) -> Workspace:
    """Perfect labels: a clip for each letter, r(eal), f(ake) or u(nknown)."""
    made = Archive()
    for letter in clips:
        made.clip("swap" if letter == "f" else "real", [(1.0, 2.0)] if letter == "f" else [])
        known = {"dataset": "d", "fake": letter == "f", "visual_fake": letter == "f", "methods": ["swap"] if letter == "f" else []}
        known |= {"spans": [[1.0, 2.0]] if letter == "f" else []} if with_spans else {}
        row = {f"truth_{name}": value for name, value in (known | truth).items()}
        made.inventory[-1] |= {"duration_us": 4_000_000} | (row if letter != "u" else {})
    tables = (INVENTORY, made.inventory, "inventory"), (LABELS, made.labels, "labels/u"), (SEGMENTS, made.segments, "segments")
    for schema, rows, name in (*tables, (FAILURES, [], "failures"), (PROVENANCE, [], "provenance")):
        write_if_changed(table(schema, rows).to_arrow().cast(schema), folder / "data" / f"{name}.parquet")
    (folder / "params.yaml").write_text(f"archive: {{uri: {folder}}}\n", encoding="utf-8")
    return Workspace(folder, PipelineParams.model_validate({"archive": {"uri": str(folder)}}))


def test_measures_what_is_known_and_names_what_is_not(tmp_path: Path) -> None:
    result = evaluate_known(labelled(tmp_path, "rfrfu"), resamples=10)
    assert (result["split"], result["clips"]) == ("all", {"truth": 4, "judged": 4, "forged": 2, "real": 2})
    assert result["missing_truth"] == ["4.mp4"]
    heads = result["heads"]
    assert heads["total"]["kinds"]["swap"]["frame_auc"]["value"] == 1.0
    assert (heads["audio"]["unknown"], heads["audio"]["kinds"]["all"]["frame_auc"]["value"]) == (4, None)
    (written,) = json.loads((tmp_path / "reports" / "metrics-evaluate.json").read_text(encoding="utf-8"))["results"]
    assert written["data"] == tmp_path.name and "roc" not in written["heads"]["total"]


def test_a_run_that_was_not_asked_measures_a_sample_that_stays_the_same(tmp_path: Path) -> None:
    opened = labelled(tmp_path, "r" + 9 * "f")
    results = [evaluate_known(opened, resamples=10, most_clips=4) for _ in range(2)]
    assert results[0] == results[1]
    assert results[0]["sampled_from"] == 10
    assert results[0]["clips"] == {"truth": 4, "judged": 4, "forged": 3, "real": 1}


def test_truth_of_whole_clips_is_enough(tmp_path: Path) -> None:
    figures = evaluate_known(labelled(tmp_path, "rf", with_spans=False), resamples=10)["heads"]["total"]["kinds"]["all"]
    assert (figures["fake_frames"], figures["video_max_auc"]["value"]) == (100, 1.0)


def test_the_test_split_where_there_is_one(tmp_path: Path) -> None:
    assert evaluate_known(labelled(tmp_path, "rf", split="test"), resamples=10)["split"] == "test"
    with pytest.raises(TruthError, match=r"no clip is in split 'dev'"):
        evaluate_known(labelled(tmp_path, "rf", split="test"), "dev")


@pytest.mark.parametrize(
    ("clips", "message"),
    [("uu", r"inventory\.parquet: of no video it is known"), ("rr", r"inventory\.parquet: split 'all': all 2 clips with labels are real")],
)
def test_without_a_truth_to_go_by(tmp_path: Path, clips: str, message: str) -> None:
    opened = labelled(tmp_path, clips)
    with pytest.raises(TruthError, match=message) as caught:
        evaluate_known(opened)
    assert "\n" not in str(caught.value)
    evaluate_if_known(opened)
    assert not (tmp_path / "reports").exists()  # an evaluation by other means is left alone
    evaluate_if_known(opened, leave_nothing_out=True)
    written = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "reports").iterdir()}
    assert written["metrics-evaluate.json"] == '{\n  "results": []\n}\n'
    assert written["roc.csv"] == "weights,head,fpr,tpr\n"
    assert written["reliability.csv"] == "weights,head,p_from,p_to,count,confidence,observed\n"


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.view._Thumbnails", lambda _: lambda _wanted: {})
    labelled(tmp_path, "rf")
    done = CliRunner().invoke(app, ["evaluate", "-w", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert f"lite on {tmp_path.name}, split all" in done.stdout
    assert 'id="evaluation"' in (tmp_path / "reports" / "index.html").read_text(encoding="utf-8")
    with pytest.raises(FauScanError, match="go with --data"):
        CliRunner().invoke(app, ["evaluate", "-w", str(tmp_path), "--train-minutes", "1"], catch_exceptions=False)
