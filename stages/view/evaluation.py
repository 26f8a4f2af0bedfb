"""Evaluation: what `fauscan evaluate` found, as the report page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stages.view.names import visible_name

DASH = "\N{EN DASH}"
_COLUMNS = ("frame_auc", "frame_auc_vs_real", "clip_auc", "video_mean_auc")
_SIDE = 100.0  # of the diagram, in its own units


@dataclass(frozen=True, slots=True)
class FigureRow:
    """One head and kind."""

    head: str
    kind: str
    first: bool
    forged: int
    coverage: str
    figures: list[str]


@dataclass(frozen=True, slots=True)
class ReliabilityChart:
    """One head's probabilities against what is true, in a square of side 100, the origin at its lower left."""

    head: str
    note: str
    aria: str
    points: list[dict[str, Any]]
    bars: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class EvaluationEntry:
    """One set of weights on one archive."""

    title: str
    text: str
    sha256: str
    rows: list[FigureRow]
    charts: list[ReliabilityChart]
    notes: list[str]


def evaluation_entry(result: dict[str, Any]) -> EvaluationEntry:
    """result: one of `results` in metrics-evaluate.json. Raises KeyError, TypeError, ValueError or AttributeError for anything else."""
    clips, groups = result["clips"], result["interval_groups"]
    grouped = f"{groups['count']} {'identities' if groups['by'] == 'identity' else 'videos'}"
    text = f"{int(clips['real']):,} real and {int(clips['forged']):,} forged clips of split {result['split']}; intervals over {grouped}."
    heads = {visible_name(head): figures for head, figures in result["heads"].items()}
    return EvaluationEntry(
        visible_name(f"{result['weights']} on {result['data']}"),
        visible_name(text),
        visible_name(str(result["weights_sha256"])[:12]),
        [row for head, figures in heads.items() for row in _rows(head, figures["kinds"])],
        [chart for head, figures in heads.items() if (chart := _chart(head, figures["reliability"]))],
        _notes(heads, result),
    )


def _rows(head: str, kinds: dict[str, Any]) -> list[FigureRow]:
    rows: list[FigureRow] = []
    for kind, cell in kinds.items():
        shown = [_text(figure) for figure in (*(cell[name] for name in _COLUMNS), cell["temporal"]["proposals"]["strict"]["ap@0.5"])]
        coverage = DASH if cell["coverage"] is None else f"{100 * float(cell['coverage']):.1f} %"
        rows.append(FigureRow(head, visible_name(str(kind)), not rows, int(cell["forged_clips"]), coverage, shown))
    return rows


def _chart(head: str, curve: dict[str, Any]) -> ReliabilityChart | None:
    edges, total = [float(edge) for edge in curve["edges"]], sum(int(count) for count in curve["count"])
    if not total:
        return None
    points, bars = [], []
    bins = zip(edges, edges[1:], curve["count"], curve["confidence"], curve["observed"], strict=False)
    for start, end, count, confidence, observed in bins:
        if not count:
            continue
        share = f"{100 * float(observed):.0f} % of them fake"
        title = f"{start:g} to {end:g}: {int(count):,} frames, mean probability {float(confidence):.2f}, {share}"
        height = _SIDE * int(count) / total
        bars.append({"x": _at(start), "y": round(_SIDE - height, 2), "width": _at(end - start), "height": round(height, 2), "title": title})
        points.append({"x": _at(confidence), "y": round(_SIDE - _SIDE * float(observed), 2), "title": title})
    error = f"expected calibration error {float(curve['ece']):.3f}"
    return ReliabilityChart(head, error, f"Reliability of the {head} probabilities, {error}", points, bars)


def _notes(heads: dict[str, Any], result: dict[str, Any]) -> list[str]:
    notes = [
        f"Left out for {head}, because the {head} shows no trace of the forgery by itself: {int(figures['without_trace']):,} forged clips."
        for head, figures in heads.items()
        if figures["without_trace"]
    ]
    notes += [
        f"Left out for {head}, because the truth does not say whether the {head} is altered: {int(figures['unknown']):,} clips."
        for head, figures in heads.items()
        if figures.get("unknown")
    ]
    if result.get("sampled_from"):
        notes.append(f"A sample of {int(result['sampled_from']):,} clips; `fauscan evaluate -w` measures all of them.")
    for key, what in (
        ("missing_labels", "Clips of the truth without labels"),
        ("missing_truth", "Videos of the folder that the truth does not know"),
    ):
        notes += [f"{what}: {len(result[key]):,} (named in metrics-evaluate.json)."] if result[key] else []
    return notes


def _text(figure: dict[str, Any] | None) -> str:
    if figure is None or figure["value"] is None:
        return DASH
    value = f"{float(figure['value']):.3f}"
    return value if figure["low"] is None else f"{value} ({float(figure['low']):.2f}{DASH}{float(figure['high']):.2f})"


def _at(share: float) -> float:
    return round(_SIDE * float(share), 2)
