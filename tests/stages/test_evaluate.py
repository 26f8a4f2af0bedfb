"""Synthetic labels with a known truth: what is counted, what is left out, and what every figure must be."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from schemas.errors import TruthError
from schemas.tables import INVENTORY, LABELS, SEGMENTS
from schemas.truth import Span, TruthRow
from stages import evaluate
from tests.stages.test_truth_frames import table


class Archive:
    """Clips of four seconds at 25 Hz; each method adds one."""

    def __init__(self) -> None:
        self.truth: list[TruthRow] = []
        self.inventory: list[dict[str, Any]] = []
        self.labels: list[dict[str, Any]] = []
        self.segments: list[dict[str, Any]] = []
        self._rng = np.random.default_rng(0)

    def clip(
        self,
        kind: str = "real",
        spans: list[Span] | None = None,
        streams: tuple[str, ...] = ("visual",),
        traces: list[str] | None = None,
        spread: float = 0.0,
        known_from: int = 0,
        real_p: float = 0.2,
        **more: Any,
    ) -> str:
        """`spread` is the noise on probabilities of 0.2 and 0.8; frames before `known_from` have none."""
        name, content = f"{len(self.inventory)}.mp4", f"{len(self.inventory):032x}"
        spans = spans or []
        facts = {f"{s}_fake_periods": spans if s in streams else [] for s in ("audio", "visual")}
        self.truth.append(TruthRow(file=name, kind=kind, fake_periods=spans, traces=traces, split="test", **facts, **more))
        self.inventory.append({"uri": name, "content_id": content, "outcome": "done"})
        for i in range(100):
            fake = any(a <= i / 25 < b for a, b in spans)
            p = {s: float(np.clip((0.8 if fake and s in (*streams, "total") else real_p) + self._rng.normal(0, spread), 0, 1)) for s in
                 ("total", "audio", "visual")}  # fmt: skip
            row = {"content_id": content, "frame_index": i, "pts_us": i * 40_000}
            if i >= known_from:
                row |= {"track": 0, "basis": "total", "label": "fake" if p["total"] > 0.5 else "real"} | {f"p_{s}": v for s, v in p.items()}
            self.labels.append(row)
        for start, end in spans:
            for modality in ("total", *streams):
                self.segments.append({"content_id": content, "modality": modality, "start_s": start, "end_s": end, "score": 0.8})
        return name

    def run(self, **more: Any) -> dict[str, Any]:
        tables = table(INVENTORY, self.inventory), table(LABELS, self.labels), table(SEGMENTS, self.segments)
        return evaluate.run(self.truth, *tables, **({"resamples": 20} | more))


def perfect() -> Archive:
    archive = Archive()
    for _ in range(4):
        archive.clip()
        archive.clip("face_swap", [(1.0, 2.0)])
        archive.clip("audio_swap", [(2.0, 3.0)], streams=("audio",))
    return archive


def test_perfect_labels_have_perfect_figures() -> None:
    found = perfect().run()
    assert found["clips"] == {"truth": 12, "judged": 12, "forged": 8, "real": 4}
    cell = found["heads"]["total"]["kinds"]["all"]
    for level in ("frame", "clip", "video_mean", "video_max"):
        assert cell[f"{level}_auc"]["value"] == cell[f"{level}_average_precision"]["value"] == 1.0
        assert cell[f"{level}_eer"]["value"] == 0.0
    assert cell["frame_accuracy"]["value"] == 1.0
    assert cell["video_mean_accuracy"]["value"] == pytest.approx(4 / 12)  # a quarter of a forged clip's frames: mean 0.35
    strict = cell["temporal"]["segments"]["strict"]
    assert {name: figure["value"] for name, figure in strict.items()} == dict.fromkeys(strict, 1.0)
    assert cell["temporal"]["segments"]["upstream"]["ap@0.5"]["value"] == pytest.approx(7 / 8)  # the first step is missing
    assert found["labels_of_frames"] == {
        "fake": {"none": 0, "real": 0, "uncertain": 0, "fake": 200},
        "real": {"none": 0, "real": 1000, "uncertain": 0, "fake": 0},
    }


def test_every_kind_is_set_against_the_real_clips_only() -> None:
    kinds = perfect().run()["heads"]["total"]["kinds"]
    assert list(kinds) == ["all", "audio_swap", "face_swap"]
    assert [(c["clips"], c["forged_clips"], c["frames"], c["fake_frames"]) for c in kinds.values()] == [
        (12, 8, 1200, 200), (8, 4, 800, 100), (8, 4, 800, 100)
    ]  # fmt: skip


def test_a_kind_appears_under_the_heads_whose_stream_it_forges() -> None:
    heads = perfect().run()["heads"]
    assert list(heads["audio"]["kinds"]) == ["all", "audio_swap"]
    assert list(heads["visual"]["kinds"]) == ["all", "face_swap"]
    assert heads["audio"]["kinds"]["all"]["clips"] == 12  # the untouched sound of a face swap is real sound


def test_a_stream_without_a_trace_is_left_out_and_counted() -> None:
    archive = perfect()
    archive.clip("desync", [(0.0, 4.0)], streams=("audio",), traces=[])
    heads = archive.run()["heads"]
    assert [heads[h]["without_trace"] for h in evaluate.HEADS] == [0, 1, 0]
    assert "desync" in heads["total"]["kinds"] and "desync" not in heads["audio"]["kinds"]
    assert heads["audio"]["kinds"]["all"]["clips"] == 12
    assert heads["visual"]["kinds"]["all"]["clips"] == 13


def test_pristine_frames_of_forged_clips_count_in_one_auc_and_not_in_the_other() -> None:
    archive = Archive()
    archive.clip()
    name = archive.clip("face_swap", [(1.0, 2.0)])
    content = f"{1:032x}"
    for row in archive.labels:  # what lies beside the forgery is called fake as well
        if row["content_id"] == content and row["frame_index"] >= 50:
            row["p_total"] = 0.9
    cell = archive.run()["heads"]["total"]["kinds"]["face_swap"]
    assert name == "1.mp4"
    assert cell["frame_auc"]["value"] == pytest.approx((25 * 125) / (25 * 175))
    assert cell["frame_auc_vs_real"]["value"] == 1.0


def test_frames_without_a_probability_are_counted() -> None:
    archive = perfect()
    archive.clip("face_swap", [(1.0, 2.0)], known_from=50)
    archive.clip("face_swap", [(1.0, 2.0)], known_from=100)
    cell = archive.run()["heads"]["total"]["kinds"]["face_swap"]
    assert (cell["frames"], cell["frames_scored"], cell["clips"], cell["videos_scored"]) == (1000, 850, 10, 9)
    assert cell["coverage"] == 0.85
    assert archive.run()["labels_of_frames"]["fake"]["none"] == 50


def test_clips_without_labels_and_labels_without_truth_are_named() -> None:
    archive = perfect()
    archive.truth.append(TruthRow(file="gone.mp4", split="test"))
    stranger = archive.truth.pop(0).file
    found = archive.run()
    assert (found["missing_labels"], found["missing_truth"]) == (["gone.mp4"], [stranger])


def test_seconds_are_fake_when_any_of_their_frames_is() -> None:
    archive = Archive()
    archive.clip()
    archive.clip("face_swap", [(1.8, 2.4)])
    cell = archive.run()["heads"]["total"]["kinds"]["all"]
    assert cell["clip_auc"]["value"] == 1.0
    assert cell["clip_accuracy"]["value"] == pytest.approx(6 / 8)  # 5 and 10 of 25 frames: means of 0.32 and 0.44


def test_a_forgery_is_drawn_together_with_its_original() -> None:
    archive = Archive()
    for _ in range(6):
        real = archive.clip(spread=0.3)
        archive.clip("face_swap", [(1.0, 2.0)], spread=0.3, original=real)
    groups = archive.run(resamples=50)["interval_groups"]
    assert groups == {"by": "video", "count": 6, "resamples": 50}


def test_identities_are_drawn_where_there_are_enough() -> None:
    archive = Archive()
    for person in range(10):
        archive.clip(spread=0.3, identity=f"p{person}")
        archive.clip("face_swap", [(1.0, 2.0)], spread=0.3, identity=f"p{person}")
    found = archive.run(resamples=50)
    assert found["interval_groups"] == {"by": "identity", "count": 10, "resamples": 50}
    figure = found["heads"]["total"]["kinds"]["all"]["frame_auc"]
    assert 0.5 < figure["low"] <= figure["value"] <= figure["high"] < 1
    assert found["heads"]["total"]["kinds"]["all"]["temporal"]["proposals"]["strict"]["ap@0.5"]["low"] is not None


def test_the_result_is_json_without_nan() -> None:
    archive = Archive()
    archive.clip()
    archive.clip("face_swap", [(1.0, 2.0)])
    found = archive.run()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["heads"]["audio"]["kinds"]["all"]["frame_auc"] == {"value": None, "low": None, "high": None}  # one class


def test_upstream_frames_are_its_own_rule() -> None:
    archive = perfect()
    archive.clip("face_swap", [(1.16, 2.0)])  # int(25 * 1.16) is 28
    fakes = [archive.run(rule=rule)["heads"]["total"]["kinds"]["all"]["fake_frames"] for rule in ("exact", "upstream")]
    assert fakes == [221, 222]


def test_reliability_and_roc_are_there() -> None:
    head = perfect().run()["heads"]["total"]
    assert [count for count in head["reliability"]["count"] if count] == [1000, 200]
    assert head["reliability"]["ece"] == pytest.approx(0.2, abs=1e-3)
    assert (head["roc"]["fpr"][-1], head["roc"]["tpr"][-1]) == (1.0, 1.0)


def test_wrong_truth() -> None:
    archive = perfect()
    tables = table(INVENTORY, archive.inventory), table(LABELS, archive.labels), table(SEGMENTS, archive.segments)
    with pytest.raises(TruthError, match=r"none of the 1 clips of the truth has labels; `file` must be the path"):
        evaluate.run([TruthRow(file="elsewhere/0.mp4")], *tables)
    for wanted, name in ((True, "forged"), (False, "real")):
        with pytest.raises(TruthError, match=f"all . clips with labels are {name}; figures need both"):
            evaluate.run([row for row in archive.truth if bool(row.fake_periods) == wanted], *tables)


def test_splits() -> None:
    truth = [TruthRow(file="a", split="train"), TruthRow(file="b", split="test"), TruthRow(file="c")]
    assert [row.file for row in evaluate.select(truth, "test")] == ["b"]
    assert len(evaluate.select(truth, "all")) == 3
    with pytest.raises(TruthError, match=r"no clip is in split 'dev' \(of 3 clips; splits: test, train\); use --split all"):
        evaluate.select(truth, "dev")
    with pytest.raises(TruthError, match="split is 'val'; use one of test, dev, train, all"):
        evaluate.select(truth, "val")


def test_an_empty_table_of_segments_is_no_error() -> None:
    archive = perfect()
    found = evaluate.run(
        archive.truth, table(INVENTORY, archive.inventory), table(LABELS, archive.labels), table(SEGMENTS, []), resamples=20
    )
    spans = found["heads"]["total"]["kinds"]["all"]["temporal"]["segments"]
    assert spans["strict"]["ap@0.5"]["value"] == spans["upstream"]["ap@0.5"]["value"] == spans["strict"]["ar@100"]["value"] == 0.0


def test_a_person_taken_for_fake_hurts_the_pooled_figure_and_not_the_one_within():
    archive = Archive()
    for person, real_p in (("ann", 0.1), ("bob", 0.79)):
        archive.clip(identity=person, real_p=real_p, spread=0.001)
        archive.clip("face_swap", [(0.0, 4.0)], identity=person, spread=0.001)
    cell = archive.run()["heads"]["total"]["kinds"]["face_swap"]
    assert cell["frame_auc_within"]["value"] == 1.0
    assert set(cell["frame_auc_by_person"].values()) == {1.0}
    archive.clip("face_swap", [(0.0, 4.0)], identity="ann", spread=0.1)
    worse = archive.run()["heads"]["total"]["kinds"]["face_swap"]
    assert worse["frame_auc_within"]["value"] > worse["frame_auc_vs_real"]["value"]


def test_a_stream_of_which_nobody_knows_is_not_asked_about() -> None:
    archive = perfect()
    for _ in range(3):
        archive.clip("swap", [(1.0, 2.0)], unknown=["audio"])
    found = archive.run()
    heads = found["heads"]
    assert [heads[head]["unknown"] for head in evaluate.HEADS] == [0, 3, 0]
    assert [heads[head]["without_trace"] for head in evaluate.HEADS] == [0, 0, 0]
    assert heads["audio"]["kinds"]["all"]["clips"] == heads["total"]["kinds"]["all"]["clips"] - 3
    assert heads["total"]["kinds"]["swap"]["forged_clips"] == 3


def test_a_head_that_nobody_knows_anything_of_has_no_figures() -> None:
    archive = Archive()
    for spans in ([], [(0.0, 4.0)]) * 3:
        archive.clip("swap" if spans else "real", spans, unknown=["audio", "visual"])
    found = archive.run()
    assert found["heads"]["audio"]["kinds"]["all"]["frame_auc"]["value"] is None
    assert found["heads"]["total"]["kinds"]["swap"]["frame_auc"]["value"] == 1.0
