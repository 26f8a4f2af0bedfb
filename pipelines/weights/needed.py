"""Needed: which fetched weights the parameters ask for, and whether they are here before any video is touched."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipelines.weights.folder import locate_all
from pipelines.weights.records import LOCK_FILE, read_lock, sha256_of, wanted
from pipelines.weights.registry import weight_named
from schemas.errors import WeightsError
from schemas.params import PipelineParams

_BY_BACKEND: dict[tuple[str, str], tuple[str, ...]] = {
    ("faces", "pyfeat"): ("pyfeat-mobilefacenet", "pyfeat-retinaface"),
    ("fau", "pyfeat xgb"): ("pyfeat-mobilefacenet", "pyfeat-xgb"),
    ("fau", "pyfeat svm"): ("pyfeat-mobilefacenet", "pyfeat-svm"),
    ("fau", "pyfeat multitask"): ("pyfeat-multitask",),
}
"""By step and backend, with its variant. Backends that are not here need nothing but what ships with FauScan."""


def needed(params: PipelineParams) -> list[str]:
    """Names in the registry, of all steps. The user's own checkpoint is not among them: `score.weights` names it."""
    return sorted({name for step in ("faces", "fau") for name in needed_by(step, params)})


def needed_by(step: str, params: PipelineParams) -> tuple[str, ...]:
    """Names in the registry that one step asks for."""
    section = getattr(params, step, None)
    backend = " ".join(str(part) for part in (getattr(section, "backend", None), getattr(section, "variant", None)) if part)
    return _BY_BACKEND.get((step, backend), ()) or _BY_BACKEND.get((step, backend.partition(" ")[0]), ())


def require(root: Path, names: Iterable[str]) -> None:
    """Looks at every byte of the weights that a run is about to use.

    Raises:
        WeightsError: one is missing, or is not what the registry or the workspace's lock says; the message names the command to run.
    """
    lock = read_lock(root)
    for name, path in locate_all(list(names)).items():
        weight = weight_named(name)
        pin = wanted(weight, lock)
        if pin is not None and (found := sha256_of(path)) != pin.sha256:
            by = "FauScan's registry" if weight.sha256 else LOCK_FILE
            raise WeightsError(f"{path}: digest is {found[:12]}, {by} has {pin.sha256[:12]}; run `{weight.fetch_command}`")
