"""Samples: a clip's faces, action units and sound as the files and columns that trainers load."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.tables import CURATED
from schemas.timebase import HOPS_PER_TICK

FLOOR_DB = -100.0
"""Of a tick without sound."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A clip of T ticks with its media; N of the ticks show the face.

    ticks (N,) counted from the clip's start; crops (N,) JPEG or PNG bytes; aus (N, 20) float32, NaN where unknown;
    mel_db (4 T, 80) float32, mel power in decibels; audio_ticks: ticks that have sound.
    """

    row: dict[str, Any]
    ticks: list[int]
    crops: list[bytes]
    aus: NDArray[np.float32]
    mel_db: NDArray[np.float32]
    audio_ticks: int

    @property
    def num_ticks(self) -> int:
        return int(self.row["end_tick"] - self.row["start_tick"])


def files(sample: Sample) -> list[tuple[str, bytes]]:
    """(ending, bytes) of a WebDataset sample: `NNN.jpg` for each tick with a face, `json`, `mel.npy`, `aus.npy`."""
    pictures = [(f"{tick:03d}.{_kind(data)}", data) for tick, data in zip(sample.ticks, sample.crops, strict=True)]
    facts = sample.row | {"ticks": sample.ticks, "audio_ticks": sample.audio_ticks, "label": int(sample.row["target"] == "fake")}
    text = json.dumps(facts, sort_keys=True, allow_nan=False, ensure_ascii=False).encode()
    return [*pictures, ("aus.npy", _npy(sample.aus)), ("json", text), ("mel.npy", _npy(sample.mel_db))]


def _kind(data: bytes) -> str:
    return "png" if data.startswith(b"\x89PNG") else "jpg"


def _npy(array: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


_PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_LABELS = ["real", "fake"]


def hub_schema() -> pa.Schema:
    """Columns of the Hugging Face export: those of CURATED, `label`, and the media; with the features that `datasets` reads."""
    kept = [field for field in CURATED if field.name != "target"]
    fields = [
        *(pa.field(f.name, _plain(f.type)) for f in kept),
        pa.field("label", pa.int64()),
        pa.field("ticks", pa.list_(pa.int32())),
        pa.field("crops", pa.list_(_PICTURE)),
        pa.field("aus", pa.list_(pa.list_(pa.float32()))),
        pa.field("mel_db", pa.list_(pa.list_(pa.float32()))),
        pa.field("audio_ticks", pa.int32()),
    ]
    features = {f.name: _feature(f.type) for f in fields}
    features["label"] = {"names": _LABELS, "_type": "ClassLabel"}
    features["crops"] = {"feature": {"_type": "Image"}, "_type": "Sequence"}
    info = {"info": {"features": features}}
    return pa.schema(fields, {"huggingface": json.dumps(info, sort_keys=True)})


def hub_table(samples: list[Sample]) -> pa.Table:
    """Rows of `hub_schema`."""
    rows = [
        {k: v for k, v in s.row.items() if k != "target"}
        | {"label": _LABELS.index(s.row["target"]), "ticks": s.ticks, "audio_ticks": s.audio_ticks}
        | {"crops": [{"bytes": data, "path": None} for data in s.crops], "aus": s.aus.tolist(), "mel_db": s.mel_db.tolist()}
        for s in samples
    ]
    return pa.Table.from_pylist(rows, hub_schema())


def _plain(kind: pa.DataType) -> pa.DataType:
    """Lists of any length: `datasets` writes features of fixed lists in several ways, and reads this one in all versions."""
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain(kind.value_type))
    return kind


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "Sequence"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    return {"dtype": {"float": "float32", "double": "float64"}.get(str(kind), str(kind)), "_type": "Value"}


def empty_mel(num_ticks: int) -> NDArray[np.float32]:
    """(4 T, 80) of silence."""
    return np.full((num_ticks * HOPS_PER_TICK, 80), FLOOR_DB, np.float32)
