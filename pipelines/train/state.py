"""State: a training run on disk, so that a killed one goes on where its last validation was."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from schemas.errors import WorkspaceError
from schemas.fingerprint import digest
from schemas.train import TrainParams

STATE_NAME = "state.pt"
_FORMAT = "fauscan.training.1"


@dataclass(slots=True)
class TrainState:
    """Everything that the next step depends on, besides parameters and data.

    `step` steps are done. `best` holds the weights of the best validation, at `best_step` with `best_score`. `curve` has
    one row for each validation.
    """

    run_id: str
    step: int = 0
    objective: dict[str, Any] = field(default_factory=dict)
    optimiser: dict[str, Any] = field(default_factory=dict)
    scaler: dict[str, Any] = field(default_factory=dict)
    best: dict[str, Any] = field(default_factory=dict)
    best_step: int = -1
    best_score: float = float("-inf")
    curve: list[dict[str, float]] = field(default_factory=list)
    finished: bool = False


def run_id(params: TrainParams, data_digest: str, start_digest: str) -> str:
    """Names a run: equal parameters, data and starting weights give equal results."""
    return digest({"params": params.model_dump(mode="json"), "data": data_digest, "start": start_digest})


def save_state(state: TrainState, folder: Path) -> None:
    """Writes to a temporary name and renames: a kill leaves the old state or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{STATE_NAME}.tmp"
    torch.save({"format": _FORMAT} | {name: getattr(state, name) for name in TrainState.__slots__}, temporary)
    temporary.replace(folder / STATE_NAME)


def load_state(folder: Path) -> TrainState | None:
    """The state that a run left behind, or None.

    Raises:
        WorkspaceError: there is one, but it can't be read.
    """
    path = folder / STATE_NAME
    if not path.is_file():
        return None
    try:
        raw = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(raw, dict) or raw.pop("format", None) != _FORMAT:
            raise WorkspaceError(f"{path}: not the state of a training run; use --fresh to start over")
        return TrainState(**raw)
    except (RuntimeError, OSError, EOFError, TypeError, ValueError, LookupError, AttributeError, pickle.UnpicklingError) as error:
        raise WorkspaceError(f"{path}: can't be read ({' '.join(str(error).split())[:120]}); use --fresh to start over") from None
