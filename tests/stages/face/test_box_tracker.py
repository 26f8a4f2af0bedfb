from __future__ import annotations

import numpy as np

from schemas.params import FaceParams
from stages.face.tracker import BoxTracker

PICTURE = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)


def box(x: float, y: float, side: float = 60, score: float = 0.9) -> list[float]:
    return [x, y, x + side, y + side, score]


def points(boxes: np.ndarray) -> np.ndarray:
    """Points spread over each box."""
    grid = np.random.default_rng(1).random((68, 2)).astype(np.float32)
    return np.stack([b[:2] + grid * (b[2:4] - b[:2]) for b in boxes]) if len(boxes) else np.zeros((0, 68, 2), np.float32)


def follow(ticks: list[list[list[float]]], **params: int) -> list[list[tuple[int, int]]]:
    """(track, row in boxes) of every tick."""
    tracker = BoxTracker(FaceParams(backend="pyfeat", **params))
    answers = []
    for tick, rows in enumerate(ticks):
        boxes = np.array(rows, np.float32).reshape(-1, 5)
        answers.append([(seen.track, i) for seen, i in tracker(tick, PICTURE, boxes, points(boxes))])
    return answers


def test_faces_keep_their_numbers_when_the_detector_names_them_in_another_order() -> None:
    assert follow([[box(20, 50), box(200, 60)], [box(203, 61), box(23, 52)]]) == [[(0, 0), (1, 1)], [(0, 1), (1, 0)]]


def test_a_face_that_is_away_for_a_moment_comes_back_as_itself() -> None:
    assert follow([[box(20, 50)], [], [box(21, 50)]]) == [[(0, 0)], [], [(0, 0)]]


def test_a_face_elsewhere_is_another_track() -> None:
    assert follow([[box(20, 50)], [box(220, 100)]]) == [[(0, 0)], [(1, 0)]]


def test_small_faces_faces_outside_and_more_than_wanted_are_left_out() -> None:
    assert follow([[box(20, 50), box(100, 100, 10), box(280, 50), box(120, 60), box(200, 100)]], max_faces=2) == [[(0, 0), (1, 3)]]


def test_points_that_are_no_numbers_are_no_face() -> None:
    boxes = np.array([box(20, 50)], np.float32)
    assert BoxTracker(FaceParams(backend="pyfeat"))(0, PICTURE, boxes, points(boxes) * np.nan) == []
