"""Weights of py-feat's architectures, made here: deterministic, in seconds, and good for made pictures only."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

FILES = {
    "pyfeat-retinaface": ("py-feat/retinaface_r34", "model.safetensors"),
    "pyfeat-mobilefacenet": ("py-feat/mobilefacenet", "mobilefacenet_model_best.pth.tar"),
    "pyfeat-xgb": ("py-feat/xgb_au", "xgb_au_classifier_v2.skops"),
    "pyfeat-svm": ("py-feat/svm_au", "svm_au_classifier_v2.skops"),
    "pyfeat-multitask": ("py-feat/face_multitask_v2", "face_multitask_v28.safetensors"),
}
"""By their name in the registry: the hub's repository and file, which py-feat's own detectors look for."""

_REVISION = "f" * 40
_SEED = 20260608


def make_all(folder: Path, bright: float = 60.0) -> dict[str, Path]:
    """Every file, laid out as the hub's client caches them below `folder`, which py-feat can be pointed at.

    Args:
        folder: made if it is not there.
        bright: grey levels above the detector's mean (about 115) that mean a face.
    """
    paths = {}
    for name, (repository, file) in FILES.items():
        root = folder / f"models--{repository.replace('/', '--')}"
        (root / "refs").mkdir(parents=True, exist_ok=True)
        (root / "refs" / "main").write_text(_REVISION, encoding="utf-8")
        paths[name] = root / "snapshots" / _REVISION / file
        paths[name].parent.mkdir(parents=True, exist_ok=True)
    _retinaface(paths["pyfeat-retinaface"], bright)
    _mobilefacenet(paths["pyfeat-mobilefacenet"])
    for variant in ("xgb", "svm"):
        _classifiers(paths[f"pyfeat-{variant}"], variant)
    _multitask(paths["pyfeat-multitask"])
    return paths


def face_points() -> np.ndarray:
    """(68, 2) in sides of a chip: py-feat's own neutral face, with a margin."""
    import feat
    from numpy import loadtxt

    table = loadtxt(Path(feat.__file__).parent / "resources" / "neutral_face_coordinates.csv", delimiter=",", skiprows=1)[:68]
    low, high = table.min(0), table.max(0)
    return 0.15 + 0.7 * (table - low) / (high - low)


def _retinaface(path: Path, bright: float) -> None:
    """A bright spot is a face: the mean grey travels through channel 0 of every layer to the class head of the 128 px anchors."""
    from feat.face_detectors.Retinaface.Retinaface_model import RETINAFACE_R34_CFG, RetinaFace

    net = RetinaFace(RETINAFACE_R34_CFG)
    state = {name: torch.zeros_like(v) if v.ndim == 4 else v for name, v in net.state_dict().items()}
    state["body.conv1.weight"][0] = 1 / (3 * 7 * 7)
    for name, weight in state.items():
        through = ("downsample.0.weight" in name) or (name.startswith("fpn.output") and weight.ndim == 4)
        centre = (name.startswith("fpn.merge") and weight.ndim == 4) or name.endswith("conv3X3.0.weight")
        if through:
            weight[0, 0, 0, 0] = 1.0
        elif centre:
            weight[0, 0, 1, 1] = 1.0
    for level, sizes in enumerate(RETINAFACE_R34_CFG["min_sizes"]):
        weight, bias = state[f"ClassHead._convs.{level}.weight"], state[f"ClassHead._convs.{level}.bias"]
        box = state[f"BboxHead._convs.{level}.weight"], state[f"BboxHead._convs.{level}.bias"]
        landmark = state[f"LandmarkHead._convs.{level}.bias"]
        weight.zero_(), bias.zero_(), box[0].zero_(), box[1].zero_(), landmark.zero_()
        for anchor, size in enumerate(sizes):
            bias[2 * anchor + 1] = -40.0
            if size == 128:
                # The pyramid adds the coarser level to this one, so the spot arrives twice.
                weight[2 * anchor + 1, 0], bias[2 * anchor + 1] = 0.1, -0.2 * bright
                box[0][4 * anchor + 2 : 4 * anchor + 4, 0] = torch.tensor([0.004, 0.009])[
                    :, None, None
                ]  # a brighter spot is larger, and taller
    save_file({name: v.contiguous() for name, v in state.items()}, path)


def _mobilefacenet(path: Path) -> None:
    """The same face in every chip, trembling a little with what is in it."""
    from feat.landmark_detectors.mobilefacenet_test import MobileFaceNet

    generator = torch.Generator().manual_seed(_SEED)
    net = MobileFaceNet([112, 112], 136)
    state = net.state_dict()
    for name, v in state.items():
        if v.ndim >= 2:
            state[name] = torch.randn(v.shape, generator=generator) * (2 / v[0].numel()) ** 0.5
    state["output_layer.bn.weight"] = torch.full((136,), 0.002)
    state["output_layer.bn.bias"] = torch.from_numpy(face_points().reshape(-1)).float()
    torch.save({"state_dict": state}, path)


