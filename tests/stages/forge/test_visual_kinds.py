from __future__ import annotations

import numpy as np
import pytest

from stages.forge.blend import draw_mask, mask_of
from stages.forge.face_swap import face_swap, match_frames
from stages.forge.footage import Footage, smooth_landmarks
from stages.forge.mesh_warp import MeshWarp, face_box
from stages.forge.mouth import mouth_replay, replay_mouth
from stages.forge.self_blend import self_blend

SPAN = slice(10, 22)
KINDS = ("self_blend", "face_swap", "mouth_replay")


def _forge(kind: str, talker: Footage, other: Footage, seed: int) -> list[np.ndarray]:
    chosen = np.zeros(len(talker.frames), bool)
    chosen[SPAN] = True
    rng = np.random.default_rng(seed)
    match kind:
        case "self_blend":
            return self_blend(talker, chosen, rng)
        case "face_swap":
            return face_swap(talker, other, chosen, rng)
        case _:
            frames = mouth_replay(talker, chosen, rng)
            assert frames is not None
            return frames


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_face_in_chosen_frames_changes(kind: str, talker: Footage, other: Footage) -> None:
    for seed in range(2):
        forged = _forge(kind, talker, other, seed)
        for i, (ours, theirs) in enumerate(zip(forged, talker.frames, strict=True)):
            if not SPAN.start <= i < SPAN.stop:
                assert ours is theirs
                continue
            box = face_box(talker.landmarks[i], ours.shape[1], ours.shape[0])
            assert box is not None
            difference = np.abs(ours.astype(int) - theirs.astype(int)).max(2)
            assert difference[box.rows, box.columns].mean() > 0.3
            around = box.height // 8  # a chin that has dropped may leave the box
            difference[: box.bottom + around, box.columns][max(0, box.top - around) :] = 0
            assert difference.max() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_blend_ends_softly_and_nothing_is_black(kind: str, talker: Footage, other: Footage) -> None:
    for seed in range(4):
        forged = _forge(kind, talker, other, seed)
        i = SPAN.start + 3
        ours, theirs = (f[i].astype(int) for f in (forged, talker.frames))
        change = np.abs(ours - theirs).max(2)
        touched = np.flatnonzero(change.max(1)), np.flatnonzero(change.max(0))
        # The outermost rows and columns that changed at all: a hard edge would show the full difference there.
        for line in (change[touched[0][0]], change[touched[0][-1]], change[:, touched[1][0]], change[:, touched[1][-1]]):
            assert line.max() <= 8
        assert (ours.max(2) < 8).mean() <= (theirs.max(2) < 8).mean() + 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_picture_and_another_one_another(kind: str, talker: Footage, other: Footage) -> None:
    first, again, different = (_forge(kind, talker, other, seed)[SPAN.start] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != different).any()


def test_a_warp_onto_itself_changes_nothing(talker: Footage) -> None:
    frame, points = talker.frames[0], talker.landmarks[0]
    box = face_box(points, frame.shape[1], frame.shape[0])
    assert box is not None
    patch = MeshWarp(talker.landmarks)(frame, points, points, box)
    assert np.abs(patch - frame[box.rows, box.columns]).max() < 1.0


def test_a_mask_moves_with_the_face_and_does_not_flicker(talker: Footage) -> None:
    style = draw_mask(talker.landmarks, np.random.default_rng(3))
    areas = []
    for frame, points in zip(talker.frames, talker.landmarks, strict=True):
        box = face_box(points, frame.shape[1], frame.shape[0])
        assert box is not None
        mask = mask_of(points, style, box)
        assert mask.min() >= 0 and mask.max() <= 1
        areas.append(float(mask.sum()))
    assert np.abs(np.diff(areas)).max() / np.mean(areas) < 0.05


def test_a_face_swap_takes_on_the_colours_of_its_place(talker: Footage, other: Footage) -> None:
    forged = _forge("face_swap", talker, other, 0)
    i = SPAN.start + 2
    box = face_box(talker.landmarks[i], forged[i].shape[1], forged[i].shape[0])
    assert box is not None
    middle = (slice(box.top + box.height // 3, box.bottom - box.height // 3), slice(box.left + box.width // 3, box.right - box.width // 3))
    ours, theirs = (f[i][middle].reshape(-1, 3).mean(0) for f in (forged, talker.frames))
    assert np.abs(ours - theirs).max() < 30


def test_donor_frames_follow_the_expression_without_jumping_about(talker: Footage) -> None:
    same = match_frames(talker.landmarks, talker.landmarks)
    np.testing.assert_array_equal(same, np.arange(len(talker.frames)))


def test_a_mouth_needs_another_time(talker: Footage) -> None:
    short = Footage(0.0, talker.pts_us[:6], talker.frames[:6], talker.landmarks[:6], talker.frame_s)
    assert mouth_replay(short, np.ones(6, bool), np.random.default_rng(0)) is None


def test_a_mouth_laid_over_itself_is_hardly_seen(talker: Footage) -> None:
    frame, points = talker.frames[5], talker.landmarks[5]
    assert np.abs(replay_mouth(frame, points, frame, points).astype(int) - frame.astype(int)).max() <= 2


def test_smoothing_leaves_gaps_alone() -> None:
    points = np.zeros((7, 468, 3), np.float32)
    points[:, :, 0] = np.arange(7)[:, None]
    points[3] = np.nan
    smooth = smooth_landmarks(points)
    assert np.isnan(smooth[3]).all() and np.isfinite(smooth[[0, 1, 2, 4, 5, 6]]).all()
    np.testing.assert_allclose(smooth[1, 0, 0], (0.2 * 0 + 0.4 * 1 + 0.2 * 2) / 0.8, rtol=1e-5)
