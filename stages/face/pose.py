"""Head pose: which way a mesh looks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FOREHEAD, CHIN = 10, 152
RIGHT_EYE_CORNERS, LEFT_EYE_CORNERS = (33, 133), (362, 263)


def head_axes(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """The head's own axes, from eye corners and the line from forehead to chin.

    Args:
        landmarks: (..., 468, 3), x right, y down, z away from the viewer, one scale for all three.

    Returns:
        (..., 3, 3) rotation whose rows are the head's x (to its left eye), y (to its chin) and z (out of its back).
        Turning the landmarks by A turns the rows by A.
    """
    right = landmarks[..., RIGHT_EYE_CORNERS, :].mean(-2)
    left = landmarks[..., LEFT_EYE_CORNERS, :].mean(-2)
    x = _unit(left - right)
    down = landmarks[..., CHIN, :] - landmarks[..., FOREHEAD, :]
    y = _unit(down - (down * x).sum(-1, keepdims=True) * x)
    return np.stack([x, y, np.cross(x, y)], axis=-2)


def pose_degrees(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 3) pitch, yaw, roll in degrees: chin down, head turned to its left, head tilted clockwise on the screen are positive."""
    axes = head_axes(landmarks)
    forward = -axes[..., 2, :]  # out of the face, towards the viewer when frontal
    pitch = np.arcsin(np.clip(forward[..., 1], -1, 1))
    yaw = np.arctan2(forward[..., 0], -forward[..., 2])
    roll = np.arctan2(axes[..., 0, 1], axes[..., 0, 0])
    return np.degrees(np.stack([pitch, yaw, roll], axis=-1))


def _unit(v: NDArray[np.float64]) -> NDArray[np.float64]:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12)
