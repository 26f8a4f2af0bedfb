"""Curation file: reads a recipe, and says on which line it is wrong and what would be right."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from schemas.curation import CurationRecipe, RecipeProblem
from schemas.curation_columns import COLUMNS, GROUPS, Column
from schemas.errors import ParamsError
from schemas.yaml_lines import YamlLines

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class RecipeFile:
    """A recipe, and the file that it came from."""

    source: str
    text: str
    recipe: CurationRecipe
    lines: YamlLines

    def error(self, problem: RecipeProblem) -> ParamsError:
        """The problem, with file and line."""
        return _error(self.source, self.lines, problem.path, problem.text)


def parse(text: str, source: str) -> RecipeFile:
    """Reads and checks a recipe. source: the file's name, for messages.

    Raises:
        ParamsError: not YAML, or a key, a column or a value is wrong; one line with file, line and the nearest right one.
    """
    try:
        raw: Any = yaml.safe_load(text)
        lines = YamlLines(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}:{mark.line + 1}" if mark else source
        raise ParamsError(f"{where}: not valid YAML: {' '.join(str(getattr(error, 'problem', None) or error).split())}") from None
    raw = {} if raw is None else raw
    if not isinstance(raw, dict):
        raise ParamsError(f"{source}:1: must be a mapping ({', '.join(CurationRecipe.model_fields)})")
    if lines.repeated:
        key, line = lines.repeated[0]
        raise ParamsError(f"{source}:{line}: {key} stands twice; keep one of them")
    try:
        recipe = CurationRecipe.model_validate(raw)
    except ValidationError as error:
        raise _first(error, source, lines) from None
    try:
        _check_columns(recipe)
    except RecipeProblem as problem:
        raise _error(source, lines, problem.path, problem.text) from None
    return RecipeFile(source, text, recipe, lines)


def nearest(value: object, known: Iterable[object], most: int = 12) -> str:
    """The end of a message: what was perhaps meant, or else what there is."""
    names = [str(k) for k in known]
    close = difflib.get_close_matches(str(value), names, n=1) or difflib.get_close_matches(str(value).lower(), names, n=1)
    if close:
        return f"did you mean {close[0]}?"
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"known: {', '.join(names[:most])}{more}" if names else "there are none"


def _error(source: str, lines: YamlLines, path: Sequence[str | int], text: str) -> ParamsError:
    name = ".".join(str(part) for part in path)
    return ParamsError(f"{source}:{lines.of(path)}: {name}{' ' if name and text[0] != ':' else ''}{text}")


def _first(error: ValidationError, source: str, lines: YamlLines) -> ParamsError:
    """The problem that stands first in the file; the others come when it is mended."""
    problems = [(_inside(p["loc"]), p) for p in error.errors()]
    path, problem = min(problems, key=lambda pair: (lines.of(pair[0]), len(pair[0])))
    if problem["type"] == "extra_forbidden":
        return _error(source, lines, path, f"is not known here; {nearest(path[-1], _keys_at(path[:-1]))}")
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "literal_error":
        allowed = [v.strip("' ") for v in problem["ctx"]["expected"].replace(" or ", ", ").split(",")]
        return _error(source, lines, path, f"is {problem['input']!r}; {_one_of(problem['input'], allowed)}")
    if problem["type"] == "value_error":  # a rule over several keys, which its message names
        return _error(source, lines, path, f": {message}" if path else message)
    return _error(source, lines, path, f"is {problem['input']!r}: {message[0].lower()}{message[1:]}")


def _one_of(value: object, allowed: Sequence[str]) -> str:
    close = difflib.get_close_matches(str(value), allowed, n=1)
    return f"did you mean {close[0]}?" if close else f"use one of {', '.join(allowed)}"


def _inside(loc: tuple[int | str, ...]) -> Path:
    """A place of pydantic's without the names of union members, which are no keys of the file."""
    return tuple(part for part in loc if part not in {"bool", "int", "float", "str", "function-before", "[key]"})


