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
    from sklearn.tree import DecisionTreeClassifier

    from stages.pyfeat.adapter import Classifiers

    path = tmp_path / "tampered.skops"
    tree = DecisionTreeClassifier().fit([[0.0], [1.0]], [0, 1])  # scikit-learn's own, and reads anywhere in memory where it is told to
    for tampered in (FunctionTransformer(Path.unlink), tree):
        skops.io.dump(tampered, path)
        with pytest.raises(CheckpointError, match="could run code; not opened"):
            Classifiers("xgb", path, "cpu")


@pytest.mark.parametrize("variant", ["xgb", "svm"])
def test_classifiers_hold_no_more_than_is_trusted_and_all_of_that_is_met(variant: str, weights: dict[str, Path]) -> None:
    import skops.io

    from stages.pyfeat.adapter import _TRUSTED

    kinds = set(skops.io.get_untrusted_types(file=weights[f"pyfeat-{variant}"]))
    assert kinds == {kind for kind in _TRUSTED if variant.upper() in kind or (variant == "xgb" and kind.startswith("xgboost."))}


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


def test_boxes_and_points_are_those_of_pyfeat_to_the_bit(weights: dict[str, Path], tmp_path: Path) -> None:
    """On drawn weights: those that find spots are mostly zeros, which no order of sums can change."""
    from feat.face_detectors.Retinaface.Retinaface_model import RETINAFACE_R34_CFG, RetinaFace
    from feat.face_detectors.Retinaface.Retinaface_test import Retinaface
    from feat.landmark_detectors.mobilefacenet_test import MobileFaceNet
    from safetensors.torch import save_file

    from stages.pyfeat.adapter import FaceNet, LandmarkNet

    random = torch.Generator().manual_seed(0)
    stored = torch.randint(0, 256, (1, 96, 128, 3), generator=random, dtype=torch.uint8)  # as a decoder leaves it
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = RetinaFace(RETINAFACE_R34_CFG).train()
        with torch.no_grad():
            for _ in range(3):
                net(stored.permute(0, 3, 1, 2).float() - 115)  # norms learn what the layers put out
    path = tmp_path / "drawn.safetensors"
    save_file({name: v.contiguous() for name, v in net.state_dict().items()}, path)
    theirs = Retinaface(device="cpu", detection_threshold=0.3, pretrained="no")
    torch.set_grad_enabled(True)  # which the line above turned off
    theirs.net.load_state_dict(net.state_dict())
    wanted = np.float32(theirs(stored.permute(0, 3, 1, 2).contiguous())[0])
    found = FaceNet(path, "cpu", 0.3)(stored.permute(0, 3, 1, 2).float())[0]
    assert len(wanted) > 20 and len(np.unique(wanted[:, 4])) > 20
    np.testing.assert_array_equal(found, wanted)

    points = MobileFaceNet([112, 112], 136)
    points.load_state_dict(torch.load(weights["pyfeat-mobilefacenet"], weights_only=True)["state_dict"])
    chips = torch.rand(4, 3, 112, 112, generator=random)
    with torch.inference_mode():
        assert torch.equal(LandmarkNet(weights["pyfeat-mobilefacenet"], "cpu")(chips), points.eval()(chips)[0])
