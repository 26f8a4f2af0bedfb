from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from schemas.au import AU_NAMES
from schemas.params import FaceParams, FauParams
from schemas.tables import FACES
from stages.contract import table_from_columns
from stages.face.crop import _STABLE, _TEMPLATE, cut_out
from stages.faces import encode_crop
from tests.pyfeat_weights import spots

pytestmark = pytest.mark.slow  # py-feat's import


def mesh_row(roll_deg: float) -> tuple[np.ndarray, dict[str, Any]]:
    """A picture with a spot, and a row of FACES as the mesh backend stores it: the head tilted, the crop upright in the head."""
    picture = spots([(160, 115)])
    turn = np.radians(roll_deg)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    mesh = np.zeros((468, 3), np.float32)
    mesh[:, :2] = [160, 115]
    mesh[list(_STABLE), :2] = (_TEMPLATE - [0, 0.47]) @ rotation.T * 70 + [160, 115]
    box = np.array([115, 55, 205, 165], np.float32)
    relative = (mesh[:, :2] - (box[:2] + box[2:]) / 2) / 110
    landmarks = np.concatenate([relative, np.zeros((468, 1))], axis=1).astype(np.float16).reshape(-1)
    crop = encode_crop(cut_out(picture, mesh, 160), FaceParams(crop_format="png"))
    return picture, {"box": box, "landmarks": landmarks, "crop": crop}


@pytest.mark.parametrize("roll_deg", [0.0, 25.0])
@pytest.mark.parametrize("kind", ["narrow", "square"])
def test_a_chip_from_a_crop_shows_what_the_picture_shows(kind: str, roll_deg: float, weights: dict[str, Path]) -> None:
    from stages.pyfeat.chips import NARROW, SQUARE, cut_chips
    from stages.pyfeat.crop_chips import chips_of_crops

    picture, row = mesh_row(roll_deg)
    cut = {"narrow": NARROW, "square": SQUARE}[kind]
    whole = torch.from_numpy(picture).permute(2, 0, 1).float() / 255
    wanted = cut_chips(whole, torch.from_numpy(row["box"])[None], cut).numpy()
    found = chips_of_crops([row], cut)
    assert found.shape == wanted.shape and found.dtype == np.float32
    middle = slice(wanted.shape[-1] // 4, 3 * wanted.shape[-1] // 4)  # corners may lie outside the crop
    assert np.abs(found - wanted)[..., middle, middle].mean() < 0.02
    shifted = np.abs(np.roll(found, 6, axis=-1) - wanted)[..., middle, middle].mean()
    assert shifted > 2 * np.abs(found - wanted)[..., middle, middle].mean()


@pytest.mark.parametrize("variant", ["xgb", "svm", "multitask"])
def test_crops_of_the_mesh_backend_have_action_units_too(variant: str, weights: dict[str, Path]) -> None:
    from stages.pyfeat.fau import PyfeatFau

    rows = [mesh_row(roll)[1] for roll in (0.0, 10.0)]
    columns: dict[str, Any] = {name: pa.nulls(2, FACES.field(name).type) for name in FACES.names}
    columns |= {name: [row[name] for row in rows] for name in ("box", "landmarks", "crop")}
    columns |= {"content_id": ["a", "b"], "track": [0, 0], "tick": [3, 4], "frame_index": [3, 4]}
    result = PyfeatFau(FauParams(backend="pyfeat", variant=variant, device="cpu"), weights)(table_from_columns(columns, FACES))
    units = np.stack([result.rows[au].to_numpy(zero_copy_only=False) for au in AU_NAMES], axis=1)
    assert np.isfinite(units).all() and (units >= 0).all() and (units <= 1).all()
    assert sorted(result.outcomes) == ["a", "b"]
