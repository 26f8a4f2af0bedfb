"""Forge recipe: the text of the default recipe, every value with what it means, from the models themselves."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pipelines.params_file import entry
from schemas.params import Params
from schemas.recipe import ForgeRecipe

TEMPLATE = Path(__file__).parent / "templates" / "forge.yaml"
_HEADER = "# Recipe of `fauscan forge`: these are the defaults. Leave out what you do not change; an unknown key is an error.\n"


@cache
def default_recipe_text() -> str:
    """The template that ships with the package."""
    return TEMPLATE.read_text(encoding="utf-8")


def render_recipe(recipe: ForgeRecipe) -> str:
    """YAML with a comment above each section and behind each value."""
    plain, sections = [_HEADER, "\n"], []
    for name, field in ForgeRecipe.model_fields.items():
        value = getattr(recipe, name)
        if not isinstance(value, Params):
            plain.append(entry("", name, value, field))
            continue
        sections.append(f"\n# {(type(value).__doc__ or '').strip()}\n{name}:\n")
        sections += [entry("  ", key, getattr(value, key), inner) for key, inner in type(value).model_fields.items()]
    return "".join(plain + sections)
