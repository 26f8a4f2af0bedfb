"""Columns that a curation recipe may name: what each holds and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from schemas.reasons import Reason
from schemas.tables import INVENTORY

Kind = Literal["number", "text", "texts", "flag"]
Origin = Literal["video", "labels", "targets", "faces", "audio"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the clips as they are filtered, counted and sampled."""

    kind: Kind
    origin: Origin
    """`faces` and `audio` are tables of the store, which are read only when a recipe names one of their columns."""
    about: str
    values: tuple[str, ...] | None = None
    """All that there can be; None: what the data holds."""


def _kind(field: pa.Field) -> Kind | None:
    if pa.types.is_boolean(field.type):
        return "flag"
    if pa.types.is_string(field.type):
        return "text"
    if pa.types.is_integer(field.type) or pa.types.is_floating(field.type):
        return "number"
    return "texts" if field.type == pa.list_(pa.string()) else None


_SPLITS = ("train", "dev", "test")
_TARGETS = ("real", "fake")
_STREAMS = ("real", "audio", "visual", "both", "unknown")
_OF_INVENTORY = {
    field.name: Column(kind, "video", "As in the inventory.")
    for field in INVENTORY
    if (kind := _kind(field)) is not None and field.name not in {"reason", "outcome", "detail"}
}

COLUMNS: dict[str, Column] = {
    **_OF_INVENTORY,
    "dataset": Column("text", "video", "truth_dataset, or else the first folder of the uri."),
    "method": Column("texts", "video", "truth_methods; no values for a real video."),
    "identity": Column("texts", "video", "truth_identities."),
    "source": Column("text", "video", "truth_source; the video's own uri where that is null."),
    "official_split": Column("text", "video", "truth_split.", _SPLITS),
    "duration_s": Column("number", "video", "Length of the video in seconds."),
    "video": Column("text", "video", "content_id."),
    "track": Column("number", "labels", "Number of the face in its video."),
    "start_s": Column("number", "labels", "Where the clip begins."),
    "quality": Column("number", "labels", "Mean quality of the face, 0 to 1."),
    "face_px": Column("number", "labels", "Mean of the shorter side of the face's box, in pixels."),
    "face_share": Column("number", "labels", "Share of the clip's ticks that show the face."),
    "labelled_share": Column("number", "labels", "Share of its frames that have a label."),
    "p": Column("number", "labels", "Mean probability of fake by the head of `targets.head`; p_visual where there is no sound."),
    "p_total": Column("number", "labels", "Mean of the frames' p_total."),
    "p_audio": Column("number", "labels", "Mean of the frames' p_audio."),
    "p_visual": Column("number", "labels", "Mean of the frames' p_visual."),
    "confidence": Column("number", "labels", "2 |p - 1/2|: 0 is a coin, 1 is certain."),
    "reason": Column("texts", "labels", "Reasons of its frames (docs/labels.md).", tuple(Reason)),
    "truth_target": Column("text", "targets", "real or fake, by the truth.", _TARGETS),
    "predicted_target": Column("text", "targets", "real or fake, what more than half of its labelled frames say.", _TARGETS),
    "target": Column("text", "targets", "real or fake, by `targets.target_from`.", _TARGETS),
    "target_from": Column("text", "targets", "truth or prediction.", ("truth", "prediction")),
    "agreement": Column("flag", "targets", "Whether truth and prediction say the same; null where one says nothing."),
    "loss": Column("number", "targets", "Cross-entropy of p against the truth, in nats."),
    "fake_share": Column("number", "targets", "Share of the clip's time in fake spans."),
    "edges": Column("number", "targets", "Beginnings and ends of fake spans inside the clip."),
    "modality": Column("text", "targets", "real, audio, visual, both, or unknown: which stream of the clip is fake.", _STREAMS),
    "yaw_deg": Column("number", "faces", "Largest turn to a side, without its sign."),
    "pitch_deg": Column("number", "faces", "Largest tilt up or down, without its sign."),
    "roll_deg": Column("number", "faces", "Largest roll, without its sign."),
    "sharpness": Column("number", "faces", "Mean sharpness of the crop."),
    "presence": Column("number", "faces", "Least certainty of the mesh that this is a face."),
    "speech": Column("number", "audio", "Share of the ticks with speech."),
    "loudness_dbfs": Column("number", "audio", "Mean loudness."),
}  # fmt: skip
"""All columns that filters may name."""

SPLIT = Column("text", "targets", "The split that was assigned.")
GROUPS: dict[str, Column] = {name: column for name, column in COLUMNS.items() if column.kind != "number"} | {"split": SPLIT}
"""Columns by which clips can be grouped, in strata, caps and balance."""
