from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipelines import sandbox
from pipelines.compare import compare_backends, with_settings
from pipelines.view import COMPARISON_NAME
from pipelines.workspace import Workspace
from schemas.au import AU_NAMES
from schemas.errors import ParamsError
from schemas.params import DecodeParams, PipelineParams, validate
from stages.action_units import UNSEEN
from stages.decoding import Damage, scan_video
from stages.encoding import write_mp4
from tests.conftest import SINGLE_FACE
from tests.pyfeat_weights import FILES, _multitask


def test_a_word_is_a_backend_and_the_rest_are_settings() -> None:
    params = with_settings(PipelineParams(), "mesh, faces.detect_every_ticks=2,fau.neutral_max_yaw_deg=12.5", "--a")
    assert (params.faces.backend, params.faces.detect_every_ticks, params.fau.neutral_max_yaw_deg) == ("mesh", 2, 12.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("score.device=cpu", "'score.device=cpu' is not a setting of faces or fau"),
        ("faces.detect_evry_ticks=2", "did you mean faces.detect_every_ticks"),
        ("faces.detect_every_ticks=0", "faces.detect_every_ticks is 0"),
        ("mash", "faces.backend is 'mash'"),
    ],
)
def test_a_wrong_setting_is_named(text: str, said: str) -> None:
    with pytest.raises(ParamsError, match=rf"--b: .*{said}"):
        with_settings(PipelineParams(), text, "--b")


def test_the_same_side_twice_is_no_comparison(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="are the same faces and fau parameters"):
        compare_backends(Workspace(tmp_path, PipelineParams()), "mesh", "faces.detect_every_ticks=5", 1, None)


@pytest.mark.slow
def test_two_detector_strides_on_a_real_clip(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "archive").mkdir()
    shutil.copy(SINGLE_FACE.path, tmp_path / "archive")
    (tmp_path / "archive" / "broken.mp4").write_bytes(SINGLE_FACE.path.read_bytes()[:2000])
    root = tmp_path / "work"
    root.mkdir()
    raw = {"archive": {"uri": str(tmp_path / "archive")}, "engine": {"name": "local", "workers": 1}}
    workspace = Workspace(root, validate(raw, "test"))
    found = compare_backends(workspace, "mesh", "faces.detect_every_ticks=25", 8, tmp_path / "own.json")
    assert found["videos"] == 1 and found["frames"] == SINGLE_FACE.frames
    # The mesh follows the face between detections: nearly the same boxes, and the same action units.
    assert found["faces"]["recall_of_a"] > 0.95 and found["faces"]["mean_iou"] > 0.8
    assert found["aus"]["AU12"]["pearson"] > 0.5
    assert all(found[side]["speed"][step] > 0 for side in "ab" for step in ("faces", "fau"))
    written = (root / "reports" / COMPARISON_NAME).read_text()
    assert json.loads(written) == found == json.loads((tmp_path / "own.json").read_text())
    assert not (root / "data").exists() and not (root / "store").exists()  # the labels have nothing to do with it
    again = compare_backends(workspace, "mesh", "faces.detect_every_ticks=25", 8, None)
    assert again == found  # what is known is taken over, its speed with it
    assert "nothing new" in capfd.readouterr().err


@pytest.mark.slow
def test_mesh_beside_pyfeat_on_made_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through registry, folder, sandbox and store; what made weights say of a real face is nonsense, but it is the same twice."""
    repository, file = FILES["pyfeat-multitask"]
    (tmp_path / "weights" / repository).mkdir(parents=True)
    _multitask(tmp_path / "weights" / repository / file)
    source = {"repository": repository, "file": file, "revision": None}
    entry = {"purpose": "tests", "licence": "ours", "commercial": "yes", "page": "https://example.org", "source": source}
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump({"weights": {"pyfeat-multitask": entry}}))
    monkeypatch.setenv("FAUSCAN_REGISTRY", str(tmp_path / "registry.yaml"))
    monkeypatch.setenv("FAUSCAN_MODELS", str(tmp_path / "weights"))
    sandbox._close_idle()  # those of other tests have the environment of their day
    (tmp_path / "archive").mkdir()
    write_mp4(tmp_path / "archive" / "face.mp4", short_face(), None, 16_000)
    (tmp_path / "work").mkdir()
    workspace = Workspace(
        tmp_path / "work", validate({"archive": {"uri": str(tmp_path / "archive")}, "engine": {"name": "local", "workers": 1}}, "test")
    )
    found = compare_backends(workspace, "mesh", "fau.backend=pyfeat,fau.variant=multitask,fau.device=cpu", 1, None)
    assert found["faces"]["recall_of_a"] == found["faces"]["recall_of_b"] == 1.0  # the same faces: action units differ
    assert found["aus"].keys() == set(AU_NAMES)
    assert {au for au, row in found["aus"].items() if row["pairs"] == 0} == set(UNSEEN)
    assert found["aus"]["AU12"]["pairs"] == found["faces"]["matched"] > 0
    sandbox._close_idle()


def short_face() -> Iterator[tuple[int, np.ndarray]]:
    """Twelve frames."""
    for frame in itertools.islice(scan_video(SINGLE_FACE.path, 0, 0, DecodeParams(), Damage()), 12):
        yield frame.index * 40_000, frame.rgb()
