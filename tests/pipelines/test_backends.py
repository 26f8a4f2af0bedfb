"""What the backends change in the chain: inputs, outputs, weights, fingerprints; and what is refused before any video is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines import chain
from pipelines.chain import Fingerprints, step_of
from pipelines.weights.needed import needed, require
from pipelines.workspace import Workspace
from schemas.errors import WeightsError
from schemas.params import PipelineParams

PYFEAT = {"faces": {"backend": "pyfeat"}, "fau": {"backend": "pyfeat"}}


def fingerprint(step: str, **sections: dict[str, Any]) -> str:
    return Fingerprints(Workspace(Path("nowhere"), PipelineParams.model_validate(sections))).of(step)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Digests of weights that are said to be there."""
    digests: dict[str, str] = {}
    monkeypatch.setattr(chain, "digest_of", lambda _, names: " ".join(digests.get(n, n) for n in names) or None)
    return digests


def test_parameters_of_pyfeat_do_not_make_mesh_tables_stale() -> None:
    assert fingerprint("fau") == fingerprint(
        "fau",
        faces={"patch_format": "jpeg", "batch_pictures": 2, "device": "cpu"},
        fau={"variant": "svm", "batch_faces": 3, "device": "cpu"},
    )


def test_variant_and_weights_are_in_the_fingerprint_device_and_batches_are_not(fetched: dict[str, str]) -> None:
    base = fingerprint("fau", **PYFEAT)
    assert base == fingerprint(
        "fau", faces=PYFEAT["faces"] | {"batch_pictures": 1}, fau=PYFEAT["fau"] | {"device": "cpu", "batch_faces": 7}
    )
    assert base != fingerprint("fau", faces=PYFEAT["faces"], fau=PYFEAT["fau"] | {"variant": "svm"})
    assert base != fingerprint("fau", faces=PYFEAT["faces"] | {"patch_format": "jpeg"}, fau=PYFEAT["fau"])
    fetched["pyfeat-xgb"] = "another file"
    assert base != fingerprint("fau", **PYFEAT)


def test_a_step_names_the_tables_and_weights_that_its_backend_needs() -> None:
    def of(step: str, **sections: dict[str, Any]) -> tuple[set[str], tuple[str, ...], set[str]]:
        found = step_of(step, PipelineParams.model_validate(sections))
        return set(found.outputs), found.models, {read.table for read in found.reads}

    assert of("fau") == ({"fau"}, (), {"faces"})
    assert of("faces", **PYFEAT) == ({"faces", "frames", "patches"}, ("pyfeat-mobilefacenet", "pyfeat-retinaface"), set())
    assert of("fau", **PYFEAT) == ({"fau"}, ("pyfeat-xgb",), {"faces", "patches"})
    assert of("fau", fau=PYFEAT["fau"]) == ({"fau"}, ("pyfeat-mobilefacenet", "pyfeat-xgb"), {"faces"})
    multitask = PYFEAT["fau"] | {"variant": "multitask", "embedding": "multitask"}
    assert of("fau", fau=multitask) == ({"fau", "fau_features"}, ("pyfeat-multitask",), {"faces"})


def test_weights_that_are_not_here_are_one_line_before_any_video(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FAUSCAN_MODELS", str(tmp_path))
    said = r"pyfeat-mobilefacenet, pyfeat-retinaface, pyfeat-xgb are not in .*run `fauscan models fetch .*a download of"
    with pytest.raises(WeightsError, match=said) as caught:
        require(tmp_path, needed(PipelineParams.model_validate(PYFEAT)))
    assert "\n" not in str(caught.value)


def test_the_backend_has_the_name_that_checkpoints_record() -> None:
    assert PipelineParams().fau.name == "mesh"
    assert PipelineParams.model_validate(PYFEAT).fau.name == "pyfeat-xgb"
