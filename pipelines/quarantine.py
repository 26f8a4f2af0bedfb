"""Quarantine: finds the video that kills its process, gives it up, and lets its neighbours finish."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pipelines.sandbox import DeathError, SetupError, StoppedError
from schemas.errors import FauScanError
from schemas.reasons import Reason

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class GivenUp(Generic[Item]):
    """An item that no process survived, or that an error of ours stopped; `traceback` is empty but for such an error."""

    item: Item
    reason: Reason
    detail: str
    traceback: str = ""


def each(items: Sequence[Item], attempt: Callable[[Sequence[Item]], Answer]) -> Iterator[Answer | GivenUp[Item]]:
    """Answers for all items, together where that is possible.

    A group that dies is tried once more and then in halves: what is left in the end is one guilty item, and as many answers as it
    took to leave it out. A group that runs into a limit is taken apart at once: halves would wait for the same limit again and again.

    Args:
        items: what is to be done; nothing is tried when there are none.
        attempt: does some of them at once.

    Raises:
        FauScanError, StoppedError, SetupError: what `attempt` raised.
    """
    if not items:
        return
    try:
        answer = _twice(items, attempt)
    except (FauScanError, StoppedError, SetupError):
        raise
    except Exception as error:  # noqa: BLE001 - one video's trouble must not end the night; a bug is kept with its traceback
        if len(items) > 1 and isinstance(error, DeathError) and not error.by_chance:
            for item in items:
                yield from each([item], attempt)
        elif len(items) > 1:
            middle = len(items) // 2
            yield from each(items[:middle], attempt)
            yield from each(items[middle:], attempt)
        elif isinstance(error, DeathError):
            yield GivenUp(items[0], error.reason, error.detail)
        else:
            detail = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            yield GivenUp(items[0], Reason.INTERNAL_ERROR, detail, "".join(getattr(error, "__notes__", [])))
    else:
        yield answer


def _twice(items: Sequence[Item], attempt: Callable[[Sequence[Item]], Answer]) -> Answer:
    try:
        return attempt(items)
    except DeathError as death:
        if not death.by_chance:
            raise
        return attempt(items)
