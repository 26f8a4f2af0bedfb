from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipelines.forge_recipe import TEMPLATE, default_recipe_text, render_recipe
from schemas.errors import ParamsError
from schemas.recipe import ForgeRecipe, read_recipe


def test_the_template_holds_the_defaults_of_the_models() -> None:
    assert ForgeRecipe.model_validate(yaml.safe_load(default_recipe_text())) == ForgeRecipe()
    assert TEMPLATE.read_text(encoding="utf-8") == render_recipe(ForgeRecipe())


def test_no_file_is_the_default_and_an_empty_one_too(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("", encoding="utf-8")
    assert read_recipe(None) == read_recipe(tmp_path / "empty.yaml") == ForgeRecipe()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kinds: {face_swop: 1}", r"kinds\.face_swop is not a parameter; did you mean kinds\.face_swap\?"),
        ("take: 2", r"take is not a parameter; did you mean takes\?"),
        ("kinds: {desync: -1}", r"kinds\.desync is -1: input should be greater than or equal to 0"),
        ("spans: {min_s: 2}", r"spans\.min_s \(2\) must not be above spans\.max_s \(1\.6\)"),
        ("desync_ms: [10, 640]", r"desync_ms is \[10, 640\]; use \[least, most\] with 40 <= least"),
        ("encoding: {crf: [30, 20]}", r"encoding\.crf is \[30, 20\]; use"),
        ("encoding: {audio_rates_hz: [44000]}", r"encoding\.audio_rates_hz has 44000; use values of 8000, 11025"),
        ("encoding: {gop_frames: []}", r"encoding\.gop_frames is empty"),
        ("splits: {test: 0.5}", r"splits add up to 1\.25; train, dev and test must add up to 1"),
        ("kinds: {self_blend: 0, face_swap: 0, mouth_replay: 0}", r"kinds\.both needs a visual kind"),
        ("identity: name", r"identity is 'name': input should be 'face', 'folder' or 'file'"),
        ("[1, 2]", r"must be a mapping \(kinds, takes"),
        ("kinds: [", r"not valid YAML"),
    ],
)
def test_a_wrong_recipe_is_told_by_name(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "forge.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ParamsError, match=message) as wrong:
        read_recipe(path)
    assert "yaml:  " not in str(wrong.value)
    assert "alue error" not in str(wrong.value)


def test_a_missing_recipe_says_where_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"nope\.yaml: no such file; `fauscan forge --show-recipe`"):
        read_recipe(tmp_path / "nope.yaml")
