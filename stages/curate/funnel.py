"""Funnel: how many clips each step leaves, and what to say when nothing is left."""

from __future__ import annotations

from dataclasses import dataclass, field

from schemas.curation import RecipeProblem

_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Left:
    """What is left after a step: `unit` is `videos` or `clips`."""

    step: str
    unit: str
    count: int


@dataclass(slots=True)
class Funnel:
    """The steps of a recipe in the order in which they ran."""

    steps: list[Left] = field(default_factory=list)

    def note(self, path: tuple[str | int, ...], unit: str, count: int, hint: str = "") -> None:
        """Counts what a step of the recipe left.

        Raises:
            RecipeProblem: nothing is left; the message has the counts before, and the hint what would be right.
        """
        self.steps.append(Left(".".join(map(str, path)) or "start", unit, count))
        if count == 0:
            before = " > ".join(f"{s.step} {s.count} {s.unit}" for s in self.steps[:-1][-_SHOWN:])
            raise RecipeProblem(path, f"leaves nothing (before: {before or 'nothing'})" + (f"; {hint}" if hint else ""))

    def rows(self) -> list[dict[str, str | int]]:
        """For metrics.json."""
        return [{"step": s.step, "unit": s.unit, "left": s.count} for s in self.steps]
