"""Adapter: the only module that imports py-feat. Its networks, made from files that are here; nothing is ever downloaded."""

from __future__ import annotations

import types
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from schemas.au import AU_NAMES
from schemas.errors import CheckpointError
from schemas.tables import NUM_POINTS
from stages.pyfeat.as_found import as_found

NARROW_PX = 112
"""Side of the chips of landmarks and classifiers: the box, 1.2 times as large, squeezed into a square."""
SQUARE_PX = 256
"""Side of the chips of the multitask network: the square around the box, 1.2 times as large."""
MARGIN = 1.2

_TRUSTED = {
    "feat.au_detectors.StatLearning.SL_test.SVMClassifier",
    "feat.au_detectors.StatLearning.SL_test.XGBClassifier",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
}
"""What a `.skops` file of classifiers holds besides scikit-learn's own. py-feat trusts whatever is in it, and that could run anything."""


class FaceNet:
    """RetinaFace: boxes of the faces in pictures.

    Raises:
        CheckpointError: the file holds something else.
    """

    def __init__(self, weights: Path, device: str, min_score: float) -> None:
        with as_found():
            from feat.face_detectors.Retinaface.Retinaface_test import Retinaface

            self._net: Any = Retinaface(device=torch.device(device), detection_threshold=min_score, pretrained="no")
            _load(self._net.net, _safetensors(weights), weights)

    def __call__(self, pictures: Tensor) -> list[NDArray[np.float32]]:
        """pictures (B, 3, H, W) uint8; for each (N, 5): left, top, right, bottom in pixels, score; strongest first."""
        with torch.inference_mode():
            found = self._net(pictures.to(self._net.device).float())
        return [np.asarray(one, np.float32).reshape(-1, 5) for one in found]


class LandmarkNet:
    """MobileFaceNet: the 68 points of a face.

    Raises:
        CheckpointError: the file holds something else.
    """

    def __init__(self, weights: Path, device: str) -> None:
        with as_found():
            from feat.landmark_detectors.mobilefacenet_test import MobileFaceNet

            self._device = torch.device(device)
            net: Any = MobileFaceNet([NARROW_PX, NARROW_PX], 2 * NUM_POINTS, device=self._device)
            try:
                state = torch.load(weights, map_location="cpu", weights_only=True)["state_dict"]
            except Exception as error:  # noqa: BLE001 - a pickle of anything can fail in any way
                raise CheckpointError(f"{weights}: can't be read as weights ({_one_line(error)})") from None
            _load(net, state, weights)
            self._net = net.to(self._device).eval()

    def __call__(self, chips: Tensor) -> Tensor:
        """chips (N, 3, 112, 112) in [0, 1]; (N, 136): x0, y0, x1, y1, ... in sides of the chip."""
        with torch.inference_mode():
            points: Tensor = self._net(chips.to(self._device))[0]
        return points


class Classifiers:
    """Twenty classifiers on HOG features of the masked face and its points: trees (`xgb`) or linear ones (`svm`).

    Raises:
        CheckpointError: the file holds something else, or something that could run code.
    """

    def __init__(self, variant: Literal["xgb", "svm"], weights: Path, device: str) -> None:
        with as_found():
            from feat.au_detectors.StatLearning.SL_test import SVMClassifier, XGBClassifier
            from feat.utils.image_operations import HOGLayer

            self._device = torch.device(device)
            loaded = _trusted(weights)
            self._model: Any = XGBClassifier() if variant == "xgb" else SVMClassifier()
            parts = [f"{kind}_{part}" for part in ("upper", "lower", "full") for kind in ("scaler", "pca_model")]
            try:
                self._model.load_weights(classifiers=loaded.classifiers, **{part: getattr(loaded, part) for part in parts})
                if variant == "xgb":
                    for one in loaded.classifiers.values():  # the file says how many threads its maker had
                        one.get_booster().set_param({"nthread": torch.get_num_threads()})
            except AttributeError as error:
                raise CheckpointError(f"{weights}: does not hold classifiers of variant {variant} ({_one_line(error)})") from None
            self._hog: Any = HOGLayer(
                orientations=8,
                pixels_per_cell=8,
                cells_per_block=2,
                block_normalization="L2-Hys",
                feature_vector=True,
                device=self._device,
            ).to(self._device)

    def __call__(self, chips: Tensor, points: Tensor) -> NDArray[np.float32]:
        """Action units of N faces.

        Args:
            chips: (N, 3, 112, 112) in [0, 1].
            points: (N, 136), as `LandmarkNet` gives them.

        Returns:
            (N, 20), columns as `AU_NAMES`; NaN where the points are no face: not finite, or all on one line.
        """
        aus = np.full((len(chips), len(AU_NAMES)), np.nan, np.float32)
        usable = np.flatnonzero(torch.isfinite(points).all(1).cpu().numpy())
        if len(usable) == 0:
            return aus
        try:
            aus[usable] = self._judge(chips[usable], points[usable])
        except _no_face() as error:  # of one face, and py-feat would lose the whole batch for it
            if len(usable) == 1:
                return aus
            del error
            for i in usable:
                aus[i] = self(chips[i : i + 1], points[i : i + 1])[0]
        return aus

    def _judge(self, chips: Tensor, points: Tensor) -> NDArray[np.float32]:
        from feat.utils.face_mask import extract_hog_features_batched

        with torch.inference_mode():
            features, aligned = extract_hog_features_batched(chips.to(self._device), points.to(self._device), hog_layer=self._hog)
        return np.asarray(self._model.detect_au(frame=features, landmarks=[aligned]), np.float32)


