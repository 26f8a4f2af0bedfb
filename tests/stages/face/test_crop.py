from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.face.crop import _STABLE, _TEMPLATE, align, cut_out, sharpness


def face(scale: float, angle: float, shift: tuple[float, float]) -> np.ndarray:
    """Landmarks whose stable points are the template, turned, scaled and moved."""
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    landmarks = np.zeros((468, 3), np.float32)
    landmarks[list(_STABLE), :2] = _TEMPLATE @ np.array([[cos, -sin], [sin, cos]]).T + shift
    return landmarks


@settings(max_examples=50)
@given(st.floats(10, 800), st.floats(-3, 3), st.tuples(st.floats(-500, 500), st.floats(-500, 500)))
def test_eyes_lie_on_the_same_pixels_for_every_size_turn_and_place(scale: float, angle: float, shift: tuple[float, float]) -> None:
    landmarks = face(scale, angle, shift)
    affine = align(landmarks, 160)
    eyes = landmarks[[33, 263], :2] @ affine[:, :2].T + affine[:, 2]
    np.testing.assert_allclose(
        eyes, [[160 * (0.5 - 0.5 / 2.1), 160 * (0.5 - 0.47 / 2.1)], [160 * (0.5 + 0.5 / 2.1), 160 * (0.5 - 0.47 / 2.1)]], atol=0.2
    )


@pytest.mark.parametrize("side", [200, 3000])
def test_a_large_face_is_not_aliased(side: int) -> None:
    y, x = np.mgrid[0:side, 0:side]
    picture = np.repeat(((x // 2 + y // 2) % 2 * 255).astype(np.uint8)[:, :, None], 3, axis=2)  # finer than the crop can show
    crop = cut_out(picture, face(side / 3, 0.0, (side / 2, side / 3)), 160)
    assert crop.shape == (160, 160, 3)
    if side > 1000:
        assert crop[40:120, 40:120].std() < 30


def test_a_face_at_the_edge_is_padded_with_black() -> None:
    crop = cut_out(np.full((100, 100, 3), 200, np.uint8), face(60, 0.0, (0.0, 0.0)), 160)
    assert crop[0, 0].tolist() == [0, 0, 0]
    assert crop[120, 120].tolist() == [200, 200, 200]


def test_blur_lowers_sharpness() -> None:
    import cv2

    noise = np.random.default_rng(0).integers(0, 255, (160, 160, 3), dtype=np.uint8)
    assert sharpness(noise) > 10 * sharpness(cv2.GaussianBlur(noise, (0, 0), 3))


def test_68_points_align_a_face_like_the_mesh_does() -> None:
    mesh = np.zeros((468, 2), np.float32)
    mesh[list(_STABLE)] = _TEMPLATE * 90 + [170, 130]
    points = np.zeros((68, 2), np.float32)
    points[[36, 39, 42, 45, 33, 31, 35]] = (_TEMPLATE * 90 + [170, 130])[[0, 1, 2, 3, 7, 8, 9]]
    np.testing.assert_allclose(align(points, 160), align(mesh, 160), atol=1e-3)
