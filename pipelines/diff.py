"""Diff: says what changed between two versions of an archive's labels: frames, segments, thresholds, models, parameters."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from pipelines import diff_view
from pipelines.label_version import LabelVersion, open_version
from pipelines.parquet import damage_found_late, replace_file, to_bytes
from schemas.errors import WorkspaceError
from schemas.tables import DIFF, SEGMENT_DIFF
from stages import label_diff
from stages.contract import as_frame
from stages.label_diff import ADDED, REMOVED

_LABELLING = ("decode", "faces", "fau", "audio", "score", "label", "segments")
"""Sections of params.yaml that decide labels."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Something that the two versions were made with, and that is not the same. Several values: not all labels were made alike."""

    name: str
    a: list[Any]
    b: list[Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """All that differs. Tables are small, but for `frames`, which has a row for each changed frame and is made when it is asked for."""

    a: str
    b: str
    counts: pl.DataFrame
    """As `label_diff.count`, with uri and dataset: the first folder of the uri."""
    segments: pl.DataFrame
    """As `label_diff.spans`, with uri."""
    settings: list[Setting]
    frames: pl.LazyFrame
    """Rows of DIFF; readable while the versions are open."""

    @property
    def is_empty(self) -> bool:
        """Whether no frame and no segment changed. Other probabilities and other settings alone are no difference."""
        return bool(self.counts["change"].is_null().all() and self.segments["change"].is_null().all())


def compare(a: LabelVersion, b: LabelVersion) -> Difference:
    """Compares two versions of the labels.

    Raises:
        WorkspaceError: a table is damaged, or holds the same frame twice.
    """
    inventories = pl.concat([b.inventory().select("content_id", "uri"), a.inventory().select("content_id", "uri")])
    uris = inventories.drop_nulls("content_id").unique("content_id", keep="first", maintain_order=True)
    labels = a.labels(), b.labels()
    joined = label_diff.join(*labels)
    with damage_found_late(f"{a.name} or {b.name}"):
        counts = label_diff.count(joined).collect(engine="streaming")
        rows = [side.select(pl.len()).collect().item() for side in labels]
    for there, absent, other in ((rows[0], ADDED, b), (rows[1], REMOVED, a)):
        # A frame that is twice in one version meets its counterpart twice, and then the counterpart's version has too many.
        if counts.filter(pl.col("change").ne_missing(pl.lit(absent)))["frames"].sum() != there:
            raise WorkspaceError(
                f"{other.name}: holds a frame twice, so these are not the labels of one version; `fauscan label` makes them"
            )
    counts = counts.join(uris, on="content_id", how="left").with_columns(dataset=_dataset())
    segments = label_diff.spans(a.segments(), b.segments()).join(uris, on="content_id", how="left")
    return Difference(a.name, b.name, counts, segments, _settings(a, b), label_diff.changed(joined, uris))


def run_diff(wanted_a: str, wanted_b: str, workspace: Path, out: Path | None, as_json: bool) -> bool:
    """Prints what differs, or writes it to stdout as JSON, and to `out` as Parquet. Returns whether anything does.

    Args:
        wanted_a: the older version, a folder or a revision (`label_version.open_version`).
        wanted_b: the newer one.
        workspace: where revisions are looked up.
        out: a `.parquet` file for the changed frames, or a folder for `frames.parquet` and `segments.parquet`.
        as_json: no tables; the videos are all there, not only the first.
    """
    with open_version(wanted_a, workspace) as a, open_version(wanted_b, workspace) as b:
        if a.identity == b.identity and not (as_json or out):
            diff_view.print_same(a.name, b.name)
            return False
        difference = compare(a, b)
        if out is not None:
            _write(difference, out)
    if as_json:
        print(json.dumps(diff_view.as_dict(difference), indent=2))  # noqa: T201
    else:
        diff_view.print_difference(difference)
    return not difference.is_empty


def _write(difference: Difference, out: Path) -> None:
    frames = difference.frames.collect(engine="streaming").to_arrow().cast(DIFF)
    if out.suffix == ".parquet":
        _replace(out, frames)
        return
    types = as_frame(SEGMENT_DIFF.empty_table()).schema
    spans = difference.segments.filter(pl.col("change").is_not_null()).select(pl.col(n).cast(t) for n, t in types.items())
    in_order = spans.sort("uri", "content_id", "modality", "track", pl.coalesce("start_s_b", "start_s_a"), nulls_last=True)
    _replace(out / "frames.parquet", frames)
    _replace(out / "segments.parquet", in_order.to_arrow().cast(SEGMENT_DIFF))


def _replace(path: Path, table: pa.Table) -> None:
    replace_file(path, to_bytes(table), path.with_name(f".tmp-{path.name}"))


def _dataset() -> pl.Expr:
    """The first folder of the uri; empty for a file that lies in none."""
    return pl.when(pl.col("uri").str.contains("/")).then(pl.col("uri").str.split("/").list.first()).otherwise(pl.lit(""))


def _settings(a: LabelVersion, b: LabelVersion) -> list[Setting]:
    """Columns of PROVENANCE and keys of params.yaml that are not the same."""
    made = a.provenance(), b.provenance()
    facts = [
        Setting(name, *(sorted(side[name].unique().to_list(), key=lambda v: (v is None, v)) for side in made))
        for name in made[0].columns
        if name not in {"provenance_id", "schema_version"} and not any(side.is_empty() for side in made)
    ]
    params = a.params(), b.params()
    keys = sorted(key for key in params[0].keys() & params[1].keys() if key.split(".")[0] in _LABELLING)
    given = [Setting(key, [params[0][key]], [params[1][key]]) for key in keys]
    return [setting for setting in (*facts, *given) if setting.a != setting.b]
