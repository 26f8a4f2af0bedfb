"""The fau stage: what moves an action unit, and what must not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from schemas.au import AU_NAMES
from schemas.params import DecodeParams, FaceParams, FauParams
from schemas.reasons import Outcome
from schemas.tables import FACES, FAU
from stages.action_units import BROWS, UNSEEN
from stages.fau import run, track_intensities

MEDIA = Path(__file__).parents[3] / "shared" / "media"
SEEN = [name for name in AU_NAMES if name not in UNSEEN]

# A few true places of the MediaPipe face, in outer-eye-corner distances, so that the head's axes and the lips make sense.
_PLACES = {
    10: (0, -0.75, -0.15), 152: (0, 1.07, -0.05), 33: (-0.5, -0.13, 0.07), 263: (0.5, -0.13, 0.07), 133: (-0.2, -0.12, 0.01),
    362: (0.2, -0.12, 0.01), 168: (0, -0.2, -0.17), 6: (0, -0.12, -0.23), 197: (0, -0.05, -0.29), 195: (0, 0.02, -0.36),
    5: (0, 0.09, -0.43), 4: (0, 0.17, -0.46), 1: (0, 0.24, -0.45), 2: (0, 0.32, -0.29), 127: (-0.75, -0.07, 0.61),
    356: (0.75, -0.07, 0.61), 234: (-0.74, 0.08, 0.64), 454: (0.74, 0.08, 0.64), 0: (0, 0.45, -0.28), 17: (0, 0.75, -0.2),
    13: (0, 0.52, -0.25), 14: (0, 0.53, -0.25), 82: (-0.05, 0.52, -0.24), 312: (0.05, 0.52, -0.24), 87: (-0.05, 0.53, -0.24),
    317: (0.05, 0.53, -0.24), 61: (-0.35, 0.53, -0.03), 291: (0.35, 0.53, -0.03),
    159: (-0.36, -0.18, -0.02), 386: (0.36, -0.18, -0.02), 160: (-0.42, -0.17, 0), 387: (0.42, -0.17, 0),
    158: (-0.3, -0.17, 0), 385: (0.3, -0.17, 0), 145: (-0.36, -0.09, -0.01), 374: (0.36, -0.09, -0.01),
    144: (-0.42, -0.1, 0), 373: (0.42, -0.1, 0), 153: (-0.3, -0.1, 0), 380: (0.3, -0.1, 0),
}  # fmt: skip
LIDS = ((160, 159, 158, 387, 386, 385), (144, 145, 153, 373, 374, 380))
LOWER_LIP_AND_CHIN = (17, 14, 87, 317, 152)


def track(num_ticks: int, seed: int = 0, tremble: float = 0.004) -> NDArray[np.float64]:
    """(T, 468, 3) a trembling face at rest."""
    rng = np.random.default_rng(seed)
    face = rng.normal(0, 0.3, (468, 3))
    for landmark, place in _PLACES.items():
        face[landmark] = place
    return np.asarray(face + rng.normal(0, tremble, (num_ticks, 468, 3)))


def aus(meshes: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    return dict(zip(AU_NAMES, track_intensities(meshes, np.zeros(len(meshes)), 30.0).T, strict=True))


def changed(before: NDArray[np.float64], after: NDArray[np.float64]) -> set[str]:
    """Action units that differ in any tick."""
    a, b = aus(before), aus(after)
    return {name for name in SEEN if np.abs(a[name] - b[name]).max() > 1e-6}


def table(meshes: NDArray[np.float64], content_id: str = "a", number: int = 0) -> pa.Table:
    rows = {name: pa.nulls(len(meshes), kind) for name, kind in zip(FACES.names, FACES.types, strict=True)}
    rows["content_id"] = pa.array([content_id] * len(meshes))
    rows["track"] = pa.array([number] * len(meshes), pa.int16())
    rows["tick"] = pa.array(range(len(meshes)), pa.int32())
    rows["yaw_deg"] = pa.array(np.zeros(len(meshes), np.float32))
    rows["landmarks"] = pa.FixedSizeListArray.from_arrays(pa.array((meshes / 2).astype(np.float16).reshape(-1)), 468 * 3)
    return pa.table(rows, schema=FACES)


def rotations(num: int, rng: np.random.Generator) -> NDArray[np.float64]:
    q, _ = np.linalg.qr(rng.normal(size=(num, 3, 3)))
    return np.asarray(q * np.linalg.det(q)[:, None, None])  # det -1 times a 3 x 3 of odd size turns it into a rotation


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), size=st.floats(1e-3, 1e3), far=st.floats(0, 100))
def test_turning_scaling_and_moving_every_tick_differently_changes_nothing(seed: int, size: float, far: float) -> None:
    rng = np.random.default_rng(seed)
    before = track(12, seed=seed, tremble=0.02)
    turned = before @ rotations(12, rng) * size * rng.uniform(0.5, 2, (12, 1, 1))
    assert changed(before, turned + far * size * rng.normal(size=(12, 1, 3))) == set()


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), height=st.floats(0.02, 0.2), turn=st.booleans())
def test_raising_the_brows_raises_the_two_brow_units_and_nothing_else(seed: int, height: float, turn: bool) -> None:
    before = track(40, seed=seed)
    after = before.copy()
    after[:10, sorted(BROWS), 1] -= height
    if turn:
        after = after @ rotations(1, np.random.default_rng(seed))[0]
    assert changed(before, after) == {"AU01", "AU02"}
    for name in ("AU01", "AU02"):
        assert (aus(after)[name][:10] >= aus(before)[name][:10]).all()
        assert aus(after)[name][:10].mean() > aus(before)[name][:10].mean() + 0.1


def test_closing_the_lids_closes_the_eyes() -> None:
    meshes = track(40, tremble=0.001)
    upper, lower = LIDS
    meshes[5:9, upper, 1] = meshes[5:9, lower, 1]
    closed = aus(meshes)["AU43"]
    assert closed[5:9].min() > 0.9 and np.delete(closed, slice(5, 9)).max() < 0.2


def test_opening_the_jaw_parts_the_lips_and_drops_the_jaw() -> None:
    meshes = track(40, tremble=0.001)
    meshes[5:9, LOWER_LIP_AND_CHIN, 1] += 0.25
    after = aus(meshes)
    for name in ("AU25", "AU26"):
        assert after[name][5:9].min() > 0.9 and np.delete(after[name], slice(5, 9)).max() < 0.2
    assert after["AU17"][5:9].max() == after["AU24"][5:9].max() == 0


def test_a_dropping_chin_behind_closed_lips_parts_no_lips() -> None:
    meshes = track(40, tremble=0)
    meshes[5:9, 152, 1] += 0.2
    after = aus(meshes)
    assert after["AU26"][5:9].min() > 0.4 and after["AU25"].max() < 1e-6


def test_lip_corners_that_go_out_and_up_are_a_smile_and_no_stretch() -> None:
    meshes = track(40, tremble=0.001)
    meshes[5:9, (61, 291)] += np.array([[-0.1, -0.1, 0], [0.1, -0.1, 0]])
    after = aus(meshes)
    assert after["AU12"][5:9].min() > 0.8 and after["AU20"][5:9].max() < 0.1 and after["AU15"][5:9].max() == 0


def test_null_columns_are_the_documented_ones() -> None:
    rows = run(table(track(8)), FauParams()).rows
    assert rows.schema.equals(FAU, check_metadata=True)
    assert {name for name in AU_NAMES if rows[name].null_count} == set(UNSEEN)
    documented = (Path(__file__).parents[2] / "docs" / "fau.md").read_text(encoding="utf-8")
    assert all(name in documented for name in AU_NAMES)


def test_tracks_are_independent_of_each_other_and_of_row_order() -> None:
    parts = [table(track(9, seed=1), "a", 0), table(track(7, seed=2), "a", 1), table(track(8, seed=3), "b", 0)]
    together = pa.concat_tables(parts)
    shuffle = np.random.default_rng(0).permutation(together.num_rows)
    alone = pa.concat_tables([run(part, FauParams()).rows for part in parts])
    result = run(together.take(shuffle), FauParams())
    assert result.rows.equals(alone.take(shuffle))
    assert result.outcomes == {"a": Outcome.DONE, "b": Outcome.DONE} and result.frames_seen == 24


def test_a_slice_of_a_table_is_read_from_its_own_start() -> None:
    faces = table(track(20))
    assert run(faces.slice(8, 9), FauParams()).rows.equals(run(faces.take(list(range(8, 17))), FauParams()).rows)


def test_turned_ticks_do_not_count_for_the_neutral_face() -> None:
    meshes = track(40, tremble=0.001)
    meshes[8:, (61, 291)] += np.array([[-0.1, -0.1, 0], [0.1, -0.1, 0]])
    yaw_deg = np.where(np.arange(40) < 8, 0.0, 50.0)
    smile = AU_NAMES.index("AU12")
    assert track_intensities(meshes, yaw_deg, 30.0)[8:, smile].min() > 0.8
    assert track_intensities(meshes, yaw_deg, 60.0)[8:, smile].max() < 0.2


def test_one_tick_is_its_own_neutral_face() -> None:
    rows = run(table(track(1)), FauParams()).rows
    assert [rows[name][0].as_py() for name in SEEN] == [0.0] * len(SEEN)


def test_no_rows_give_no_rows() -> None:
    result = run(FACES.empty_table(), FauParams())
    assert result.rows.equals(FAU.empty_table()) and result.outcomes == {} and result.frames_seen == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_a_mesh_that_is_no_mesh_gives_nulls_and_spares_its_neighbours(bad: float) -> None:
    meshes = track(10)
    meshes[3] = bad
    rows = run(table(meshes), FauParams()).rows
    assert all(rows[name][3].as_py() is None for name in AU_NAMES)
    assert all(rows[name].null_count == 1 for name in SEEN)


def test_null_landmarks_give_nulls() -> None:
    faces = table(track(4))
    gone = pa.array([None], FACES.field("landmarks").type)
    faces = pa.concat_tables([faces, faces.slice(0, 1).set_column(FACES.get_field_index("landmarks"), FACES.field("landmarks"), gone)])
    assert [value is None for value in run(faces, FauParams()).rows["AU12"].to_pylist()] == [False] * 4 + [True]


@pytest.fixture(scope="module")
def expressive_faces() -> pa.Table:
    """WolfgangLanger_Pexels: ticks 28-63 closed mouth, 264-280 and 312-350 a broad smile with parted lips."""
    uri = "pyfeat/WolfgangLanger_Pexels.mp4"
    if not (MEDIA / uri).exists():
        pytest.skip("shared media are not here")
    from stages.faces import Faces

    @contextmanager
    def open_media(name: str) -> Iterator[Path]:
        yield MEDIA / name

    video = {"content_id": ["w"], "uri": [uri], "origin_us": [0], "rotation_deg": [0], "num_packets": [0]}
    return Faces(DecodeParams(), FaceParams())(pa.table(video), open_media).rows


def test_a_real_smile_is_a_smile_with_parted_lips(expressive_faces: pa.Table) -> None:
    rows = run(expressive_faces, FauParams()).rows
    assert rows.num_rows == expressive_faces.num_rows
    tick = rows["tick"].to_numpy()
    mouth_closed, bored, smile = (tick >= 45) & (tick < 64), (tick >= 180) & (tick < 220), (tick >= 312) & (tick < 350)
    au12, au25 = rows["AU12"].to_numpy(), rows["AU25"].to_numpy()
    assert au12[smile].mean() > au12[bored].mean() + 0.3
    assert au25[smile].mean() > au25[mouth_closed].mean() + 0.5


def test_real_brows_that_are_raised_raise_no_other_unit(expressive_faces: pa.Table) -> None:
    cells = expressive_faces["landmarks"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    before = cells.reshape(-1, 468, 3).astype(np.float64)
    after = before.copy()
    after[::5, sorted(BROWS), 1] -= 0.03
    assert changed(before, after) == {"AU01", "AU02"}
