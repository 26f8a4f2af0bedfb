"""Records: which bytes a name stands for, as the registry, a workspace's lock and the folder's own notes have it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from pipelines.weights.folder import locate, models_folder
from pipelines.weights.registry import Weight, weight_named
from schemas.errors import WeightsError
from schemas.fingerprint import digest

LOCK_FILE = "models.lock.yaml"
_NOTES = "fetched.json"
_HEAD = "# Weights that this workspace's labels are made with. `fauscan models lock` writes it; runs hold to it.\n"


@dataclass(frozen=True, slots=True)
class Pin:
    """The bytes that are wanted, or that were fetched."""

    sha256: str
    size_bytes: int
    revision: str | None = None


def read_lock(root: Path) -> dict[str, Pin]:
    """Pins of a workspace by name; none where it has no lock file.

    Raises:
        WeightsError: the file is damaged.
    """
    path = root / LOCK_FILE
    if not path.is_file():
        return {}
    try:
        return {name: Pin(**pin) for name, pin in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).items()}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError, AttributeError):
        raise WeightsError(f"{path}: not a lock file of weights; restore it with git, or delete it and run `fauscan models lock`") from None


def write_lock(root: Path, pins: dict[str, Pin]) -> Path:
    """Replaces the lock file."""
    path = root / LOCK_FILE
    replace_whole(path, (_HEAD + yaml.safe_dump({name: asdict(pins[name]) for name in sorted(pins)}, sort_keys=True)).encode())
    return path


def read_notes() -> dict[str, Pin]:
    """What each file of the folder was when it was fetched. A damaged note counts as none: the file is what matters."""
    try:
        return {name: Pin(**pin) for name, pin in json.loads((models_folder() / _NOTES).read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def note(name: str, pin: Pin) -> None:
    """Writes down what was fetched; the folder is locked by whoever fetches."""
    notes = read_notes() | {name: pin}
    replace_whole(models_folder() / _NOTES, (json.dumps({n: asdict(notes[n]) for n in sorted(notes)}, indent=1) + "\n").encode())


def wanted(weight: Weight, lock: dict[str, Pin]) -> Pin | None:
    """The bytes that a name must have: the workspace's pin, else the registry's; None where neither knows.

    Raises:
        WeightsError: the lock pins other bytes than those that FauScan knows.
    """
    pin = lock.get(weight.name)
    if weight.sha256 is None:
        return pin
    if pin is not None and pin.sha256 != weight.sha256:
        raise WeightsError(
            f"{LOCK_FILE}: pins {weight.name} to {pin.sha256[:12]}, this FauScan knows it as {weight.sha256[:12]}; "
            f"take the entry out and run `fauscan models lock`, or install the FauScan that the lock was made with"
        )
    return Pin(weight.sha256, weight.size_bytes or (pin.size_bytes if pin else 0), weight.source.revision)


def sha256_of(path: Path) -> str:
    """Of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(root: Path, names: Iterable[str]) -> str | None:
    """What fetched weights add to a fingerprint: the pinned digests, or those of the files where nothing pins them.

    Raises:
        WeightsError: a file that nothing pins is not here.
    """
    lock = read_lock(root)
    known = {}
    for name in names:
        pin = wanted(weight_named(name), lock)
        known[name] = pin.sha256 if pin else sha256_of(locate(name))
    return digest(known) if known else None


def replace_whole(path: Path, data: bytes) -> None:
    """Writes beside, makes sure it is on disk, renames: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
