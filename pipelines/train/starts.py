"""Starts: weights that a run begins with, instead of random ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import ParamsError

if TYPE_CHECKING:
    from fauforensics.network import FauForensics
    from fauforensics.reference import ReferenceFauForensics


@dataclass(frozen=True, slots=True)
class Starts:
    """Files. `checkpoint`: one of ours; `csn`, `whisper`, `fau`: the public pre-trainings of the reference preset's encoders."""

    checkpoint: Path | None = None
    csn: Path | None = None
    whisper: Path | None = None
    fau: Path | None = None

    def load_into(self, net: FauForensics | ReferenceFauForensics) -> None:
        """Fills the network.

        Raises:
            ParamsError: a public pre-training for a preset that has no such encoder.
            CheckpointError: a file is missing, damaged, or holds something else.
        """
        from fauforensics import pretrained  # noqa: PLC0415 - torch is slow to import
        from fauforensics.reference import ReferenceFauForensics  # noqa: PLC0415

        public = {"csn": self.csn, "whisper": self.whisper, "fau": self.fau}
        given = [name for name, path in public.items() if path is not None]
        if self.checkpoint is not None:
            _load_own(self.checkpoint, net)
        if not isinstance(net, ReferenceFauForensics):
            if given:
                raise ParamsError(f"--init-{given[0]}: preset {net.config.preset!r} has no such encoder; use --preset reference")
            return
        if self.csn is not None:
            pretrained.load_csn(net, self.csn)
        if self.whisper is not None:
            pretrained.load_whisper(net, self.whisper)
        if self.fau is not None:
            pretrained.load_fau(net, self.fau)

    def digest(self) -> str:
        """Of the bytes of all files: part of what names a run."""
        found = hashlib.blake2b(digest_size=16)
        for field in fields(self):
            path = getattr(self, field.name)
            found.update(f"{field.name}:".encode() + (path.read_bytes() if path is not None and path.is_file() else b""))
        return found.hexdigest()


def _load_own(path: Path, net: FauForensics | ReferenceFauForensics) -> None:
    """One of our checkpoints, with sizes equal to the network's."""
    from fauforensics.checkpoint import load_checkpoint  # noqa: PLC0415
    from fauforensics.checkpoint_info import read_info  # noqa: PLC0415
    from fauforensics.fitting import load_fitting  # noqa: PLC0415

    other, _ = load_checkpoint(path, net.config.preset, read_info(path).fau_backend)
    load_fitting(net, other.state_dict(), str(path))