def _keys_at(path: Path) -> list[str]:
    """The keys that may stand in a mapping of the recipe."""
    model: Any = CurationRecipe
    for part in path:
        fields = {(field.alias or name): field for name, field in model.model_fields.items()}
        if part not in fields:
            continue  # the name of a column
        model = _model_in(fields[str(part)].annotation)
        if model is None:
            return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in typing.get_args(annotation) if (found := _model_in(part)) is not None), None)


def _check_columns(recipe: CurationRecipe) -> None:
    for name in recipe.filters:
        column = _known(("filters", name), name, COLUMNS)
        condition = recipe.filters[name].model_dump(by_alias=True, exclude_none=True)
        for key in sorted(condition.keys() - {"is_null", "or_null"}):
            if key not in _ALLOWED[column.kind]:
                raise RecipeProblem(("filters", name, key), f"does not suit a column of {_WORDS[column.kind]}; use {_listed(column)}")
            if key in {"in", "not_in"}:
                _check_values(("filters", name, key), condition[key], column)
    without_split = {n: c for n, c in GROUPS.items() if n != "split"}
    _check_names(("splits", "strata"), recipe.splits.strata, without_split)
    _check_names(("sample", "strata"), recipe.sample.strata, GROUPS)
    _check_names(("sample", "weights"), recipe.sample.weights, GROUPS)
    for name in recipe.sample.caps:
        _known(("sample", "caps", name), name, GROUPS)
    if recipe.sample.balance is not None:
        _known(("sample", "balance", "column"), recipe.sample.balance.column, GROUPS)
        _check_names(("sample", "balance", "within"), recipe.sample.balance.within, GROUPS)
    if recipe.targets.target_from == "prediction":
        _check_needs_truth(recipe)


def _check_names(path: Path, names: Iterable[str], known: typing.Mapping[str, Column]) -> None:
    for number, name in enumerate(names):
        _known((*path, number), name, known)


def _check_needs_truth(recipe: CurationRecipe) -> None:
    asked = [("clips", "choose")] if recipe.clips.choose in {"hard", "boundary"} else []
    asked += [("sample", "hard")] if recipe.sample.hard is not None else []
    for path in asked:
        raise RecipeProblem(path, "measures predictions against the truth; set targets.target_from to truth, or leave it out")


def _known(path: Path, name: str, known: typing.Mapping[str, Column]) -> Column:
    if name in known:
        return known[name]
    if name in COLUMNS:
        raise RecipeProblem(path, f"names {name}, a column of numbers, by which nothing can be grouped; known: {', '.join(known)}")
    near = _near_column(name, known)
    text = f"is no column; {near}" if path[-1] == name else f"names {name!r}, which is no column; {near}"
    raise RecipeProblem(path, text)


def _near_column(name: str, known: typing.Mapping[str, Column]) -> str:
    if name == "split" and "official_split" in known:
        return "did you mean official_split?"
    return nearest(name, known, most=100)


_ALLOWED = {"number": {"min", "max", "in", "not_in"}, "text": {"in", "not_in"}, "texts": {"in", "not_in"}, "flag": {"is"}}
_WORDS = {"number": "numbers", "text": "text", "texts": "lists of text", "flag": "true and false"}


def _listed(column: Column) -> str:
    return ", ".join([*sorted(_ALLOWED[column.kind]), "is_null"])


def _check_values(path: Path, values: Sequence[object], column: Column) -> None:
    suits: Callable[[object], bool] = lambda v: not isinstance(v, bool) and isinstance(v, (int, float) if column.kind == "number" else str)  # noqa: E731
    for number, value in enumerate(values):
        if not suits(value):
            raise RecipeProblem((*path, number), f"is {value!r}; this column holds {_WORDS[column.kind]}")
        if column.values is not None and value not in column.values:
            raise RecipeProblem((*path, number), f"is {value!r}; {nearest(value, column.values)}")