def _classifiers(path: Path, variant: str) -> None:
    """Each action unit asks whether one component of the HOG features, or one landmark, is above a value that is often met."""
    import skops.io
    import xgboost
    from feat.au_detectors.StatLearning.SL_test import SVMClassifier, XGBClassifier
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    hogs, points = _features()
    scaler = StandardScaler().fit(hogs)
    pca = PCA(6, svd_solver="full").fit(scaler.transform(hogs))
    components = pca.transform(scaler.transform(hogs))
    inputs = np.concatenate([components, points], axis=1)
    classifiers = {}
    for i, au in enumerate(XGBClassifier().au_keys):
        column = i % 6 if i % 4 else 6 + i
        level = np.quantile(inputs[:, column], 0.3 + 0.4 * i / 19)
        if variant == "xgb":
            truth = (inputs[:, column] > level).astype(int)
            classifiers[au] = xgboost.XGBClassifier(n_estimators=5, max_depth=3, n_jobs=1).fit(inputs, truth)
        else:
            line = LinearSVC()
            line.classes_, line.n_features_in_ = np.array([0, 1]), inputs.shape[1]
            line.coef_, line.intercept_ = np.eye(1, inputs.shape[1], column), np.array([-level])
            classifiers[au] = line
    parts = {f"{kind}_{part}": one for part in ("upper", "lower", "full") for kind, one in (("scaler", scaler), ("pca_model", pca))}
    whole = XGBClassifier() if variant == "xgb" else SVMClassifier()
    whole.load_weights(classifiers=classifiers, **parts)
    skops.io.dump(whole, path)


@functools.cache
def _features() -> tuple[np.ndarray, np.ndarray]:
    """(60, 5408) HOG features and (60, 136) landmarks of made faces, by py-feat's own code: spots at many places and sizes."""
    from feat.utils.face_mask import extract_hog_features_batched

    rng = np.random.default_rng(_SEED)
    chips = []
    for _ in range(60):
        spot = spots([tuple(rng.uniform(140, 180, 2))], (320, 320))  # type: ignore[list-item]
        side = int(rng.integers(150, 260))
        left, top = rng.integers(30, 320 - side, 2)
        square = torch.from_numpy(spot[top : top + side, left : left + side]).permute(2, 0, 1)[None].float() / 255
        chips.append(torch.nn.functional.interpolate(square, (112, 112), mode="bilinear"))
    drawn = np.float32(face_points().reshape(1, -1) + rng.normal(0, 0.004, (60, 136)))
    hogs, aligned = extract_hog_features_batched(torch.cat(chips), torch.from_numpy(drawn))
    return hogs, np.stack(aligned).reshape(60, -1)


def _multitask(path: Path) -> None:
    """The architecture with the smallest backbone, all weights drawn."""
    from feat.multitask.model_v2 import MEGraphAUv2, ModelV2Config

    config = {
        "backbone": "convnextv2_atto", "n_au": 20, "n_emotion": 7, "n_blendshape": 52, "mesh_normalized": True,
        "use_head_v3": True, "drop_mefl": True, "emotion_use_au_prob": True, "gaze_eye_roi": True, "afg_channels": 64, "mefl_channels": 64,
    }  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        net: nn.Module = MEGraphAUv2(ModelV2Config(**config, pretrained=False))
    save_file({name: v.contiguous() for name, v in net.state_dict().items()}, path, metadata={"config": json.dumps(config)})


@contextlib.contextmanager
def pyfeat_reads_from(folder: Path) -> Iterator[None]:
    """py-feat's own detectors, made meanwhile, take their weights from what `make_all` laid out there, and nothing from the network."""
    import huggingface_hub.constants

    before = {
        name: module.get_resource_path
        for name, module in sys.modules.items()
        if name.startswith("feat.") and hasattr(module, "get_resource_path")
    }
    offline = huggingface_hub.constants.HF_HUB_OFFLINE
    for name in before:
        sys.modules[name].get_resource_path = lambda: str(folder)  # type: ignore[attr-defined]
    huggingface_hub.constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        huggingface_hub.constants.HF_HUB_OFFLINE = offline
        for name, original in before.items():
            sys.modules[name].get_resource_path = original  # type: ignore[attr-defined]


def spots(places: list[tuple[float, float]], size: tuple[int, int] = (224, 320)) -> np.ndarray:
    """(H, W, 3) uint8: a dark picture with a bright, structured spot at each place (x, y)."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float64)
    picture = np.full((*size, 3), 25.0)
    for cx, cy in places:
        bump = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 38.0**2))
        texture = 1 + 0.25 * np.sin((x - cx) / 7) * np.cos((y - cy) / 5)
        for channel, strength in enumerate((250, 235, 215)):
            picture[:, :, channel] = np.maximum(picture[:, :, channel], strength * bump * texture)
    return picture.clip(0, 255).astype(np.uint8)
