"""Needed: which fetched weights the parameters ask for, and whether they are here before any video is touched."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipelines.chain import STEPS, step_of
from pipelines.weights.folder import locate_all
from pipelines.weights.records import LOCK_FILE, read_lock, sha256_of, wanted
from pipelines.weights.registry import weight_named
from schemas.errors import WeightsError
from schemas.params import PipelineParams


def needed(params: PipelineParams) -> list[str]:
    """Names in the registry, of all steps. The user's own checkpoint is not among them: `score.weights` names it."""
    return sorted({name for step in STEPS for name in step_of(step, params).models})


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
