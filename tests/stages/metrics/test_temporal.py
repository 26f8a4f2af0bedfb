"""The vectors of the research note, and random small cases against slow code that follows the definitions word by word."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.metrics import average_precision_at_iou as ap
from stages.metrics import average_recall_at_k as ar
from stages.metrics.temporal import AR_THRESHOLDS, Mode, average_precision, average_recall, count_found, match

Truth = list[tuple[str, list[list[float]]]]
Predictions = dict[str, list[list[float]]]

A_TRUTH: Truth = [("a", [[1, 2], [3, 3.5]]), ("b", []), ("c", [[0, 1]])]
A: Predictions = {"a": [[0.9, 1, 2], [0.8, 3, 3.4], [0.3, 5, 6]], "b": [[0.7, 0, 1]], "c": [[0.6, 0, 0.5], [0.5, 0, 0.9]]}


@pytest.mark.parametrize(("threshold", "upstream", "strict"), [(0.5, 8 / 15, 11 / 12), (0.75, 8 / 15, 13 / 15), (0.95, 0.0, 1 / 3)])
def test_vector_a_precision(threshold: float, upstream: float, strict: float) -> None:
    assert ap(A_TRUTH, A, threshold, "upstream") == pytest.approx(upstream)
    assert ap(A_TRUTH, A, threshold, "strict") == pytest.approx(strict)


def test_vector_a_recall() -> None:
    # [3, 3.4] in [3, 3.5] is exactly 0.8, which is not more than 0.8. The scorers work in float32, where it is just
    # over; avdeepfake1m 0.0.4 answers 0.8333333134651184.
    assert [ar(A_TRUTH, A, k, "upstream") for k in (1, 2, 100)] == pytest.approx([1 / 3, 0.8, 0.8])
    assert [ar(A_TRUTH, A, k, "upstream_float32") for k in (1, 2, 100)] == pytest.approx([1 / 3, 25 / 30, 25 / 30])
    assert [ar(A_TRUTH, A, k, "strict") for k in (1, 2, 100)] == pytest.approx([11 / 30, 26 / 30, 26 / 30])


def test_vector_b_an_iou_at_the_threshold() -> None:
    truth, predictions = [("a", [[0, 1]])], {"a": [[0.9, 0, 0.5]]}
    assert ap(truth, predictions, 0.5, "upstream") == 0.0
    assert ap(truth, predictions, 0.5, "strict") == 1.0


def test_vector_c_the_order_of_a_list() -> None:
    truth: Truth = [("a", [[0, 1]])]
    in_order, reverse = {"a": [[0.9, 0, 0.9], [0.2, 0, 1]]}, {"a": [[0.2, 0, 1], [0.9, 0, 0.9]]}
    assert (ap(truth, in_order, 0.5, "upstream"), ar(truth, in_order, 1, "upstream")) == pytest.approx((0.0, 0.8))
    assert (ap(truth, reverse, 0.5, "upstream"), ar(truth, reverse, 1, "upstream")) == pytest.approx((0.5, 1.0))
    for predictions in (in_order, reverse):
        assert (ap(truth, predictions, 0.5, "strict"), ar(truth, predictions, 1, "strict")) == pytest.approx((1.0, 0.9))


def test_vector_d_the_order_of_labels() -> None:
    predictions = {"a": [[0.9, 0.35, 1.1], [0.8, 0, 0.9]]}
    for labels, upstream in (([[0, 1], [0.5, 1.2]], 0.0), ([[0.5, 1.2], [0, 1]], 0.5)):
        assert ap([("a", labels)], predictions, 0.5, "upstream") == pytest.approx(upstream)
        assert ap([("a", labels)], predictions, 0.5, "strict") == pytest.approx(1.0)


def test_vector_e_one_proposal_for_two_labels() -> None:
    truth, predictions = [("a", [[0, 1], [0, 0.9]])], {"a": [[0.9, 0, 0.95]]}
    assert ap(truth, predictions, 0.5, "upstream") == 0.0
    assert ar(truth, predictions, 1, "upstream") == pytest.approx(0.9)
    assert ap(truth, predictions, 0.5, "strict") == pytest.approx(0.5)
    assert ar(truth, predictions, 1, "strict") == pytest.approx(0.5)  # at all ten: 0.95 reaches 0.95


def test_vector_f_an_empty_list() -> None:
    truth, predictions = [("a", [[0, 1]]), ("b", [[0, 1]])], {"a": [[0.9, 0, 1]], "b": []}
    assert (ap(truth, predictions, 0.5, "upstream"), ar(truth, predictions, 1, "upstream")) == (0.0, 1.0)
    assert (ap(truth, predictions, 0.5, "strict"), ar(truth, predictions, 1, "strict")) == (0.5, 0.5)


def test_vector_g_ties() -> None:
    truth, predictions = [("a", []), ("b", [[0, 1]])], {"a": [[0.5, 0, 1]], "b": [[0.5, 0, 1]]}
    assert ap(truth, predictions, 0.5, "upstream") == 0.5
    assert ap(truth[::-1], predictions, 0.5, "upstream") == 0.0
    assert ap(truth, predictions, 0.5, "strict") == ap(truth[::-1], predictions, 0.5, "strict") == 0.5


def test_a_perfect_answer_misses_one_label_upstream() -> None:
    truth: Truth = [(str(i), [[0, 1]]) for i in range(4)]
    predictions = {str(i): [[0.9 - i / 10, 0.0, 1.0]] for i in range(4)}
    assert ap(truth, predictions, 0.5, "upstream") == 0.75
    assert ap(truth, predictions, 0.5, "strict") == 1.0


def test_a_missing_video() -> None:
    truth: Truth = [("a", [[0, 1]]), ("b", [[0, 1]])]
    with pytest.raises(ValueError, match="predictions: no list for 'b'"):
        ap(truth, {"a": [[0.9, 0, 1]]}, 0.5, "upstream")
    with pytest.raises(ValueError, match="predictions: no list for 'b'"):
        ar(truth, {"a": [[0.9, 0, 1]]}, 5, "upstream")
    assert ap(truth, {"a": [[0.9, 0, 1]]}, 0.5, "strict") == ar(truth, {"a": [[0.9, 0, 1]]}, 5, "strict") == 0.5


def test_no_labels_at_all() -> None:
    for truth in ([("a", [])], []):
        predictions = {"a": [[0.9, 0, 1]]}
        assert math.isnan(ap(truth, predictions, 0.5, "upstream")) and math.isnan(ap(truth, predictions, 0.5, "strict"))
        assert ar(truth, predictions, 10, "upstream") == 0.0
        assert math.isnan(ar(truth, predictions, 10, "strict"))


@pytest.mark.parametrize("mode", ["upstream", "strict"])
class TestBothModes:
    def test_predictions_for_unknown_files_are_left_out(self, mode: Mode) -> None:
        more = A | {"unknown": [[1.0, 0, 1]]}
        assert ap(A_TRUTH, more, 0.5, mode) == ap(A_TRUTH, A, 0.5, mode)
        assert ar(A_TRUTH, more, 2, mode) == ar(A_TRUTH, A, 2, mode)

    def test_no_proposals(self, mode: Mode) -> None:
        assert ap([("a", [[0, 1]])], {"a": []}, 0.5, mode) == 0.0
        assert ar([("a", [[0, 1]])], {"a": []}, 5, mode) == 0.0

    def test_a_span_of_no_length_is_counted_and_never_found(self, mode: Mode) -> None:
        truth, predictions = [("a", [[1, 1], [2, 3]])], {"a": [[0.5, 1, 1], [0.4, 2, 3]]}
        assert ap(truth, predictions, 0.5, mode) == 0.25
        assert ar(truth, predictions, 2, mode) == 0.5

    @pytest.mark.parametrize("row", [[math.nan, 0, 1], [0.5, 0, math.inf], [0.5, math.nan, 1]])
    def test_numbers_must_be_finite(self, mode: Mode, row: list[float]) -> None:
        with pytest.raises(ValueError, match=r"predictions of 'a': row 1 is .* must be finite"):
            ap([("a", [[0, 1]])], {"a": [[0.1, 0, 1], row]}, 0.5, mode)

    @pytest.mark.parametrize("rows", [[[0.5, 1]], [[0.5, 0, 1], [0.5]], [0.5, 0, 1], [["x", 0, 1]]])
    def test_rows_have_three_numbers(self, mode: Mode, rows: list[list[float]]) -> None:
        with pytest.raises(ValueError, match=r"predictions of 'a': must be a list of \[score, start, end\]"):
            ar([("a", [[0, 1]])], {"a": rows}, 5, mode)

    def test_wrong_arguments(self, mode: Mode) -> None:
        with pytest.raises(ValueError, match=r"threshold is 0; it must be in \(0, 1\]"):
            ap(A_TRUTH, A, 0, mode)
        with pytest.raises(ValueError, match="k is 0; it must be at least 1"):
            ar(A_TRUTH, A, 0, mode)


def test_an_unknown_mode() -> None:
    with pytest.raises(ValueError, match="mode is 'lenient'; use one of upstream, upstream_float32, strict"):
        ap(A_TRUTH, A, 0.5, "lenient")  # type: ignore[arg-type]


def test_a_file_twice_in_the_truth() -> None:
    truth: Truth = [("a", [[0, 1]]), ("a", [[0, 1]])]
    assert ap(truth, {"a": [[0.9, 0, 1]]}, 0.5, "upstream") == 0.5
    with pytest.raises(ValueError, match="'a' is there twice"):
        ap(truth, {"a": [[0.9, 0, 1]]}, 0.5, "strict")


# Times on a grid, so that ties and IoUs at a threshold are common; k/20 is exact in neither float32 nor float64.
_spans = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted)
_proposals = st.lists(st.tuples(st.integers(1, 6), _spans), max_size=5)
_videos = st.lists(st.tuples(st.lists(_spans, max_size=3), _proposals), min_size=1, max_size=4)
Cases = list[tuple[list[list[int]], list[tuple[int, list[int]]]]]


def tables(cases: Cases) -> tuple[Truth, Predictions]:
    truth: Truth = [(str(i), [[a / 20, b / 20] for a, b in spans]) for i, (spans, _) in enumerate(cases)]
    return truth, {str(i): [[s / 8, a / 20, b / 20] for s, (a, b) in proposals] for i, (_, proposals) in enumerate(cases)}


def iou32(proposal: list[float], label: list[float]) -> np.float32:
    one = np.float32
    (a, b), (c, d) = map(one, proposal), map(one, label)
    hull = max(b, d) - min(a, c)
    return max(min(b, d) - max(a, c), one(0)) / hull if hull > 0 else one(0)


def iou_exact(proposal: list[int], label: list[int]) -> Fraction:
    (a, b), (c, d) = proposal, label
    hull = max(b, d) - min(a, c)
    return Fraction(max(min(b, d) - max(a, c), 0), hull) if hull else Fraction(0)


def beats(mode: str, span: list[float], label: list[float], threshold: float) -> bool:
    """Times are of the grid of tables(): exact in twentieths."""
    if mode == "upstream_float32":
        return bool(iou32(span, label) > np.float32(threshold))
    grid = [[round(20 * time) for time in times] for times in (span, label)]
    return iou_exact(*grid) > Fraction(threshold).limit_denominator(100)


def interpolated(flags: list[bool], ends: list[int], num_labels: int, skip_first: bool) -> float:
    """Each found label brings the best precision at its rank or later, over the number of labels."""
    points = {rank: sum(flags[:rank]) / rank for rank in ends}
    total = 0.0
    for rank, flag in enumerate(flags, 1):
        if flag and not (skip_first and rank == 1):
            total += max(precision for other, precision in points.items() if other >= rank)
    return total / num_labels


@settings(max_examples=300, deadline=None)
@given(_videos, st.sampled_from([0.5, 0.75, 0.8, 0.95]), st.sampled_from(["upstream", "upstream_float32"]))
def test_upstream_precision_is_its_definition(cases: Cases, threshold: float, mode: Any) -> None:
    truth, predictions = tables(cases)
    pool: list[tuple[float, bool]] = []
    for file, labels in truth:
        taken: set[int] = set()
        for label in labels:
            for place, (_, *span) in enumerate(predictions[file]):
                if place not in taken and beats(mode, span, label, threshold):
                    taken.add(place)
                    break
        pool += [(row[0], place in taken) for place, row in enumerate(predictions[file])]
    flags = [flag for _, flag in sorted(pool, key=lambda row: -row[0])]
    num_labels = sum(len(labels) for _, labels in truth)
    answer = ap(truth, predictions, threshold, mode)
    if num_labels:
        assert answer == pytest.approx(interpolated(flags, list(range(1, len(flags) + 1)), num_labels, True), abs=1e-12)
    else:
        assert math.isnan(answer)


def strict_hits(proposals: list[tuple[int, list[int]]], labels: list[list[int]], threshold: Fraction) -> list[tuple[int, bool]]:
    free, hits = sorted(labels), []
    for score, span in sorted(proposals, key=lambda row: (-row[0], row[1])):
        best = max(free, key=lambda label: iou_exact(span, label), default=None)
        hit = best is not None and iou_exact(span, best) >= threshold
        if hit and best is not None:
            free.remove(best)
        hits.append((score, hit))
    return hits


@settings(max_examples=300, deadline=None)
@given(_videos, st.sampled_from([0.5, 0.75, 0.8, 0.95]))
def test_strict_precision_is_its_definition(cases: Cases, threshold: float) -> None:
    truth, predictions = tables(cases)
    exact = Fraction(threshold).limit_denominator(100)
    pool = [hit for spans, proposals in cases for hit in strict_hits(proposals, spans, exact)]
    pool.sort(key=lambda row: -row[0])
    ends = [rank for rank in range(1, len(pool) + 1) if rank == len(pool) or pool[rank][0] != pool[rank - 1][0]]
    num_labels = sum(len(spans) for spans, _ in cases)
    answer = ap(truth, predictions, threshold, "strict")
    if num_labels:
        assert answer == pytest.approx(interpolated([flag for _, flag in pool], ends, num_labels, False), abs=1e-12)
    else:
        assert math.isnan(answer)


@settings(max_examples=200, deadline=None)
@given(_videos, st.integers(1, 6), st.randoms(use_true_random=False))
def test_strict_does_not_depend_on_any_order(cases: Cases, k: int, random: object) -> None:
    truth, predictions = tables(cases)
    mixed = [(file, random.sample(labels, len(labels))) for file, labels in random.sample(truth, len(truth))]  # type: ignore[attr-defined]
    lists = {file: random.sample(rows, len(rows)) for file, rows in predictions.items()}  # type: ignore[attr-defined]
    assert ap(mixed, lists, 0.5, "strict") == pytest.approx(ap(truth, predictions, 0.5, "strict"), nan_ok=True)
    assert ar(mixed, lists, k, "strict") == pytest.approx(ar(truth, predictions, k, "strict"), nan_ok=True)


@settings(max_examples=300, deadline=None)
@given(_videos, st.integers(1, 6), st.sampled_from(["upstream", "upstream_float32"]))
def test_recall_is_its_definition(cases: Cases, k: int, mode: Any) -> None:
    truth, predictions = tables(cases)
    shares = []
    for threshold in AR_THRESHOLDS:
        found = known = 0
        for file, labels in truth:
            if predictions[file]:
                known += len(labels)
                found += sum(any(beats(mode, list(row[1:]), list(label), threshold) for row in predictions[file][:k]) for label in labels)
        shares.append(found / known if known else 0.0)
    assert ar(truth, predictions, k, mode) == pytest.approx(sum(shares) / 10, abs=1e-12)

    num_labels = sum(len(spans) for spans, _ in cases)
    found = 0
    for threshold in AR_THRESHOLDS:
        for spans, proposals in cases:
            first = sorted(proposals, key=lambda row: (-row[0], row[1]))[:k]
            found += sum(hit for _, hit in strict_hits(first, spans, Fraction(threshold).limit_denominator(100)))
    answer = ar(truth, predictions, k, "strict")
    assert answer == pytest.approx(found / (10 * num_labels), abs=1e-12) if num_labels else math.isnan(answer)


@settings(max_examples=100, deadline=None)
@given(_videos, st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_a_weight_is_a_copy_of_the_video(cases: Cases, weights: list[int]) -> None:
    truth, predictions = tables(cases)
    copies: Truth = [(f"{file} {n}", labels) for (file, labels), w in zip(truth, weights, strict=False) for n in range(w)]
    lists = {file: predictions[file.split()[0]] for file, _ in copies}
    given_weights = np.array(weights[: len(truth)], np.float64)
    matched = match(truth, predictions, 0.5, "strict")
    assert average_precision(matched, given_weights) == pytest.approx(ap(copies, lists, 0.5, "strict"), nan_ok=True)
    for mode in ("upstream", "strict"):
        found = count_found(truth, predictions, 2, mode)  # type: ignore[arg-type]
        assert average_recall(found, given_weights) == pytest.approx(ar(copies, lists, 2, mode), nan_ok=True)  # type: ignore[arg-type]
