"""Provenance: which model, backends, parameters and code made a label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version

from fauforensics.checkpoint_info import CheckpointInfo
from schemas.fingerprint import digest
from schemas.params import PipelineParams
from schemas.tables import STORED_LABELS, table_version
from stages.label import thresholds


@dataclass(frozen=True, slots=True)
class Provenance:
    """One row of PROVENANCE."""

    provenance_id: str
    preset: str
    weights_sha256: str
    fau_backend: str
    face_backend: str
    params_digest: str
    schema_version: int
    code_version: str
    device_class: str
    fake_above: float | None = None
    """Null in receipts of FauScan 0.1.0."""
    real_below: float | None = None

    @classmethod
    def of(cls, params: PipelineParams, info: CheckpointInfo, device_class: str, fingerprint: str) -> Provenance:
        """fingerprint: of the label step; it stands for the parameters of every step before it."""
        facts = {
            "preset": info.config.preset,
            "weights_sha256": info.sha256,
            "fau_backend": info.fau_backend,
            "face_backend": params.faces.backend,
            "params_digest": fingerprint,
            "schema_version": table_version(STORED_LABELS),
            "code_version": code_version(),
            "device_class": device_class,
        }
        fake_above, real_below = thresholds(params.label, info.calibration)
        # The thresholds are no part of the id: parameters and weights decide them, and older receipts do not know them.
        return cls(provenance_id=digest(facts)[:16], fake_above=fake_above, real_below=real_below, **facts)  # type: ignore[arg-type]

    def as_notes(self) -> dict[str, str]:
        """For a receipt."""
        return {name: str(value) for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_notes(cls, notes: Mapping[str, str]) -> Provenance:
        numbers = {name: float(notes[name]) for name in ("fake_above", "real_below") if name in notes}
        return cls(**{**notes, "schema_version": int(notes["schema_version"]), **numbers})  # type: ignore[arg-type]


def code_version() -> str:
    """The installed version of FauScan."""
    return version("fauscan")
