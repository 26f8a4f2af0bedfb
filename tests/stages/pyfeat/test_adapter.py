from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from schemas.errors import CheckpointError

pytestmark = pytest.mark.slow  # py-feat's import


def test_files_that_hold_something_else_are_one_line(weights: dict[str, Path], tmp_path: Path) -> None:
    from stages.pyfeat.adapter import Classifiers, FaceNet, LandmarkNet, MultitaskNet

    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(b"no weights")
    for make in (
        lambda: FaceNet(wrong, "cpu", 0.5),
        lambda: FaceNet(weights["pyfeat-multitask"], "cpu", 0.5),
        lambda: LandmarkNet(wrong, "cpu"),
        lambda: Classifiers("xgb", wrong, "cpu"),
        lambda: MultitaskNet(wrong, "cpu"),
        lambda: MultitaskNet(weights["pyfeat-retinaface"], "cpu"),
    ):
        with pytest.raises(CheckpointError, match=r"wrong|multitask|model\.safetensors") as caught:
            make()
        assert "\n" not in str(caught.value)


def test_classifiers_that_could_run_code_are_not_opened(tmp_path: Path) -> None:
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    from stages.pyfeat.adapter import Classifiers

    path = tmp_path / "tampered.skops"
    skops.io.dump(FunctionTransformer(Path.unlink), path)
    with pytest.raises(CheckpointError, match="could run code; not opened"):
        Classifiers("xgb", path, "cpu")


def test_a_face_whose_points_lie_on_a_line_costs_itself_only(weights: dict[str, Path]) -> None:
    from stages.pyfeat.adapter import Classifiers
    from tests.pyfeat_weights import face_points

    good = torch.from_numpy(face_points().reshape(1, -1)).float()
    chips = torch.rand(4, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    points = torch.cat([good, torch.full((1, 136), 0.5), good * float("nan"), good])
    aus = Classifiers("svm", weights["pyfeat-svm"], "cpu")(chips, points)
    assert np.isnan(aus[1:3]).all() and np.isfinite(aus[[0, 3]]).all()


def test_what_the_network_lacks_is_unknown(weights: dict[str, Path]) -> None:
    from schemas.au import AU_NAMES
    from stages.pyfeat.adapter import MultitaskNet

    net = MultitaskNet(weights["pyfeat-multitask"], "cpu")
    net._columns[AU_NAMES.index("AU11")] = None
    aus, _ = net(torch.zeros(2, 3, 256, 256))
    assert np.isnan(aus[:, AU_NAMES.index("AU11")]).all() and np.isnan(aus).sum() == 2


def test_gradients_stay_on_while_networks_are_made(weights: dict[str, Path]) -> None:
    from stages.pyfeat.adapter import FaceNet

    FaceNet(weights["pyfeat-retinaface"], "cpu", 0.5)
    assert torch.is_grad_enabled()
