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
from stages.pyfeat.chips import NARROW

CPU_FACES = 8
"""Faces at a time on a CPU: what a layer leaves of more than that does not wait in the caches for the next one, and takes memory."""

_POINTS_AT_ONCE = 4
"""Faces of the landmark network at a time on a CPU: oneDNN keeps something for every number of faces that it has met, 250 MB in a crowd."""

_TRUSTED = {
    "feat.au_detectors.StatLearning.SL_test.SVMClassifier",
    "feat.au_detectors.StatLearning.SL_test.XGBClassifier",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
}
"""What a `.skops` file of classifiers holds besides what skops trusts by itself: scalers, PCA and LinearSVC are among that.

The published files (`_v2`) are what `skops.io.dump` writes of py-feat's own classes (its scripts/migrate_au_skops.py, pull request 273);
so are those that the tests make. The published ones themselves were not at hand. py-feat trusts whatever is in a file, and that could run
anything.
"""


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
        """pictures (B, 3, H, W) float32, 0 to 255; for each (N, 5): left, top, right, bottom in pixels, score; strongest first.

        Planes must be contiguous, and norms stay apart from convolutions: otherwise boxes move by thousandths of a pixel against
        py-feat's, for 2 % of the time.
        """
        with torch.inference_mode():
            found = self._net(pictures.contiguous())
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
            net: Any = MobileFaceNet([NARROW.px, NARROW.px], 2 * NUM_POINTS, device=self._device)
            try:
                state = torch.load(weights, map_location="cpu", weights_only=True)["state_dict"]
            except Exception as error:  # noqa: BLE001 - a pickle of anything can fail in any way
                raise CheckpointError(f"{weights}: can't be read as weights ({_one_line(error)})") from None
            _load(net, state, weights)
            self._net = net.to(self._device, memory_format=torch.channels_last).eval()  # the same bits, a quarter faster on a CPU

    def __call__(self, chips: Tensor) -> Tensor:
        """chips (N, 3, 112, 112) in [0, 1]; (N, 136): x0, y0, x1, y1, ... in sides of the chip."""
        with torch.inference_mode():
            near = chips.to(self._device, memory_format=torch.channels_last)
            return torch.cat([self._net(part)[0] for part in _parts(near, _POINTS_AT_ONCE)])


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
            parts = [
                extract_hog_features_batched(*part, hog_layer=self._hog)
                for part in zip(_parts(chips.to(self._device), CPU_FACES), _parts(points.to(self._device), CPU_FACES), strict=True)
            ]
        features, aligned = np.concatenate([part[0] for part in parts]), [row for part in parts for row in part[1]]
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


def _parts(faces: Tensor, on_cpu: int) -> list[Tensor]:
    """Slices of at most so many; on a GPU the whole."""
    at_once = on_cpu if faces.device.type == "cpu" else len(faces)
    return [faces[start : start + at_once] for start in range(0, len(faces), at_once)]


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
        strange = [kind for kind in kinds if kind not in _TRUSTED]
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
