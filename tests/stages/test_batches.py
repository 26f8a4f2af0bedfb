from __future__ import annotations

import pytest
import torch

from stages.batches import Batches


class Device:
    """Holds so many items at once."""

    def __init__(self, holds: int) -> None:
        self.holds = holds
        self.asked: list[int] = []

    def __call__(self, part: slice) -> list[int]:
        self.asked.append(part.stop - part.start)
        if part.stop - part.start > self.holds:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return list(range(part.start, part.stop))


def test_nothing_is_changed_where_the_memory_suffices() -> None:
    device, batches = Device(256), Batches(4)
    assert batches.over(10, device) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert batches.size == 4
    assert batches.over(0, device) == []


def test_halves_until_it_fits_loses_nothing_and_stays_there() -> None:
    device, batches = Device(3), Batches(16)
    assert [i for part in batches.over(10, device) for i in part] == list(range(10))
    assert device.asked == [10, 5, 2, 2, 2, 2, 2]
    device.asked.clear()
    batches.over(4, device)
    assert device.asked == [2, 2]


def test_memory_that_shrinks_later_is_met_where_it_happens() -> None:
    device, batches = Device(8), Batches(8)
    first = batches.over(8, device)
    device.holds = 1
    assert [i for part in first + batches.over(8, device) for i in part] == list(range(8)) * 2
    assert batches.size == 1


def test_one_item_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        Batches(8).over(8, Device(0))
