from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.quarantine import GivenUp, each
from pipelines.sandbox import DeathError
from schemas.errors import FauScanError
from schemas.reasons import Reason


def crash() -> DeathError:
    return DeathError(Reason.DECODER_CRASHED, "SIGSEGV", by_chance=True)


@given(st.lists(st.booleans(), max_size=40))
def test_every_item_is_answered_or_given_up_once_and_only_the_guilty_are_given_up(guilty: list[bool]) -> None:
    def attempt(items: Sequence[tuple[int, bool]]) -> list[tuple[int, bool]]:
        if any(bad for _, bad in items):
            raise crash()
        return list(items)

    good, bad = [], []
    for answer in each(list(enumerate(guilty)), attempt):
        if isinstance(answer, GivenUp):
            bad.append(answer.item)
        else:
            good += answer
    assert sorted(good + bad) == list(enumerate(guilty))
    assert all(is_bad for _, is_bad in bad)
    assert not any(is_bad for _, is_bad in good)


def test_one_crash_is_bad_luck_and_costs_nothing() -> None:
    tries: Counter[int] = Counter()

    def attempt(items: Sequence[int]) -> list[int]:
        tries[len(items)] += 1
        if tries[len(items)] == 1:
            raise crash()
        return list(items)

    assert list(each([1, 2, 3], attempt)) == [[1, 2, 3]]
    assert tries == {3: 2}


def test_what_ran_into_a_limit_is_not_tried_again() -> None:
    tries = 0

    def attempt(items: Sequence[int]) -> list[int]:
        nonlocal tries
        tries += 1
        raise DeathError(Reason.TIMEOUT, "longer than 1 s", by_chance=False)

    assert list(each([1], attempt)) == [GivenUp(1, Reason.TIMEOUT, "longer than 1 s")]
    assert tries == 1


def test_a_limit_is_waited_for_twice_at_most_for_each_guilty_item() -> None:
    waits = 0

    def attempt(items: Sequence[int]) -> list[int]:
        nonlocal waits
        if 13 in items:
            waits += 1
            raise DeathError(Reason.TIMEOUT, "longer than 1 s", by_chance=False)
        return list(items)

    answers = list(each(range(32), attempt))
    assert GivenUp(13, Reason.TIMEOUT, "longer than 1 s") in answers
    assert sorted(answer[0] for answer in answers if not isinstance(answer, GivenUp)) == [n for n in range(32) if n != 13]
    assert waits == 2


def test_an_error_of_ours_costs_one_item_and_is_kept() -> None:
    def attempt(items: Sequence[int]) -> list[int]:
        if 2 in items:
            error = IndexError("list index out of range")
            error.add_note("Traceback ...")
            raise error
        return list(items)

    answers = list(each([1, 2, 3], attempt))
    assert GivenUp(2, Reason.INTERNAL_ERROR, "IndexError: list index out of range", "Traceback ...") in answers
    assert [1] in answers and [3] in answers


def test_an_error_for_people_ends_everything() -> None:
    def attempt(_: Sequence[int]) -> list[int]:
        raise FauScanError("disk full")

    with pytest.raises(FauScanError, match="disk full"):
        list(each([1, 2], attempt))


def test_nothing_asks_for_nothing() -> None:
    assert list(each([], lambda _: 1)) == []
