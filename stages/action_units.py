"""Action units as differences between landmarks of a face in head coordinates, each against the face's own neutral."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.au import AU_NAMES

OUT, UP, DOWN = (1.0, 0.0), (0.0, 1.0), (0.0, -1.0)
OUT_UP, OUT_DOWN = (0.5**0.5, 0.5**0.5), (0.5**0.5, -(0.5**0.5))
"""Directions on the right half of the face as (away from the midline, towards the forehead); the left half is mirrored."""

_PAIRS = (
    (33, 263), (133, 362), (55, 285), (107, 336), (65, 295), (66, 296), (52, 282), (105, 334), (53, 283), (63, 293), (46, 276), (70, 300),
    (221, 441), (160, 387), (159, 386), (158, 385), (144, 373), (145, 374), (153, 380), (7, 249), (155, 382), (246, 466), (173, 398),
    (50, 280), (101, 330), (117, 346), (118, 347), (48, 278), (64, 294), (129, 358), (37, 267), (82, 312), (87, 317), (61, 291),
)  # fmt: skip
_LEFT_OF = dict(_PAIRS)
MIDLINE = frozenset({0, 2, 8, 9, 13, 14, 17, 152, 168})
BROWS = frozenset({55, 107, 65, 66, 52, 105, 53, 63, 46, 70, 285, 336, 295, 296, 282, 334, 283, 293, 276, 300})


def mirrored(landmark: int) -> int:
    """The same place on the left half of the face; a landmark of the midline is its own mirror."""
    return landmark if landmark in MIDLINE else _LEFT_OF[landmark]


@dataclass(frozen=True, slots=True)
class ActionUnit:
    """One action unit: how far `moving` goes from `anchor` along `direction`, as a share of `full`.

    feature   = direction · (mean of moving - mean of anchor), mean over both halves of the face
    intensity = clip((feature - neutral - onset) / full, 0, 1)

    Landmarks are those of the right half (MediaPipe numbers). The neutral is a percentile of the feature over the track's
    near-frontal ticks: 50 for parts that rest most of the time, low where a talker's rest is rare (a closed mouth).
    """

    name: str
    meaning: str
    moving: tuple[int, ...]
    anchor: tuple[int, ...]
    """Empty: the head itself. Landmarks of the same depth, where there are any, so that an error in pitch cancels."""
    direction: tuple[float, float]
    full: float
    """Full intensity, in outer-eye-corner distances; with `relative`, as a share of the neutral feature's size."""
    neutral_percentile: float = 50
    onset: float = 0.0
    relative: bool = False
    unless: tuple[str, ...] = ()
    """Action units that hide or imitate this one: it is multiplied by what they leave of 1."""

    def weights(self) -> NDArray[np.float64]:
        """(468, 3) weights of the head coordinates x, y, z whose weighted sum is the feature."""
        out, up = self.direction
        weights = np.zeros((468, 3))
        for side, place in ((-1.0, lambda i: i), (1.0, mirrored)):
            for landmarks, sign in ((self.moving, 0.5), (self.anchor, -0.5)):
                for landmark in landmarks:
                    weights[place(landmark), :2] += sign / len(landmarks) * np.array([side * out, -up])
        return weights


_CLOSED = ("AU25", "AU26")  # an open mouth stretches the lips and moves the chin: nothing can be said of pressing and pushing

