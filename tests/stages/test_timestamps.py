from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from schemas.reasons import Reason
from stages.damage import Damage
from stages.timestamps import InOrder, Ranks


def passed(times: list[int | None]) -> tuple[list[int], Damage]:
    """Which frames (by their number) get through, and what is said of the others."""
    picture: Any = None

    def frames() -> Iterator[tuple[int, Any, int | None]]:
        yield from ((i, picture, time) for i, time in enumerate(times))

    order, damage = InOrder(), Damage()
    through = [packet for packet, _, _ in order.of(frames())]
    order.judge(damage)
    return through, damage


def test_increasing_times_pass_untouched() -> None:
    through, damage = passed([0, 40, 80, 2_000, 2_040])
    assert through == [0, 1, 2, 3, 4]
    assert damage == Damage()


@pytest.mark.parametrize(
    ("times", "left_out"),
    [
        ([0, 40, 9_000, 120, 160], 2),  # jumps forward
        ([0, 40, 80, 10, 160], 3),  # falls back
        ([0, 40, 80, None, 160], 3),
        ([0, 40, 5_000, 120], 2),
    ],
)
def test_the_one_frame_that_is_off_is_left_out(times: list[int | None], left_out: int) -> None:
    through, damage = passed(times)
    assert through == [i for i in range(len(times)) if i != left_out]
    assert [failure[0] for failure in damage.failures] == [Reason.NON_MONOTONE_PTS]


def test_frames_that_a_majority_contradicts_are_not_labelled() -> None:
    through, damage = passed([0, 40, 80, 5_000, 5_040, 200, 240, 280, 5_080])
    assert through == [0, 1, 2, 3, 4, 8]
    assert set(damage.spoiled) >= {3, 4}
    assert set(damage.spoiled).isdisjoint({0, 1, 2})


def test_of_two_frames_at_one_time_neither_is_believed() -> None:
    through, damage = passed([0, 40, 80, 80, 120])
    assert through == [0, 1, 2, 4]
    assert set(damage.spoiled) == {2}


def test_ranks_give_the_kth_frame_the_time_of_the_kth_packet_and_start_again_at_a_key_frame() -> None:
    ranks = Ranks()
    for time in range(8):
        ranks.packet(time * 40)
    assert [ranks.shown(packet, packet == 0) for packet in (0, 2, 1)] == [0, 40, 80]
    assert ranks.shown(5, True) == 200  # two packets gave no frame
    assert ranks.shown(6, False) == 240
