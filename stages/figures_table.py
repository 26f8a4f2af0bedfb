"""Figures table: what an evaluation found, for a terminal of 80 columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from stages.view.names import visible_name

DASH = "\N{EN DASH}"
_FIRST_NAMES = 5


def figure_tables(result: dict[str, Any]) -> list[RenderableType]:
    """A headline, a table of heads and kinds, a table of spans, and what is missing. result: of `pipelines.evaluate`."""
    clips = result["clips"]
    where = f"{visible_name(result['weights'])} on {visible_name(result['data'])}, split {result['split']}"
    told = f"{clips['real']} real and {clips['forged']} forged clips; 95 % intervals over {_groups(result['interval_groups'])}"
    return [Text(f"\n{where}", "bold"), Text(told, "dim"), _kinds(result), Text(), _spans(result), *_missing(result)]


def cross_table(results: Sequence[dict[str, Any]]) -> Table:
    """Frame AUC of the total head over all kinds: a row for each set of weights, a column for each set of data."""
    columns = list(dict.fromkeys(r["data"] for r in results))
    table = _table("\nframe AUC, total", ("weights", "left"), *((visible_name(name), "right") for name in columns))
    found = {(r["weights"], r["data"]): r["heads"]["total"]["kinds"]["all"]["frame_auc"] for r in results}
    for weights in dict.fromkeys(r["weights"] for r in results):
        table.add_row(Text(visible_name(weights)), *(_with_interval(found.get((weights, data))) for data in columns))
    return table


def _kinds(result: dict[str, Any]) -> Table:
    columns = ("forged", "frame AUC", "vs real", "within", "video", "EER")  # more would not fit; the JSON has all
    table = _table("", ("head", "left"), ("kind", "left"), *((name, "right") for name in columns))
    for head, figures in result["heads"].items():
        for number, (kind, cell) in enumerate(figures["kinds"].items()):
            values = (cell[name] for name in ("frame_auc_vs_real", "frame_auc_within", "video_mean_auc", "frame_eer"))
            table.add_row(
                head if number == 0 else "",
                Text(visible_name(kind)),
                str(cell["forged_clips"]),
                _with_interval(cell["frame_auc"]),
                *(_short(value) for value in values),
            )
    return table


def _spans(result: dict[str, Any]) -> Table:
    first = next(iter(result["heads"].values()))["kinds"]["all"]["temporal"]
    columns = list(first["segments"]["strict"])
    table = _table("", *((name, "left") for name in ("head", "spans", "count")), *((name.upper(), "right") for name in columns))
    for head, figures in result["heads"].items():
        rows = [(source, mode, cell) for source, modes in figures["kinds"]["all"]["temporal"].items() for mode, cell in modes.items()]
        for number, (source, mode, cell) in enumerate(rows):
            table.add_row(head if number == 0 else "", source, mode, *(_short(cell[name]) for name in columns))
    return table


def _missing(result: dict[str, Any]) -> list[Text]:
    lines = []
    for head, figures in result["heads"].items():
        for kind, cell in figures["kinds"].items():
            if cell["coverage"] is not None and cell["coverage"] < 1:  # 100 % means all of them
                lines.append(f"{head}, {visible_name(kind)}: {math.floor(100 * cell['coverage'])} % of the frames have a probability")
        if figures["without_trace"]:
            count = figures["without_trace"]
            lines.append(f"{head}: forged clips left out, whose {head} shows no trace by itself: {count}")
    for name, what in (("missing_labels", "clips of the truth without labels"), ("missing_truth", "videos that the truth does not know")):
        if names := result[name]:
            more = f" and {len(names) - _FIRST_NAMES} more" if len(names) > _FIRST_NAMES else ""
            lines.append(f"{what}: {len(names)} ({', '.join(visible_name(n) for n in names[:_FIRST_NAMES])}{more})")
    return [Text(line, "dim") for line in lines]


def _table(title: str, *columns: tuple[str, Any]) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0), title=title or None, title_justify="left", title_style="")
    for name, justify in columns:
        table.add_column(Text(name), justify=justify, overflow="fold", no_wrap=name not in ("kind", "weights"))
    return table


def _short(figure: dict[str, Any] | None) -> str:
    return DASH if figure is None or figure["value"] is None else f"{figure['value']:.3f}"


def _with_interval(figure: dict[str, Any] | None) -> str:
    if figure is None or figure["low"] is None:
        return _short(figure)
    return f"{figure['value']:.3f} {figure['low']:.2f}{DASH}{figure['high']:.2f}"


def _groups(groups: dict[str, Any]) -> str:
    return f"{groups['count']} {'identities' if groups['by'] == 'identity' else 'videos'}"
