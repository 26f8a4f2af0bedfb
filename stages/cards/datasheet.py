"""Datasheet: the questions that a dataset should answer (Gebru et al., Datasheets for Datasets, 2021), in our words, from the data."""

from __future__ import annotations

import polars as pl

from stages.cards.card import CardInput
from stages.cards.sources import source_of
from stages.view.names import visible_name

_OPEN = "*Not in the data: to be answered by whoever made the set.*"


def datasheet(given: CardInput) -> str:
    """The text of `datasheet.md`: seven parts, each a list of questions with answers. Figures that the card has are not repeated."""
    lines = [f"# Datasheet of {visible_name(given.name)}", "After Gebru et al., *Datasheets for Datasets* (2021), in our words."]
    for part, answers in _parts(given):
        lines.append(f"## {part}")
        lines += [f"**{question}** {answer}" for question, answer in answers]
    if given.recipe_text:
        lines.append("## The recipe\n\n" + "\n".join(f"    {line}" for line in given.recipe_text.splitlines()))
    return "\n\n".join(lines) + "\n"


def _parts(given: CardInput) -> list[tuple[str, list[tuple[str, str]]]]:
    rows = given.selection
    names = [name for name in rows["dataset"].unique().sort().to_list() if name]
    titles = [source.title if (source := source_of(name)) else visible_name(name) for name in names]
    known = rows.filter(pl.col("identities").list.len() > 0).height
    predicted = rows.filter(pl.col("target_from") == "prediction").height
    relations = given.proof.get("relations", {})
    kept = [name for name, row in relations.items() if not row.get("overlaps")]
    weights = sorted({r["weights_sha256"][:16] for r in given.provenance.to_dicts() if r["weights_sha256"]})
    no_face = rows.filter(pl.col("track").is_null()).height
    return [
        ("Motivation", [
            ("What was it made for?", f"To train and to measure detectors of audio-visual forgery. {_OPEN}"),
            ("Who made it, and who paid?", _OPEN),
        ]),
        ("Composition", [
            ("What is an instance?", "One second (25 ticks of 40 ms) of one face in one video, or of a video without a face."),
            ("How many are there?", f"{rows.height:,} clips of {rows['content_id'].n_unique():,} videos; {no_face:,} have no face. "
             "Counts by split, dataset and method are in the card."),
            ("Is it a sample?", "Yes: what the recipe chose of an archive that is not representative of anything by itself."),
            ("What does an instance hold?", "Place and time in its video, target, fake seconds, method, source and people as far as they "
             "are known, and the digest of the video. Faces, action units and sound are in the store, and in exports."),
            ("Is there a label?", f"`target`: real or fake. {rows.height - predicted:,} from the metadata of the sources, {predicted:,} "
             "predicted by a detector (`target_from`)."),
            ("Is something missing?", _missing(rows)),
            ("Do instances belong together?", f"Yes; `component` names the group. Relations that cross no split: "
             f"{', '.join(kept) or 'unknown'}."),
            ("Are splits recommended?", "Yes, the column `split`. Tune on dev, look at test once."),
            ("Are there errors or repetitions?", "The same bytes count once. Faults of the sources are listed in the card; "
             "wrong targets of theirs stay wrong here."),
            ("Does it stand alone?", "No: it names videos by uri and digest, and who holds none of them can't use it."),
            ("Does it hold anything confidential or offensive?", "What the videos say and show was not looked at."),
            ("Does it show people?", f"Yes, faces and voices. Of {known:,} clips the source names the person by an identifier."),
            ("Can people be recognised?", "Yes, by their faces and voices, and where the source names them."),
        ]),
        ("Collection", [
            ("How were the data had?", f"From {', '.join(titles) if titles else 'an archive of no named dataset'}; see there for how "
             "footage was collected and forged."),
            ("Did people consent, and to what?", "See the sources. Footage of celebrities in several of them was taken from public video "
             "without asking."),
            ("Was there a review of ethics?", _OPEN),
        ]),
        ("Preprocessing and labelling", [
            ("What was done?", "Decoding, face tracking, action units, log-mel sound, per-frame scores; then filters, sampling and "
             "splits by the recipe."),
            ("By which models?", f"Detector weights (sha256 begins) {', '.join(weights) or 'unknown'}; they also decide wherever the "
             "recipe filters or ranks by score."),
            ("Are the raw data kept?", "They are where they were: FauScan writes nothing into an archive."),
            ("Is the software to be had?", "FauScan, version and parameters in `provenance.parquet` and `params.yaml` of the workspace."),
        ]),
        ("Uses", [
            ("What was it used for?", "Checkpoints trained on it name its digest in the JSON beside them."),
            ("What could go wrong?", "A detector may learn what gives the target away without being forgery; the card measures "
             "it. Methods that are not in the set are not learnt."),
            ("What should it not be used for?", "To accuse: a score is no proof about a video or a person. To recognise people. "
             "Anything that the sources' terms forbid."),
        ]),
        ("Distribution", [
            ("How may it be passed on?", "The selection holds no footage; exports with media hold it, and the sources' terms "
             "decide (card)."),
        ]),
        ("Maintenance", [
            ("How is it kept?", "As an output of DVC: each commit of the workspace brings back its own version, bit for bit."),
            ("How does one see what changed?", "`fauscan curate-diff OLD NEW --name NAME`."),
            ("Who answers for it?", _OPEN),
        ]),
    ]  # fmt: skip


def _missing(rows: pl.DataFrame) -> str:
    gaps = {
        "which part is fake": rows.filter((pl.col("target") == "fake") & pl.col("fake_spans").is_null()).height,
        "whether the sound is fake": rows["audio_fake"].null_count(),
        "whether the picture is fake": rows["visual_fake"].null_count(),
        "who is in it": rows.filter(pl.col("identities").list.len().fill_null(0) == 0).height,
    }
    told = [f"{what} ({count:,} clips)" for what, count in gaps.items() if count]
    return f"Not known: {', '.join(told)}." if told else "Nothing that the schema has room for."