class MultitaskNet:
    """py-feat's multitask network, of which the action units are kept, and the features that they are read from, averaged over the chip.

    Raises:
        CheckpointError: the file holds something else.
    """

    def __init__(self, weights: Path, device: str) -> None:
        with as_found():
            from feat.multitask.inference import MultitaskModel

            if weights.suffix != ".safetensors":
                raise CheckpointError(f"{weights}: must be a .safetensors file; pickles can run code and are not opened")
            try:
                self._model: Any = MultitaskModel(device=torch.device(device), weights_path=str(weights))
            except Exception as error:  # noqa: BLE001 - configuration and weights come from the file
                raise CheckpointError(f"{weights}: is not a multitask network of py-feat ({_one_line(error)})") from None
        names = list(self._model.au_names)
        self._columns = [names.index(au) if au in names else None for au in AU_NAMES]
        self._features: list[Tensor] = []
        self._model.model.proj.register_forward_hook(self._keep)

    def __call__(self, chips: Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """chips (N, 3, 256, 256) in [0, 1]; aus (N, 20), NaN for what the network lacks, and features (N, D)."""
        with torch.inference_mode():
            answer = self._model(chips)
        features = self._features.pop()
        nothing = np.full(len(chips), np.nan, np.float32)
        aus = np.stack([nothing if column is None else answer.au[:, column] for column in self._columns], axis=1)
        return aus, features.float().cpu().numpy()

    def _keep(self, _module: object, _inputs: object, places: Tensor) -> None:
        self._features = [places.mean((-2, -1))]  # (N, D)


def narrow_chips(pictures: Tensor, boxes: Tensor, picture_of: Tensor) -> Tensor:
    """Chips of `LandmarkNet` and `Classifiers`, black where the box leaves the picture.

    Args:
        pictures: (B, 3, H, W) in [0, 1].
        boxes: (N, 4) float32, left, top, right, bottom in pixels.
        picture_of: (N,) which picture each box is in.
    """
    from feat.utils.image_operations import extract_face_from_bbox_torch

    with torch.inference_mode():
        chips: Tensor = extract_face_from_bbox_torch(pictures, boxes, face_size=NARROW_PX, expand_bbox=MARGIN, frame_idx=picture_of)[0]
    return chips


def square_chips(pictures: Tensor, boxes: Tensor, picture_of: Tensor) -> Tensor:
    """Chips of `MultitaskNet`, mirrored where the square leaves the picture; arguments as `narrow_chips`."""
    from feat.utils.image_operations import extract_face_square_pad_torch

    with torch.inference_mode():
        chips: Tensor = extract_face_square_pad_torch(pictures, boxes, face_size=SQUARE_PX, expand_bbox=MARGIN, frame_idx=picture_of)[0]
    return chips


def _no_face() -> tuple[type[Exception], ...]:
    """What py-feat raises where points lie on a line, or all in one place."""
    from scipy.spatial import QhullError

    return QhullError, torch.linalg.LinAlgError  # type: ignore[attr-defined]


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged or not a safetensors file ({_one_line(error)})") from None


def _load(net: torch.nn.Module, state: dict[str, Tensor], path: Path) -> None:
    try:
        net.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: holds the weights of another network ({_one_line(error)})") from None


def _trusted(path: Path) -> Any:
    import skops.io

    try:
        kinds: Sequence[str] = skops.io.get_untrusted_types(file=path)
        strange = [kind for kind in kinds if kind not in _TRUSTED and not kind.startswith("sklearn.")]
        if strange:
            raise CheckpointError(f"{path}: holds {', '.join(strange)}, which classifiers do not need and which could run code; not opened")
        return skops.io.load(path, trusted=list(kinds))
    except (zipfile.BadZipFile, KeyError, OSError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: damaged or not a .skops file ({_one_line(error)})") from None


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}..."


def _import() -> types.ModuleType:
    with as_found():
        import feat

        return feat


_import()
