"""The text of `params.yaml`: every parameter with its default and what it means, from the models themselves."""

from __future__ import annotations

from typing import get_args

import yaml
from pydantic.fields import FieldInfo

from schemas.params import Params, PipelineParams

_HEADER = "# Parameters of FauScan. An unknown key is an error. Changing a value recomputes the steps that read it, and no others.\n"


def render(params: PipelineParams) -> str:
    """YAML with a comment above each section and behind each value."""
    parts = [_HEADER]
    for name in PipelineParams.model_fields:
        section: Params = getattr(params, name)
        parts.append(f"\n# {(type(section).__doc__ or '').strip()}\n{name}:\n")
        parts += [entry("  ", key, getattr(section, key), field) for key, field in type(section).model_fields.items()]
    return "".join(parts)


def entry(indent: str, key: str, value: object, field: FieldInfo) -> str:
    """One line of YAML, with the field's description or choices as a comment."""
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=1000).removesuffix("...\n").strip()
    comment = field.description or _choices(field)
    return f"{indent}{key}: {text}" + (f"  # {comment}\n" if comment else "\n")


def _choices(field: FieldInfo) -> str:
    values = get_args(field.annotation)
    return " | ".join(str(v) for v in values) if values and all(isinstance(v, str) for v in values) else ""
