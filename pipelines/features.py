"""Features: which frozen network's features a workspace keeps, and whether its checkpoint can score what the workspace makes."""

from __future__ import annotations

import functools
from pathlib import Path

from fauforensics.checkpoint_info import CheckpointInfo, check_fits, read_info
from pipelines.workspace import Workspace
from schemas.errors import CheckpointError
from schemas.params import FauParams


def features_name(workspace: Workspace) -> str | None:
    """What makes `fau_features`, as fingerprints and checkpoints record it; None where nothing is kept.

    Raises:
        CheckpointError: `fau.embedding_weights` can't be used.
    """
    fau = workspace.params.fau
    if fau.embedding == "none":
        return None
    return fau.name if fau.embedding == "multitask" else _trunk_name(workspace.embedding_weights(), fau)


def check_checkpoint(workspace: Workspace) -> None:
    """Before anything is computed for it: the checkpoint has the preset, was trained on these action units and on these features.

    Raises:
        CheckpointError: it does not; the message says which parameter to change.
    """
    path = workspace.weights()
    info, fau = read_info(path), workspace.params.fau
    check_fits(path, info, workspace.params.score.preset, fau.name)
    if info.config.preset == "reference":
        if fau.embedding == "me-graphau" and path != workspace.embedding_weights():
            own, kept = _trunk_name(path, fau), features_name(workspace)
            if own != kept:
                raise CheckpointError(
                    f"{path}: its frozen FAU encoder is {own}, but fau.embedding_weights keeps the features of {kept}; "
                    f"set fau.embedding_weights: {workspace.params.score.weights}, or fau.embedding: none"
                )
    elif info.config.num_features and info.fau_features != features_name(workspace):
        raise CheckpointError(
            f"{path}: was trained on features of {info.fau_features}, but fau.embedding keeps {features_name(workspace) or 'none'}; "
            + _remedy(info)
        )


def reads_features(params_preset: str, embedding: str) -> bool:
    """Whether scoring wants the table: the reference network only knows features of its own trunk."""
    return embedding == "me-graphau" or (embedding == "multitask" and params_preset == "lite")


def _remedy(info: CheckpointInfo) -> str:
    if info.fau_features == "pyfeat-multitask":
        return "set fau.backend: pyfeat, fau.variant: multitask and fau.embedding: multitask"
    return "set fau.embedding: me-graphau, and fau.embedding_weights to the file that it was trained with"


def _trunk_name(path: Path, fau: FauParams) -> str:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such weights file; fau.embedding_weights in params.yaml names it")
    return _read_name(path, fau.embedding_input_px, (path.stat().st_size, path.stat().st_mtime_ns))


@functools.lru_cache(4)
def _read_name(path: Path, input_px: int, facts: tuple[int, int]) -> str:  # noqa: ARG001 - a file that was replaced is read anew
    from fauforensics.trunk import load_trunk, trunk_digest  # noqa: PLC0415 - torch is slow to import, and few workspaces keep features

    return f"me-graphau-{trunk_digest(load_trunk(path, input_px))}"
