from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from pipelines.params_file import render
from schemas.errors import ParamsError
from schemas.params import PipelineParams, load

ROOT = Path(__file__).parents[2]


def write(folder: Path, text: str) -> Path:
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_committed_file_is_the_defaults_with_their_comments() -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert text == render(PipelineParams())
    assert PipelineParams.model_validate(yaml.safe_load(text)) == PipelineParams()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("faces: {detect_evry_ticks: 3}", "faces.detect_evry_ticks is not a parameter; did you mean faces.detect_every_ticks"),
        ("colour: 1", "colour is not a parameter; known: archive, dataset, store"),
        ("faces: {crop_px: 5000}", "faces.crop_px is 5000: input should be less than or equal to 512"),
        ("fau: {backend: openface}", "fau.backend is 'openface': input should be 'mesh' or 'pyfeat'"),
        (
            "faces: {backend: pyfeat}",
            "fau.backend is 'mesh', which reads the 468 points .* use fau.backend: pyfeat, or faces.backend: mesh",
        ),
        ("fau: {backend: pyfeat, embedding: true}", "fau.embedding is multitask, but the action units are 'pyfeat-xgb'; use .* multitask"),
        ("label: {fake_above: 0.3, real_below: 0.6}", "real_below .0.6. must not be above fake_above"),
        ("- a list", "must be a mapping"),
        ("faces: [", "not valid YAML"),
        ("faces: {crop_px: .nan}", "faces.crop_px is nan"),
        ("decode: {max_minutes: .inf}", "decode.max_minutes is inf: input should be a finite number"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_the_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ParamsError, match=message) as caught:
        load(write(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert "params.yaml" in str(caught.value)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="fauscan init"):
        load(tmp_path / "params.yaml")


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load(write(tmp_path, "")) == PipelineParams()


def test_parameters_are_frozen() -> None:
    with pytest.raises(ValidationError):
        PipelineParams().faces.crop_px = 200  # type: ignore[misc]


def test_every_parameter_survives_the_round_trip_through_the_file(tmp_path: Path) -> None:
    params = PipelineParams.model_validate({"faces": {"crop_format": "png"}, "label": {"fake_above": 0.7}, "archive": {"uri": "a: 'b' #c"}})
    assert load(write(tmp_path, render(params))) == params
