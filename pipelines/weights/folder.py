"""Folder: the one place where fetched weights lie. Copy it as it is to a machine without network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pipelines.weights.registry import Weight, megabytes, read_registry, weight_named
from schemas.errors import WeightsError

ENVIRONMENT = "FAUSCAN_MODELS"


def models_folder() -> Path:
    """`FAUSCAN_MODELS`, or a folder in the user's cache. It need not exist."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "fauscan" / "models"


def path_of(weight: Weight) -> Path:
    """Where the file lies, or would lie."""
    return models_folder() / weight.place


def locate(name: str) -> Path:
    """The file of a name in the registry. Its size is compared, its digest is not: `fauscan models verify` does that.

    Raises:
        WeightsError: unknown, not on this machine, or of another size; the message names the command to run.
    """
    return locate_all([name])[name]


def file_or_name(text: Path | str, root: Path = Path()) -> Path:
    """The file at a path below `root`, or the fetched one that a name in the registry stands for. A file that is here goes before a name.

    Raises:
        WeightsError: the name's file is not on this machine.
    """
    path = root / Path(text).expanduser()
    return locate(str(text)) if str(text) in read_registry() and not path.exists() else path


def locate_all(names: Sequence[str]) -> dict[str, Path]:
    """The files of several names; what is missing is said of all at once.

    Raises:
        WeightsError: as `locate`.
    """
    weights = [weight_named(name) for name in names]
    missing = [weight for weight in weights if not path_of(weight).is_file()]
    if missing:
        raise WeightsError(_missing(missing))
    for weight in weights:
        size = path_of(weight).stat().st_size
        if weight.size_bytes is not None and size != weight.size_bytes:
            raise WeightsError(
                f"{path_of(weight)}: is {size:,} bytes, {weight.name} has {weight.size_bytes:,}; run `{weight.fetch_command}` again"
            )
    return {weight.name: path_of(weight) for weight in weights}


def _missing(weights: Sequence[Weight]) -> str:
    by_hand = [weight for weight in weights if weight.source.by_hand]
    if by_hand:
        first = by_hand[0]
        return f"{first.name}: not on this machine; get {first.file} from {first.page} and put it at {path_of(first)}"
    names = " ".join(weight.name for weight in weights)
    accept = " --accept-licence" if any(weight.commercial == "no" for weight in weights) else ""
    total = sum(weight.size_bytes or weight.about_bytes or 0 for weight in weights)
    about = "" if all(weight.size_bytes for weight in weights) else "about "
    what = f"{weights[0].name} is" if len(weights) == 1 else f"{', '.join(weight.name for weight in weights)} are"
    return f"{what} not in {models_folder()}; run `fauscan models fetch {names}{accept}` (a download of {about}{megabytes(total)})"
