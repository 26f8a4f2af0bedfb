"""The definitions of the action units."""

from __future__ import annotations

import numpy as np
import pytest

from schemas.au import AU_NAMES
from stages.action_units import ACTION_UNITS, BROWS, UNSEEN, ActionUnit, features, intensities, mirrored


def heads(num_ticks: int) -> np.ndarray:
    """Ticks of one face at rest, in head coordinates; mirror landmarks at mirror places."""
    rng = np.random.default_rng(0)
    head = rng.normal(0, 0.3, (468, 3))
    for landmark in {i for unit in ACTION_UNITS for i in (*unit.moving, *unit.anchor)}:
        head[mirrored(landmark)] = head[landmark] * [-1, 1, 1]
    head[[13, 14, 0, 17], 1] = 0.5, 0.5, 0.42, 0.6  # closed lips
    return np.repeat(head[None], num_ticks, axis=0)


def test_every_action_unit_is_defined_or_declared_unseen() -> None:
    defined = [unit.name for unit in ACTION_UNITS]
    assert sorted([*defined, *UNSEEN]) == sorted(AU_NAMES)


def test_only_the_two_brow_raisers_look_at_the_brows() -> None:
    looking = {unit.name for unit in ACTION_UNITS if BROWS & {*unit.moving, *unit.anchor}}
    assert looking == {"AU01", "AU02"}


@pytest.mark.parametrize("unit", ACTION_UNITS, ids=lambda unit: unit.name)
def test_moving_the_landmarks_by_the_full_range_gives_full_intensity(unit: ActionUnit) -> None:
    head = heads(20)
    neutral = features(head)[0, ACTION_UNITS.index(unit)]
    way = (unit.onset + unit.full) * (abs(neutral) if unit.relative else 1.0)
    out, up = unit.direction
    right, left = list(unit.moving), [mirrored(landmark) for landmark in unit.moving]
    head[0, sorted({*right, *left}), 1] -= up * way
    head[0, right, 0] -= out * way
    head[0, left, 0] += out * way
    assert features(head)[0, ACTION_UNITS.index(unit)] - neutral == pytest.approx(way)
    intensity = intensities(head, np.ones(20, bool))[:, AU_NAMES.index(unit.name)]
    if not unit.unless:
        assert intensity[0] == pytest.approx(1.0)
    assert intensity[1:] == pytest.approx(0.0, abs=1e-9)


def test_an_open_mouth_hides_the_lip_pressor() -> None:
    head = heads(20)
    head[:2, [0, 17], 1] = 0.46, 0.54  # half the lips' height is gone
    head[1, [14, 17, 87, 317], 1] += 0.4
    pressed = intensities(head, np.ones(20, bool))[:, AU_NAMES.index("AU24")]
    assert pressed[0] == 1.0 and pressed[1] == 0.0


def test_unseen_columns_are_nan_and_the_others_are_within_bounds() -> None:
    head = heads(30) + np.random.default_rng(1).normal(0, 0.05, (30, 468, 3))
    table = intensities(head, np.zeros(30, bool))
    unseen = [name in UNSEEN for name in AU_NAMES]
    assert np.isnan(table[:, unseen]).all()
    seen = table[:, np.logical_not(unseen)]
    assert seen.min() >= 0 and seen.max() <= 1
