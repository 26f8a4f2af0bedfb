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
        for key, field in type(section).model_fields.items():
            text = yaml.safe_dump(getattr(section, key), default_flow_style=True, allow_unicode=True, width=1000)
            value = text.removesuffix("...\n").strip()
            comment = field.description or _choices(field)
            parts.append(f"  {key}: {value}" + (f"  # {comment}\n" if comment else "\n"))
    return "".join(parts)


def _choices(field: FieldInfo) -> str:
    values = get_args(field.annotation)
    return " | ".join(str(v) for v in values) if values and all(isinstance(v, str) for v in values) else ""
