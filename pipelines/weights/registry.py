"""Registry: every weights file that FauScan can use, from `models/registry.yaml`."""

from __future__ import annotations

import difflib
import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError, model_validator

import models
from schemas.errors import WeightsError
from schemas.params import Params, explain

ENVIRONMENT = "FAUSCAN_REGISTRY"


class Source(Params):
    """Where a file comes from: a repository of the hub, an address, or somebody's hands."""

    repository: str | None = Field(None, pattern=r"^[\w.-]+/[\w.-]+$")
    file: str | None = Field(None, pattern=r"^[\w.-]+$")
    revision: str | None = Field(None, pattern=r"^[0-9a-f]{40}$")
    url: str | None = Field(None, pattern=r"^https?://")
    by_hand: str | None = Field(None, pattern=r"^[\w.-]+$", description="File name; a person has to get it from the page.")

    @model_validator(mode="after")
    def _one_way(self) -> Source:
        if sum(way is not None for way in (self.repository, self.url, self.by_hand)) != 1:
            raise ValueError("a source has repository (with file), url or by_hand, and one of them only")
        if (self.repository is None) != (self.file is None):
            raise ValueError("repository and file go together")
        return self


class Weight(Params):
    """One file."""

    purpose: str
    source: Source
    licence: str
    commercial: Literal["yes", "no", "unclear"]
    page: str
    size_bytes: int | None = Field(None, ge=1)
    about_bytes: int | None = Field(None, ge=1)
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    digest_from: str | None = None
    name: str = ""

    @model_validator(mode="after")
    def _origin_of_the_digest(self) -> Weight:
        if (self.sha256 is None) != (self.digest_from is None):
            raise ValueError("a digest stands with digest_from, which says where it was read")
        return self

    @property
    def file(self) -> str:
        """Its name on disk."""
        if self.source.url is not None:
            return self.source.url.rpartition("/")[2]
        return self.source.file or self.source.by_hand or ""

    @property
    def place(self) -> Path:
        """Where it lies below the folder of weights. Files of one repository lie side by side: some libraries look for that."""
        return Path(self.source.repository or self.name) / self.file

    @property
    def size_text(self) -> str:
        """How large the download is."""
        known = self.size_bytes or self.about_bytes
        return "unknown size" if known is None else f"{'' if self.size_bytes else 'about '}{megabytes(known)}"

    @property
    def fetch_command(self) -> str:
        """What gets it."""
        return f"fauscan models fetch {self.name}{' --accept-licence' if self.commercial == 'no' else ''}"


class _Registry(Params):
    weights: dict[str, Weight]


def megabytes(size_bytes: int) -> str:
    """As download sizes are written."""
    return f"{size_bytes / 1e6:,.0f} MB" if size_bytes >= 1e6 else f"{max(size_bytes / 1e3, 0.1):,.1f} kB"


def read_registry() -> dict[str, Weight]:
    """All entries by name, in order: of the file that `FAUSCAN_REGISTRY` names, or of the one that ships with FauScan.

    Raises:
        WeightsError: the file is not a registry; the message names the entry.
    """
    named = os.environ.get(ENVIRONMENT)
    return read_file(Path(named).expanduser() if named else Path(next(iter(models.__path__))) / "registry.yaml")


@lru_cache(maxsize=4)
def read_file(path: Path) -> dict[str, Weight]:
    """Entries of one file. Raises WeightsError."""
    try:
        found = _Registry.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise WeightsError(f"{path}: can't be read: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise WeightsError(f"{path}: {explain(error, _Registry)}") from None
    return {name: weight.model_copy(update={"name": name}) for name, weight in found.weights.items()}


def weight_named(name: str) -> Weight:
    """Raises WeightsError for a name that the registry does not have, with the nearest one."""
    known = read_registry()
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
    raise WeightsError(f"{name!r} is not a weights file that FauScan knows; {hint}")
