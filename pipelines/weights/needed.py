"""Needed: fetched weights that a run is about to use: whether they are here, and what they add to fingerprints."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

from pipelines.weights.folder import locate, locate_all
from pipelines.weights.records import LOCK_FILE, read_lock, sha256_of, wanted
from pipelines.weights.registry import weight_named
from schemas.errors import WeightsError
from schemas.fingerprint import digest


def digest_of(root: Path, names: Iterable[str]) -> str | None:
    """What fetched weights add to a fingerprint: the pinned digests, or those of the files where nothing pins them.

    Raises:
        WeightsError: a file that nothing pins is not here.
    """
    lock = read_lock(root)
    known = {}
    for name in names:
        pin = wanted(weight_named(name), lock)
        known[name] = pin.sha256 if pin else _sha256_of(path := locate(name), path.stat().st_mtime_ns)
    return digest(known) if known else None


@functools.lru_cache(maxsize=64)
def _sha256_of(path: Path, _mtime_ns: int) -> str:
    """A command works out many fingerprints; a file of hundreds of megabytes is read once."""
    return sha256_of(path)


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
