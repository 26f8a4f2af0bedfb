"""Card: what a curated set holds, where it comes from, and what in it can mislead, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from stages.cards.leaks import Leak, leaks
from stages.cards.sources import source_of
from stages.view.names import visible_name

SPLITS = ("train", "dev", "test")
_MOST_ROWS = 30


@dataclass(frozen=True, slots=True)
class CardInput:
    """All that cards are made from; nothing of it is a clock."""

    name: str
    digest: str
    selection: pl.DataFrame
    inventory: pl.DataFrame
    provenance: pl.DataFrame
    proof: dict[str, Any]
    metrics: dict[str, Any]
    recipe_text: str | None


def card(given: CardInput) -> str:
    """The text of `card.md`. The same set gives the same bytes."""
    rows = given.selection
    parts = [
        f"# {visible_name(given.name)}",
        _summary(given),
        "## Balance\n\n" + _balance(rows),
        "## Splits share nothing\n\n" + _proof(given.proof),
        "## Sources and terms\n\n" + _sources(rows),
        "## Where the targets come from\n\n" + _targets(given),
        "## What gives the target away\n\n" + _leaks(leaks(rows, given.inventory)),
        "## How to cite\n\n" + _cite(given),
    ]
    return "\n\n".join(parts) + "\n"


def hub_card(given: CardInput, data_files: dict[str, str]) -> str:
    """The card with the YAML header that a dataset's README has on the Hugging Face hub.

    data_files: from the name of a split to the pattern of its files.
    """
    count = given.selection.height
    sizes = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
    size = next((name for limit, name in sizes if count < limit), "1M<n<10M")
    lines = [
        "---", f"pretty_name: {_quoted(given.name)}", "license: other", "license_name: terms-of-the-sources", "task_categories:",
        "- video-classification", "tags:", "- deepfake-detection", "- audio-visual", "size_categories:", f"- {size}", "configs:",
        "- config_name: default", "  data_files:",
        *(line for split, pattern in data_files.items() for line in (f"  - split: {split}", f"    path: {pattern}")),
        "---",
    ]  # fmt: skip
    return "\n".join(lines) + "\n\n" + card(given)


def _quoted(text: str) -> str:
    return '"' + visible_name(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; whatever a cell holds stays in it."""
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(_cell(value) for value in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _cell(value: object) -> str:
    text = "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)  # noqa: RUF001
    return visible_name(text).replace("|", "\\|").replace("<", "&lt;")


def _summary(given: CardInput) -> str:
    rows = given.selection
    people = rows["identities"].list.explode().drop_nulls().n_unique()
    seconds = float((rows["end_us"] - rows["start_us"]).sum()) / 1e6
    facts = [
        ("clips", rows.height), ("of them fake", int((rows["target"] == "fake").sum())), ("videos", rows["content_id"].n_unique()),
        ("people or groups", people), ("seconds", f"{seconds:,.0f}"), ("digest of the selection", f"`{given.digest}`"),
        ("digest of the recipe", f"`{given.metrics['recipe']}`" if "recipe" in given.metrics else None),
        ("digest of the inputs", f"`{given.metrics['inputs']}`" if "inputs" in given.metrics else None),
    ]  # fmt: skip
    text = "A training set for forgery detectors: clips of one second of talking faces, chosen and split by `fauscan curate`."
    return text + "\n\n" + table(("", ""), [(name, value) for name, value in facts if value is not None])


def _balance(rows: pl.DataFrame) -> str:
    parts = [counts_by(rows, "split", pl.col("split"), SPLITS)]
    parts.append(counts_by(rows, "dataset", pl.col("dataset").fill_null("")))
    parts.append(counts_by(rows, "method", pl.col("methods").list.join("+").fill_null("").replace("", "(none)")))
    per_person = rows.select(person="identities", target="target").explode("person").drop_nulls("person").group_by("person").len()
    if per_person.height:
        low, middle, high = (int(per_person["len"].quantile(q, "nearest") or 0) for q in (0, 0.5, 1))
        parts.append(f"Clips of a person: {low:,} at least, {middle:,} in the middle, {high:,} at most, over {per_person.height:,} people.")
    return "\n\n".join(parts)


def counts_by(rows: pl.DataFrame, name: str, value: pl.Expr, order: Sequence[str] | None = None) -> str:
    """Real and fake clips, videos and people for each value; the most frequent first where no order is given."""
    counted = (
        rows.with_columns(value=value)
        .group_by("value")
        .agg(
            real=(pl.col("target") == "real").sum(),
            fake=(pl.col("target") == "fake").sum(),
            videos=pl.col("content_id").n_unique(),
            people=pl.col("identities").list.explode().drop_nulls().n_unique(),
        )
        .with_columns(clips=pl.col("real") + pl.col("fake"))
        .sort([pl.col("clips"), pl.col("value")], descending=[True, False])
    )
    found = counted.to_dicts()
    if order is not None:
        found.sort(key=lambda row: order.index(row["value"]) if row["value"] in order else len(order))
    head = (name, "real", "fake", "videos", "people")
    shown = [(row["value"] or "(none)", row["real"], row["fake"], row["videos"], row["people"]) for row in found[:_MOST_ROWS]]
    more = f"\n\n{len(found) - _MOST_ROWS:,} more are in `selection.parquet`." if len(found) > _MOST_ROWS else ""
    return table(head, shown) + more


def _proof(proof: dict[str, Any]) -> str:
    relations = proof.get("relations", {})
    if not relations:
        return "There is no `proof.json` beside the selection: nothing is known of what the splits share."
    rows = [(name, row.get("groups"), row.get("overlaps"), "yes" if row.get("enforced", True) else "no") for name, row in relations.items()]
    text = "Counted from the finished selection: groups of clips that belong together, and how many lie in several splits."
    shared = [name for name, _, overlaps, _ in rows if overlaps]
    warning = f"\n\n**Splits share groups of: {', '.join(shared)}.** The recipe left these relations out." if shared else ""
    return text + "\n\n" + table(("relation", "groups", "in several splits", "kept apart"), rows) + warning


def _sources(rows: pl.DataFrame) -> str:
    lines, unknown = [], []
    for name in rows["dataset"].unique().sort().to_list():
        source = source_of(name)
        if source is None:
            unknown.append(name or "(none)")
        else:
            lines.append((source.title, source.home, source.terms, source.known))
    text = table(("dataset", "home", "terms", "known of it"), lines) if lines else ""
    if unknown:
        text += ("\n\n" if text else "") + f"Nothing is recorded of: {visible_name(', '.join(unknown))}. Say yourself where it is from."
    return text + "\n\nTerms are a summary; the sources' own texts hold, for this set as for them. The videos themselves are not in it."


def _targets(given: CardInput) -> str:
    rows = given.selection
    parts = [counts_by(rows, "target from", pl.col("target_from"))]
    predicted = rows.filter(pl.col("target_from") == "prediction")
    if predicted.height:
        used = given.provenance.filter(pl.col("provenance_id").is_in(predicted["provenance_id"].unique().to_list()))
        facts = [(r["preset"], r["weights_sha256"], r["fau_backend"], r["fake_above"], r["real_below"]) for r in used.to_dicts()]
        head = ("detector", "sha256 of the weights", "action units", "fake above", "real below")
        parts.append("Predicted targets are a detector's opinion, with its errors:\n\n" + table(head, sorted(facts, key=str)))
    whole = rows.filter((pl.col("target") == "fake") & pl.col("fake_spans").is_null()).height
    if whole:
        parts.append(f"{whole:,} fake clips come from sources that do not say which part is fake: the whole clip is called so.")
    unknown = rows.filter(pl.col("audio_fake").is_null() | pl.col("visual_fake").is_null()).height
    if unknown:
        parts.append(f"Of {unknown:,} clips it is not known whether sound, picture or both are fake.")
    return "\n\n".join(parts)


def _leaks(found: Sequence[Leak]) -> str:
    if not found:
        return "None of the facts that were looked at differs between the clips."
    rows = [
        (x.fact, _figure(x.auc) + (" (train itself)" if x.in_sample and x.auc is not None else ""), f"{x.bits:.3f}", x.values)
        for x in found
    ]
    strong = [x.fact for x in found if x.is_notable]
    verdict = (
        f"**{', '.join(strong)} alone tell{'s' if len(strong) == 1 else ''} targets apart.** A detector can learn that instead of forgery."
        if strong
        else "None of them tells much."
    )
    text = (
        "How well one fact alone guesses the target: AUC on dev and test of the share of fakes that train has for its value "
        "(0.5: not at all), and mutual information in bits."
    )
    return f"{text} {verdict}\n\n" + table(("fact", "AUC", "bits", "values"), rows)


def _figure(value: float | None) -> str:
    return "one class only" if value is None else f"{value:.3f}"


def _cite(given: CardInput) -> str:
    found = [source_of(name) for name in given.selection["dataset"].unique().sort().to_list()]
    lines = [f"- {source.cite}" for source in found if source is not None]
    return "\n".join([f"- This set: {visible_name(given.name)}, digest `{given.digest[:16]}`, made by FauScan", *lines])
