from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.face.pose import _HEAD, _HEAD_68, CHIN, FOREHEAD, LEFT_EYE_CORNERS, RIGHT_EYE_CORNERS, head_axes, pose_degrees, pose_degrees_68


def frontal() -> np.ndarray:
    """A face that looks at the camera: x right on the screen, y down, z away."""
    mesh = np.zeros((468, 3))
    mesh[list(RIGHT_EYE_CORNERS)] = [[-50, 0, 0], [-20, 0, -2]]
    mesh[list(LEFT_EYE_CORNERS)] = [[20, 0, -2], [50, 0, 0]]
    mesh[FOREHEAD], mesh[CHIN] = [0, -60, 0], [0, 130, 0]
    return mesh


def turn(axis: int, degrees: float) -> np.ndarray:
    a = np.radians(degrees)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = np.cos(a)
    matrix[i, j], matrix[j, i] = -np.sin(a), np.sin(a)
    return matrix


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (np.eye(3), (0, 0, 0)),
        (turn(0, 20), (20, 0, 0)),  # forehead comes forward: chin down
        (turn(1, -30), (0, 30, 0)),  # nose to the right of the screen: its own left
        (turn(2, 15), (0, 0, 15)),  # clockwise on the screen, where y points down
    ],
)
def test_angles_have_the_documented_sign(matrix: np.ndarray, expected: tuple[float, float, float]) -> None:
    np.testing.assert_allclose(pose_degrees(frontal() @ matrix.T), expected, atol=1e-6)


@given(st.floats(-60, 60), st.floats(-60, 60), st.floats(-170, 170), st.floats(0.1, 10))
def test_axes_turn_with_the_head(pitch: float, yaw: float, roll: float, scale: float) -> None:
    matrix = turn(2, roll) @ turn(1, yaw) @ turn(0, pitch)
    axes = head_axes(scale * frontal() @ matrix.T + 7)
    np.testing.assert_allclose(axes, head_axes(frontal()) @ matrix.T, atol=1e-9)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-9)


def test_68_flat_points_of_a_turned_head_tell_its_pose() -> None:
    for pitch, yaw, roll in [(0, 0, 0), (10, 30, 5), (-20, -45, 15), (25, 5, -40)]:
        p, y, r = np.radians([pitch, yaw, roll])
        nod = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
        turn = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
        tilt = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
        whole = tilt @ turn @ nod
        points = np.zeros((68, 2))
        points[list(_HEAD_68)] = (_HEAD @ whole.T)[:, :2] * 80 + [200, 150]
        down, left, front = -whole[1, 2], -whole[0, 2], whole[2, 2]
        wanted = np.arcsin(down), np.arctan2(left, front), np.arctan2(whole[1, 0], whole[0, 0])
        np.testing.assert_allclose(pose_degrees_68(points), np.degrees(wanted), atol=0.01)
