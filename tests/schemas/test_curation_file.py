from __future__ import annotations

from pathlib import Path

import pytest

from schemas.curation import CurationRecipe
from schemas.curation_columns import COLUMNS
from schemas.curation_file import parse
from schemas.errors import ParamsError

DOCS = Path(__file__).parents[2] / "docs" / "curation.md"


def test_an_empty_recipe_is_the_default_one() -> None:
    assert parse("", "r.yaml").recipe == CurationRecipe()


def test_short_conditions_are_the_long_ones() -> None:
    short = parse("filters: {dataset: a, method: [b, c], has_audio: true}", "r.yaml").recipe
    long = parse("filters: {dataset: {in: [a]}, method: {in: [b, c]}, has_audio: {is: true}}", "r.yaml").recipe
    assert short == long


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\nsampel:\n  total: {max: 3}\n", r"^r\.yaml:2: sampel is not known here; did you mean sample\?$"),
        ("filters:\n  quality: {min: 0.5}\n  qualty: {min: 1}\n", r"^r\.yaml:3: filters\.qualty is no column; did you mean quality\?$"),
        ("filters:\n  quality:\n    least: 1\n", r"^r\.yaml:3: filters\.quality\.least is not known here; known: min, max, in"),
        ("filters:\n  split: train\n", r"^r\.yaml:2: filters\.split is no column; did you mean official_split\?$"),
        ("filters:\n  official_split: [tain]\n", r"^r\.yaml:2: filters\.official_split\.in\.0 is 'tain'; did you mean train\?$"),
        ("filters:\n  reason:\n    not_in:\n      - no_audio\n      - no_adio\n", r"^r\.yaml:5: .* is 'no_adio'; did you mean no_audio\?$"),
        ("filters:\n  dataset: {min: 3}\n", r"^r\.yaml:2: filters\.dataset\.min does not suit a column of text; use in, not_in, is_null$"),
        ("filters:\n  quality: {in: [high]}\n", r"^r\.yaml:2: filters\.quality\.in\.0 is 'high'; this column holds numbers$"),
        ("filters:\n  quality: {min: 2, max: 1}\n", r"^r\.yaml:2: filters\.quality: min \(2\) must not be above max \(1\)$"),
        ("filters:\n  quality: {}\n", r"^r\.yaml:2: filters\.quality: says nothing; use min, max"),
        ("targets:\n  target_from: turth\n", r"^r\.yaml:2: targets\.target_from is 'turth'; did you mean truth\?$"),
        ("sample:\n  caps:\n    identiy: 3\n", r"^r\.yaml:3: sample\.caps\.identiy is no column; did you mean identity\?$"),
        ("sample:\n  caps: {identity: 0}\n", r"^r\.yaml:2: sample\.caps\.identity is 0: input should be greater than or equal to 1$"),
        ("sample:\n  strata: [dataset, methd]\n", r"^r\.yaml:2: sample\.strata\.1 names 'methd', which is no column; did you mean method"),
        ("sample:\n  strata: [quality]\n", r"^r\.yaml:2: sample\.strata\.0 names quality, a column of numbers"),
        ("splits: {train: 0.8, dev: 0.2, test: 0.2}\n", r"^r\.yaml:1: splits: train, dev and test add up to 1\.2; they must add up to 1$"),
        ("sample:\n  per_stratum: {min: 5, max: 2}\n", r"^r\.yaml:2: sample\.per_stratum: min \(5\) must not be above max \(2\)$"),
        ("splits:\n  strata: [split]\n", r"^r\.yaml:2: splits\.strata\.0 names 'split', which is no column; did you mean off"),
        ("targets: {target_from: prediction}\nclips:\n  choose: hard\n", r"^r\.yaml:3: clips\.choose measures predictions against"),
        ("seed: 1\nseed: 2\n", r"^r\.yaml:2: seed stands twice; keep one of them$"),
        ("seed: 1\n  name: x\n", r"^r\.yaml:2: not valid YAML: mapping values are not allowed here$"),
        ("- seed\n", r"^r\.yaml:1: must be a mapping \(name, seed, targets"),
        ("name: ../up\n", r"^r\.yaml:1: name is '\.\./up': string should match pattern"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_with_its_place_and_the_nearest_right_one(text: str, message: str) -> None:
    with pytest.raises(ParamsError, match=message) as error:
        parse(text, "r.yaml")
    assert "\n" not in str(error.value)


def test_every_recipe_of_the_docs_is_right_and_every_column_is_in_them() -> None:
    text = DOCS.read_text(encoding="utf-8")
    recipes = [block.partition("```")[0] for block in text.split("```yaml\n")[1:]]
    assert len(recipes) >= 1
    for recipe in recipes:
        parse(recipe, "docs/curation.md")
    own = [name for name, column in COLUMNS.items() if column.about != "As in the inventory."]
    assert [name for name in own if f"`{name}`" not in text] == []


def test_every_key_is_in_the_docs() -> None:
    text = DOCS.read_text(encoding="utf-8")
    sections = [CurationRecipe.model_fields[name].annotation for name in ("targets", "clips", "duplicates", "splits", "sample")]
    keys = [key for section in sections for key in getattr(section, "model_fields", {})]
    assert [key for key in keys if f"`{key}`" not in text and f" {key}:" not in text] == []
