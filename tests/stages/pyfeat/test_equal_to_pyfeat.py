"""What our batches say of a video's faces is what py-feat's own detectors say of the same frames."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from schemas.au import AU_NAMES
from schemas.params import DecodeParams, FaceParams, FauParams
from stages.contract import StageResult
from stages.decoding import Damage, scan_video
from stages.encoding import write_mp4
from stages.faces import Faces
from tests.conftest import inventory_row, media
from tests.pyfeat_weights import pyfeat_reads_from, spots

pytestmark = pytest.mark.slow

# Two faces; the second leaves the picture to the right, the first one's chips reach out of it at the left.
_PLACES: list[list[tuple[float, float]]] = [[(62 + i, 105 - i), (245 + 4 * i, 112)] for i in range(6)] + [[(68, 99)], []]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "spots.mp4"
    write_mp4(path, ((i * 40_000, spots(places)) for i, places in enumerate(_PLACES)), None, 16_000)
    return path


@pytest.fixture(scope="module")
def frames(video: Path) -> torch.Tensor:
    rgb = [frame.rgb() for frame in scan_video(video, 0, 0, DecodeParams(), Damage())]
    return torch.from_numpy(np.stack(rgb)).permute(0, 3, 1, 2).contiguous()


@pytest.fixture(scope="module")
def seen(video: Path, weights: dict[str, Path]) -> StageResult:
    from stages.pyfeat.observer import PyfeatObserver

    params = FaceParams(backend="pyfeat", device="cpu")
    observer = PyfeatObserver(params, weights["pyfeat-retinaface"], weights["pyfeat-mobilefacenet"])
    return Faces(DecodeParams(), params, observer)(inventory_row(video), media(video))


def theirs(variant: str, folder: Path, frames: torch.Tensor) -> Any:
    import feat

    with pyfeat_reads_from(folder), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that RetinaFace knows no pose
        if variant == "multitask":
            detector = feat.Detectorv2(device="cpu", identity_model=None)
        else:
            detector = feat.Detectorv1(au_model=variant, emotion_model=None, identity_model=None, gaze_model=None, device="cpu")
        answer = detector.detect(frames, data_type="tensor", batch_size=4, progress_bar=False)
    torch.set_grad_enabled(True)  # making a RetinaFace turns gradients off
    return answer


def ours(variant: str, seen: StageResult, weights: dict[str, Path], batch_faces: int = 5) -> StageResult:
    from stages.pyfeat.fau import PyfeatFau

    params = FauParams(
        backend="pyfeat",
        variant=variant,
        embedding="multitask" if variant == "multitask" else "none",
        batch_faces=batch_faces,
        device="cpu",
    )
    return PyfeatFau(params, weights)(seen.rows, seen.side["patches"])


def units(table: pa.Table) -> np.ndarray:
    return np.stack([table[au].to_numpy(zero_copy_only=False) for au in AU_NAMES], axis=1)


@pytest.mark.parametrize("variant", ["xgb", "svm", "multitask"])
def test_action_units_equal_detect_on_the_same_frames(
    variant: str, seen: StageResult, weights: dict[str, Path], weights_folder: Path, frames: torch.Tensor
) -> None:
    table = theirs(variant, weights_folder, frames).dropna(subset=["FaceScore", "AU01"])
    mine = units(ours(variant, seen, weights).rows)
    rows = seen.rows.to_pylist()
    matched = []
    for i, row in enumerate(rows):
        here = table[table["frame"] == row["frame_index"]]
        centre = (np.array(row["box"][:2]) + row["box"][2:]) / 2
        middle = here[["FaceRectX", "FaceRectY"]].to_numpy() + here[["FaceRectWidth", "FaceRectHeight"]].to_numpy() / 2
        j = int(np.abs(middle - centre).max(1).argmin())
        assert np.abs(middle[j] - centre).max() < 1.01  # theirs is rounded
        matched.append((row["frame_index"], j))
        # Equal to the bit when batches are equal, too; here they differ, and sums in another order differ in the last digits.
        np.testing.assert_allclose(mine[i], here[list(AU_NAMES)].to_numpy()[j], atol=2e-5)
    assert len(set(matched)) == len(rows) == len(table) == 13
    assert len(np.unique(mine.round(3), axis=0)) > 3, "weights that say the same of every face would prove nothing"


def test_a_face_has_points_pose_a_patch_and_no_mesh(seen: StageResult) -> None:
    assert seen.rows["landmarks"].null_count == seen.rows.num_rows
    assert seen.side["patches"].select(["content_id", "track", "tick"]).equals(seen.rows.select(["content_id", "track", "tick"]))
    assert seen.rows["track"].to_pylist() == [0] * 6 + [1] * 7 or seen.rows["track"].to_pylist() == [0] * 7 + [1] * 6
    assert np.isfinite(seen.rows["yaw_deg"].to_numpy()).all()
    assert min(seen.rows["presence"].to_pylist()) > 0.5


def test_answers_do_not_depend_on_the_batch(seen: StageResult, weights: dict[str, Path]) -> None:
    one, many = (units(ours("xgb", seen, weights, size).rows) for size in (1, 64))
    np.testing.assert_allclose(one, many, atol=2e-5)


def test_the_embedding_is_one_vector_per_face_and_tick(seen: StageResult, weights: dict[str, Path]) -> None:
    result = ours("multitask", seen, weights)
    features = np.array(result.side["fau_features"]["features"].to_pylist())
    assert features.shape == (seen.rows.num_rows, 64)
    assert np.isfinite(features).all() and features.std(0).max() > 0
    assert "fau_features" not in ours("xgb", seen, weights).side


def test_a_repeated_frame_is_looked_at_once_and_answered_everywhere(
    seen: StageResult, weights: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from stages.pyfeat import fau

    looked: list[int] = []
    real = fau.chips_of
    monkeypatch.setattr(fau, "chips_of", lambda patches, *rest: (looked.append(len(patches)), real(patches, *rest))[1])
    twice = StageResult(pa.concat_tables([seen.rows, seen.rows]))
    twice.side["patches"] = pa.concat_tables([seen.side["patches"], seen.side["patches"]])
    whole = units(ours("svm", twice, weights).rows)
    assert sum(looked) == seen.rows.num_rows
    np.testing.assert_array_equal(whole[: seen.rows.num_rows], whole[seen.rows.num_rows :])


def test_no_faces_no_rows(seen: StageResult, weights: dict[str, Path]) -> None:
    empty = StageResult(seen.rows.slice(0, 0))
    empty.side["patches"] = seen.side["patches"].slice(0, 0)
    result = ours("multitask", empty, weights)
    assert result.rows.num_rows == 0 and result.side["fau_features"].num_rows == 0
