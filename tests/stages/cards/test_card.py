"""Cards: the figures are those of the selection, and the same set gives the same text."""

from __future__ import annotations

import random

import polars as pl
import pytest
import yaml

from schemas.tables import CURATED, INVENTORY, PROVENANCE
from stages.cards.card import CardInput, card, hub_card
from stages.cards.datasheet import datasheet
from stages.cards.sources import SOURCES
from stages.contract import as_frame
from stages.datasets.registry import ADAPTERS
from tests.pipelines.exports.made_set import FAKE, clip
from tests.pipelines.made_labels import table


def given(codec_leaks: bool = True, shuffled: bool = False) -> CardInput:
    rows, media = [], []
    for number in range(40):
        fake, uri = number % 2 == 0, f"{number:02}|.mp4"
        split = ("train", "train", "dev", "test")[number // 2 % 4]
        who = {"identities": [f"lavdf:{number // 4}"], "dataset": "lavdf", "split": split}
        rows.append(clip(f"id{number:02}", uri, **who | (FAKE if fake else {})))
        codec = ("mpeg4" if fake else "h264") if codec_leaks else ("mpeg4", "h264")[number // 2 % 2]
        media.append({"uri": uri, "content_id": f"id{number:02}", "video_codec": codec, "duration_us": 3_000_000, "frame_rate": 25.0})
    rows[0] |= {"target_from": "prediction", "fake_spans": None, "audio_fake": None}
    if shuffled:
        random.Random(3).shuffle(rows)
        random.Random(4).shuffle(media)
    proof = {"relations": {"identity": {"groups": 10, "overlaps": 0}, "source": {"groups": 3, "overlaps": 1, "enforced": False}}}
    made = table(PROVENANCE, [{"provenance_id": "p", "preset": "lite", "weights_sha256": "ab" * 32, "fau_backend": "mesh"}])
    tables = [as_frame(t) for t in (table(CURATED, rows), table(INVENTORY, media), made)]
    return CardInput("seven|*", "d" * 64, *tables, proof, {"recipe": "r1", "inputs": "i1"}, "name: seven\n")


def test_counts_sources_and_provenance_are_told():
    text = card(given())
    assert "| clips | 40 |" in text and "| of them fake | 20 |" in text and "| people or groups | 10 |" in text
    assert "| train | 10 | 10 | 20 | 5 |" in text
    assert "LAV-DF" in text and "non-commercial" in text and "DICTA 2022" in text
    assert "abababab" in text and "1 fake clips come from sources that do not say which part" in text
    assert "**Splits share groups of: source.**" in text


def test_a_codec_that_gives_the_target_away_is_named_and_one_that_does_not_is_not():
    leaking = card(given())
    assert "| video codec | 1.000 | 1.000 | 2 |" in leaking and "**video codec alone tells targets apart.**" in leaking
    assert "None of them tells much." in card(given(codec_leaks=False))


def test_the_order_of_rows_changes_nothing():
    assert card(given()) == card(given(shuffled=True))
    assert datasheet(given()) == datasheet(given(shuffled=True))


def test_the_datasheet_answers_every_part_and_says_what_it_can_not():
    text = datasheet(given())
    for part in ("Motivation", "Composition", "Collection", "Preprocessing and labelling", "Uses", "Distribution", "Maintenance"):
        assert f"## {part}" in text
    assert "39 from the metadata of the sources, 1 predicted" in text and "to be answered by whoever made the set" in text
    assert "whether the sound is fake (1 clips)" in text and "    name: seven" in text


def test_a_name_can_not_break_out_of_the_table_or_the_header():
    text = hub_card(given(), {"train": "data/train-*.parquet"})
    header = yaml.safe_load(text.split("---")[1])
    assert header["pretty_name"] == "seven|*" and header["configs"][0]["data_files"] == [{"split": "train", "path": "data/train-*.parquet"}]


def test_every_published_dataset_has_its_facts():
    assert ADAPTERS.keys() - SOURCES.keys() == {"generic"}  # anybody's own table


def test_an_empty_set_has_a_card():
    empty = CardInput("none", "d", *(as_frame(s.empty_table()) for s in (CURATED, INVENTORY, PROVENANCE)), {}, {}, None)
    assert "| clips | 0 |" in card(empty) and "There is no `proof.json`" in card(empty)
    assert isinstance(datasheet(empty), str)


@pytest.mark.parametrize("splits", [["train"], ["test"]])
def test_a_set_of_one_split_has_a_card(splits):
    one = given()
    rows = one.selection.with_columns(split=pl.lit(splits[0]))
    text = card(CardInput(one.name, one.digest, rows, one.inventory, one.provenance, one.proof, one.metrics, None))
    assert ("(train itself)" in text) == (splits == ["train"])
