"""Truth rows: the truth of an inventory as clips that `stages.evaluate` can judge by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import polars as pl

from schemas.reasons import Outcome
from schemas.tables import INVENTORY
from schemas.truth import Span, TruthRow

INPUT = INVENTORY
_FLAGS: dict[Literal["audio", "visual"], str] = {"audio": "truth_audio_fake", "visual": "truth_visual_fake"}


def truth_rows(inventory: pl.DataFrame) -> list[TruthRow]:
    """One row for each video of which it is known whether it is fake, in the order of the inventory.

    A fake of which nothing is known but that is fake from its start to its end. The spans of a stream of which nothing is known are
    empty, and the stream is in `unknown`. `identity` names the people that a clip may share with others by way of third clips.

    Args:
        inventory: rows of INVENTORY.
    """
    known = inventory.filter(pl.col("truth_fake").is_not_null(), pl.col("outcome") == Outcome.DONE.value)
    groups = _components(known.select("uri", "truth_source", "truth_identities").iter_rows())
    several = known["truth_dataset"].n_unique() > 1
    return [_row(row, groups.get(row["uri"]), several) for row in known.iter_rows(named=True)]


def _row(row: dict[str, Any], group: str | None, several: bool) -> TruthRow:
    whole = (0.0, (row["duration_us"] or 0) / 1e6)
    spans = {name: _spans(row[f"truth_{name}fake"], row[f"truth_{name}spans"], whole) for name in ("", "audio_", "visual_")}
    kind = "+".join(row["truth_methods"] or ()) or _kind(row)
    return TruthRow(
        file=row["uri"],
        fake_periods=spans[""],
        audio_fake_periods=spans["audio_"],
        visual_fake_periods=spans["visual_"],
        original=row["truth_source"],
        modify_audio=bool(row["truth_audio_fake"]),
        modify_video=bool(row["truth_visual_fake"]),
        split=row["truth_split"],
        kind=f"{row['truth_dataset']}: {kind}" if several and row["truth_fake"] else kind,
        identity=group,
        unknown=[stream for stream, flag in _FLAGS.items() if row[flag] is None],
    )


def _spans(is_fake: bool | None, spans: list[Span] | None, whole: Span) -> list[Span]:
    if not is_fake:
        return []
    return [whole] if spans is None else [(start, end) for start, end in spans]


def _kind(row: dict[str, Any]) -> str:
    if not row["truth_fake"]:
        return "real"
    return {(True, True): "both", (True, False): "audio", (False, True): "visual"}.get(
        (bool(row["truth_audio_fake"]), bool(row["truth_visual_fake"])), "fake"
    )


def _components(rows: Iterable[tuple[str, str | None, list[str] | None]]) -> dict[str, str]:
    """uri -> the first identity of its connected component; uris without any identity are left out.

    Two clips are connected that share a person, or of which one was made from the other.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = name = parent[parent[name]]
        return name

    members: dict[str, list[str]] = {}
    for uri, source, identities in rows:
        members[uri] = identities or []
        for other in (source, *(f"\0{identity}" for identity in identities or ())):  # no uri begins like that
            if other is not None:
                first, second = sorted((root(uri), root(other)))
                parent[second] = first
    named: dict[str, str] = {}
    for uri, identities in members.items():
        for identity in identities:
            named[root(uri)] = min(named.get(root(uri), identity), identity)
    return {uri: named[root(uri)] for uri in members if root(uri) in named}
