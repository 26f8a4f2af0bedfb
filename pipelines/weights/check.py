"""Check: whether the files of the folder are what the registry, the lock, or the day they were fetched say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.weights.folder import path_of
from pipelines.weights.records import Pin, read_notes, sha256_of, wanted
from pipelines.weights.registry import Weight
from schemas.errors import WeightsError

State = Literal["right", "as fetched", "unknown", "missing", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One file: `right` by registry or lock, `as fetched` where only the folder's own notes know it, `unknown` where nothing does."""

    weight: Weight
    state: State
    sha256: str | None = None
    should_be: str | None = None


def check(weights: Sequence[Weight], lock: dict[str, Pin]) -> list[Finding]:
    """Reads every byte."""
    notes = read_notes()
    found = []
    for weight in weights:
        path = path_of(weight)
        if not path.is_file():
            found.append(Finding(weight, "missing"))
            continue
        sha256, pin, fetched = sha256_of(path), wanted(weight, lock), notes.get(weight.name)
        known = pin or fetched
        if known is None:
            found.append(Finding(weight, "unknown", sha256))
        elif sha256 != known.sha256:
            found.append(Finding(weight, "wrong", sha256, known.sha256))
        else:
            found.append(Finding(weight, "right" if pin else "as fetched", sha256, known.sha256))
    return found


def pins_of(weights: Sequence[Weight]) -> dict[str, Pin]:
    """What the lock file should say of files that are here.

    Raises:
        WeightsError: a file is missing, or is not what the registry or its own fetching says.
    """
    notes = read_notes()
    pins = {}
    for finding in check(weights, {}):
        weight = finding.weight
        if finding.state == "missing":
            raise WeightsError(f"{weight.name}: not in the folder of weights; run `{weight.fetch_command}`, then lock it")
        if finding.state == "wrong" or finding.sha256 is None:
            raise WeightsError(f"{path_of(weight)}: {wrong_text(finding)}")
        fetched = notes.get(weight.name)
        revision = weight.source.revision or (fetched.revision if fetched else None)
        pins[weight.name] = Pin(finding.sha256, path_of(weight).stat().st_size, revision)
    return pins


def wrong_text(finding: Finding) -> str:
    """What is wrong, and what to do."""
    got, should = (finding.sha256 or "")[:12], (finding.should_be or "")[:12]
    return f"digest is {got}, should be {should}; run `{finding.weight.fetch_command}` to get it anew"