ACTION_UNITS: tuple[ActionUnit, ...] = (
    ActionUnit("AU01", "inner brow raiser", (55, 107, 65, 66), (133, 168), UP, 0.05),
    ActionUnit("AU02", "outer brow raiser", (46, 53, 70, 63), (33,), UP, 0.05),
    # The skin between the brows, not the brows: see docs/fau.md.
    ActionUnit("AU04", "brow lowerer", (8, 9, 221), (133, 168), DOWN, 0.03),
    ActionUnit("AU05", "upper lid raiser", (160, 159, 158), (33, 133), UP, 0.02, neutral_percentile=75),
    ActionUnit("AU06", "cheek raiser", (50, 101, 117, 118), (33, 133), UP, 0.05, neutral_percentile=25),
    # Against the ends of the lids, which the same network drew: the corners are the mesh's, and the whole eye shifts against them
    # by as much as a lower lid moves. A blink lifts the lower lid too, and half a blink already: hence twice.
    ActionUnit("AU07", "lid tightener", (144, 145, 153), (7, 155, 246, 173), UP, 0.01, unless=("AU43", "AU43")),
    ActionUnit("AU09", "nose wrinkler", (48, 64, 129), (133,), UP, 0.03),
    ActionUnit("AU10", "upper lip raiser", (0, 37), (2,), UP, 0.05, neutral_percentile=25),
    ActionUnit("AU12", "lip corner puller", (61,), (), OUT_UP, 0.12, neutral_percentile=25),
    # A dropping jaw takes the corners along by about a third of the lower lip's way: hence 0 twice.
    ActionUnit("AU15", "lip corner depressor", (61,), (0, 0, 17), DOWN, 0.055),
    ActionUnit("AU17", "chin raiser", (17,), (152,), UP, 0.1, unless=_CLOSED),
    ActionUnit("AU20", "lip stretcher", (61,), (), OUT_DOWN, 0.05),
    ActionUnit("AU24", "lip pressor", (13, 17), (0, 14), UP, 0.2, relative=True, unless=_CLOSED),
    ActionUnit("AU25", "lips part", (13, 82), (14, 87), UP, 0.2, neutral_percentile=10),
    # Chin and lower lip: the chin alone follows the head's pitch more than the jaw.
    ActionUnit("AU26", "jaw drop", (17, 152), (2,), DOWN, 0.22, neutral_percentile=10),
    ActionUnit("AU28", "lip suck", (13, 17), (0, 14), UP, 0.4, onset=0.2, relative=True, unless=_CLOSED),
    ActionUnit("AU43", "eyes closed", (144, 145, 153), (160, 159, 158), UP, 0.75, neutral_percentile=25, onset=0.1, relative=True),
)

UNSEEN: dict[str, str] = {
    "AU11": "nasolabial deepener: a furrow beside the nose, a change of shading that moves no landmark",
    "AU14": "dimpler: a dent beside a lip corner that hardly moves; the mesh has no relief there",
    "AU23": "lip tightener: lips roll in and narrow without closing harder; the same displacement as AU24",
}
"""Action units that mesh geometry can't see: their columns are null."""

_WEIGHTS = np.stack([unit.weights().reshape(-1) for unit in ACTION_UNITS])  # (A, 1404)
_USED = np.flatnonzero(_WEIGHTS.any(0))


def features(head: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, A) features of `ACTION_UNITS`, in outer-eye-corner distances, from (T, 468, 3) head coordinates."""
    flat = head.reshape(len(head), _WEIGHTS.shape[1])[:, _USED]
    return np.asarray(flat @ _WEIGHTS[:, _USED].T)


def intensities(head: NDArray[np.float64], frontal: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Intensities of one track.

    Args:
        head: (T, 468, 3) finite head coordinates, x to the head's left, y to its chin, outer eye corners about 1 apart; T >= 1.
        frontal: (T,) ticks that the neutral may be taken from; all ticks where there is none.

    Returns:
        (T, 20) in [0, 1], columns as `AU_NAMES`, NaN in the columns of `UNSEEN`.
    """
    values = features(head)
    resting = values[frontal] if frontal.any() else values
    seen: dict[str, NDArray[np.float64]] = {}
    for unit, value, rest in zip(ACTION_UNITS, values.T, resting.T, strict=True):
        neutral = np.percentile(rest, unit.neutral_percentile)
        unit_size = max(abs(neutral), 1e-9) if unit.relative else 1.0
        seen[unit.name] = np.clip(((value - neutral) / unit_size - unit.onset) / unit.full, 0.0, 1.0)
    table = np.full((len(head), len(AU_NAMES)), np.nan)
    for unit in ACTION_UNITS:
        table[:, AU_NAMES.index(unit.name)] = seen[unit.name] * _left_by(unit.unless, seen)
    return table


def _left_by(names: Sequence[str], seen: dict[str, NDArray[np.float64]]) -> NDArray[np.float64] | float:
    return np.prod([1.0 - seen[name] for name in names], axis=0) if names else 1.0
