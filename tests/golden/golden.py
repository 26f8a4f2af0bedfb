"""Golden files: what each stage made of a fixed input, with the stage's version; and how close it must stay.

Each stage has an input of its own, which does not come from the stage before it: a stage that changes fails alone. Parameters are
spelled out, as a changed default changes the fingerprint by itself.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.parquet import to_bytes
from schemas.params import AudioParams, DecodeParams, FaceParams, FauParams, LabelParams, ScoreParams, SegmentParams
from schemas.tables import AUDIO, FACES, FAU, FRAMES, LABELS, SCORES
from stages import versions
from stages.contract import as_frame, concat, table_from_columns
from tests.conftest import FACE_NOFACE, SINGLE_FACE, inventory_row, media

FOLDER = Path(__file__).parent
MAKE = "python tests/golden/make.py"
Tables = dict[str, pa.Table]

_DECODE = DecodeParams(max_pixels=8192 * 4320, max_minutes=240, max_frames=2_000_000)
_FACES = FaceParams(
    detect_every_ticks=5, min_detection_score=0.5, min_presence=0.5, min_face_px=24, max_faces=8, max_gap_ticks=25, min_track_ticks=5,
    cut_threshold=0.5, crop_px=160, crop_format="jpeg", jpeg_quality=92,
)  # fmt: skip
_SCORE = ScoreParams(
    preset="lite", stride_ticks=5, min_face_ticks=20, min_audio_ticks=20, silence_dbfs=-60.0, batch_windows=256, device="cpu",
    precision="float32",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """One stage: its version, how to run it, and for each column that is no exact matter (atol, rtol)."""

    version: int
    run: Callable[[], Tables]
    close: Mapping[str, tuple[float, float]]


class ChangedError(AssertionError):
    """A stage's output is not that of its golden file."""


# --- What the stages are given ---


def _inventory() -> Tables:
    return {"inventory": inventory_row(SINGLE_FACE.path, _DECODE)}


def _faces() -> Tables:
    from stages.faces import Faces

    result = Faces(_DECODE, _FACES)(inventory_row(SINGLE_FACE.path, _DECODE), media(SINGLE_FACE.path))
    return {"faces": _coarse(result.rows), "frames": result.side["frames"]}


def _coarse(faces: pa.Table) -> pa.Table:
    """FACES without the bulk: crops as size and 8 x 8 mean luma, the mesh of every tenth row."""
    luma, side = [], []
    for data in faces["crop"].to_pylist():
        grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
        side.append(len(grey))
        luma.append(cv2.resize(grey, (8, 8), interpolation=cv2.INTER_AREA).reshape(-1))
    mesh = [values if row % 10 == 0 else None for row, values in enumerate(faces["landmarks"].to_pylist())]
    kept = faces.drop(["crop", "landmarks"])
    kept = kept.append_column("landmarks", pa.array(mesh, FACES.field("landmarks").type))
    kept = kept.append_column("crop_px", pa.array(side, pa.int16()))
    return kept.append_column("crop_luma", pa.array(luma, pa.list_(pa.uint8(), 64)))


def _fau() -> Tables:
    from stages import fau

    return {"fau": fau.run(_input("faces"), FauParams(neutral_max_yaw_deg=30.0)).rows}


def _audio() -> Tables:
    from stages.audio import Audio

    stage = Audio(AudioParams(speech_floor_db=12.0))
    clips = (SINGLE_FACE, FACE_NOFACE)  # the first is quiet; in the second the sound starts late, and somebody speaks
    rows = concat([stage(inventory_row(clip.path, _DECODE), media(clip.path)).rows for clip in clips], AUDIO)
    mels = [values if row % 10 == 0 else None for row, values in enumerate(rows["power_db"].to_pylist())]
    return {"audio": rows.set_column(rows.column_names.index("power_db"), "power_db", pa.array(mels, AUDIO.field("power_db").type))}


def _score() -> Tables:
    """A network of weights drawn here: those that ship may change, and their digest is part of the fingerprint."""
    import torch

    from fauforensics import build, save_checkpoint
    from fauforensics.checkpoint_info import Calibration
    from stages.score import Score

    net, rng = build("lite"), np.random.default_rng(0)
    with torch.no_grad():
        for name, weight in net.named_parameters():
            drawn = torch.from_numpy(2 * rng.random(tuple(weight.shape)) - 1).float()  # a generator's plain doubles are the same for ever
            if weight.ndim > 1:  # heads that say more than usual, so that a small difference before them shows
                weight.copy_(drawn * (2 if "head" in name else (3 / weight[0].numel()) ** 0.5))
            elif name.endswith("bias"):
                weight.copy_(drawn / 10)
    faces, audio = _input("faces"), _input("audio")
    aus = {name: rng.random(faces.num_rows) for name in FAU.names[3:]}
    units = table_from_columns({name: faces[name] for name in FAU.names[:3]} | aus, FAU)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.safetensors")
        ones = dict.fromkeys(("total", "audio", "visual"), 1.0)
        save_checkpoint(path, net, "mesh", "0" * 32, Calibration(ones, dict.fromkeys(ones, 0.0), 0.7, 0.5))
        stage = Score(_SCORE, path, "mesh")
    return {"scores": stage(faces, units, audio).rows}


def _label() -> Tables:
    """Two faces, damaged frames, sound that ends early, frames before and behind the faces."""
    from fauforensics.checkpoint_info import Calibration
    from stages.label import Label

    ticks, tracks = range(70), {0: range(3, 65), 1: range(20, 48)}
    frames = [
        {"frame_index": i, "pts_us": i * 33_333, "tick": round(i * 33_333 / 40_000), "reason": "bad_packets" if 30 <= i < 34 else None}
        for i in range(80)
    ]
    faces = [
        {"track": track, "tick": t, "box": [10.0, 20.0, 60.0 + t, 90.0], "sharpness": 5.0 * t, "yaw_deg": 1.0 * t, "pitch_deg": -2.0}
        for track, own in tracks.items()
        for t in own
    ]
    audio = [{"tick": t, "reason": "audio_ends_early" if t > 50 else None} for t in ticks]
    scores = []
    for track, own in {None: ticks, **tracks}.items():
        for start in range(own.start, own.stop - 24, 5):
            wave = {head: (3 - start / 25) * np.sin(start / 4 + place) for place, head in enumerate(("total", "audio", "visual"))}
            quiet = start > 30
            heads = ("audio",) if track is None else ("visual",) if quiet else ("total", "visual")
            row = {"track": track, "start_tick": start, "reason": "audio_ends_early" if quiet and track is not None else None}
            row |= {f"logit_{head}": wave[head] for head in heads}
            scores.append(row | {f"evidence_{head}": np.linspace(-1, 1, 25) * wave[head] for head in heads})
    shift = {"total": 0.5, "audio": 0.0, "visual": -0.25}
    stage = Label(LabelParams(smooth_ticks=5), Calibration({"total": 0.8, "audio": 1.2, "visual": 1.0}, shift, 0.88, 0.6), "golden")
    given = ((frames, FRAMES), (faces, FACES), (audio, AUDIO), (scores, SCORES))
    return {"labels": stage(*(_table(rows, schema) for rows, schema in given)).rows}


def _segments() -> Tables:
    """Gaps that are bridged and gaps that are not, spans that are too short, a hole in time, sound of its own."""
    from stages import segments

    rows = []
    for track in (0, 1):
        for i in range(90):
            if 50 <= i < 62:
                continue
            p = 0.9 if track and 70 <= i < 73 else 0.5 + 0.45 * np.sin(i / (4 + 5 * track) + track)
            fast = 0.5 + 0.45 * np.sin(i / 1.3)
            rows.append({"track": track, "frame_index": i, "pts_us": i * 40_000, "p_total": p, "p_visual": fast, "p_audio": 0.9 - p / 2})
    params = SegmentParams(max_gap_ms=200, min_length_ms=200)
    return {"segments": segments.run(as_frame(_table([r | {"provenance_id": "golden"} for r in rows], LABELS)), params, 0.75, 0.5).rows}


def _curate() -> Tables:
    """Twelve videos of six people, half of them forged, some of one source; strata, caps and all three splits."""
    from tests.stages.curate.made_archive import curate, frames, inputs, video

    names = [f"{kind}{number}" for number in range(6) for kind in "rf"]
    rows = [
        video(name, fake=name[0] == "f", identities=[f"made:{name[1]}"], source=f"set/r{name[1]}.mp4" if name[0] == "f" else None)
        for name in names
    ]
    recipe = {"splits": {"train": 0.5, "dev": 0.25, "test": 0.25}, "sample": {"caps": {"video": 2}}, "seed": 3}
    made = curate(inputs(rows, [row for name in names for row in frames(name)]), recipe).selection
    spans = pl.col("fake_spans").map_elements(lambda spans: str(spans.to_list()), pl.String)
    return {"selection": made.with_columns(fake_spans=spans).to_arrow()}


def _looks() -> Tables:
    from stages.curate.near import looks_of

    return {"looks": looks_of(as_frame(_input("faces")))}


def _table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    filled = [{"content_id": "video"} | row for row in rows]
    return table_from_columns({name: [row.get(name) for row in filled] for name in schema.names}, schema)


def _input(name: str) -> pa.Table:
    """Of `make_inputs`."""
    return pq.read_table(FOLDER / "inputs" / f"{name}.parquet")


def make_inputs() -> None:
    """28 ticks of the clip's face, crops at 64 pixels, and 43 of its sound, as the stages make them on the day this is called."""
    from stages.audio import Audio
    from stages.faces import Faces, decode_crop, encode_crop

    video, params = inventory_row(SINGLE_FACE.path, _DECODE), _FACES.model_copy(update={"jpeg_quality": 85})
    faces = Faces(_DECODE, _FACES)(video, media(SINGLE_FACE.path)).rows.slice(10, 28)
    crops = [encode_crop(cv2.resize(decode_crop(c), (64, 64), interpolation=cv2.INTER_AREA), params) for c in faces["crop"].to_pylist()]
    audio = Audio(AudioParams(speech_floor_db=12.0))(video, media(SINGLE_FACE.path)).rows.slice(0, 43)
    (FOLDER / "inputs").mkdir(exist_ok=True)
    faces = table_from_columns({name: faces[name] for name in FACES.names} | {"crop": crops}, FACES)
    for name, table in (("faces", faces), ("audio", audio)):
        (FOLDER / "inputs" / f"{name}.parquet").write_bytes(to_bytes(table))


# --- How close ---

_FACES_CLOSE = {
    "box": (0.5, 0.0), "landmarks": (0.01, 0.0), "pitch_deg": (0.5, 0.0), "yaw_deg": (0.5, 0.0), "roll_deg": (0.5, 0.0),
    "sharpness": (0.0, 0.05), "presence": (0.01, 0.0), "crop_luma": (4.0, 0.0),
}  # fmt: skip
"""OpenCV's resizing and XNNPACK's kernels differ by CPU, and each tick starts from the face of the one before. Without AVX2 in OpenCV
boxes move by 0.07 px, angles by 0.07 degrees, meshes by 0.0005, luma by 1; the bounds are four to twenty times that."""
_NETWORK = (1e-4, 1e-4)
"""float32 sums in the order of the CPU's SIMD width: 1e-7 between AVX-512, AVX2 and none."""
_AUDIO_CLOSE = {"power_db": (0.005, 0.0), "loudness_dbfs": (1e-3, 0.0)}
"""dB of tiny powers magnify last bits: 2e-5 between AVX-512 and none."""
_HALF = (2e-3, 2e-3)
"""float16: two steps at 1."""

CASES: dict[str, Case] = {
    "inventory": Case(versions.INVENTORY, _inventory, {"frame_rate": (0.0, 1e-9)}),
    "faces": Case(versions.FACES, _faces, _FACES_CLOSE),
    "fau": Case(versions.FAU, _fau, dict.fromkeys(FAU.names[3:], (1e-4, 0.0))),  # float64 inside; an SVD may end in other last bits
    "audio": Case(versions.AUDIO, _audio, _AUDIO_CLOSE),
    "score": Case(versions.SCORE, _score, {n: _NETWORK for n in SCORES.names if n.startswith(("logit", "evidence"))}),
    "label": Case(versions.LABEL, _label, dict.fromkeys(("quality", "p_total", "p_audio", "p_visual", "evidence"), _HALF)),
    "segments": Case(versions.SEGMENTS, _segments, {"start_s": (1e-9, 0.0), "end_s": (1e-9, 0.0), "score": (1e-5, 0.0)}),
    "curate": Case(versions.CURATE, _curate, {"p_total": (1e-6, 0.0), "weight": (1e-6, 0.0)}),
    "looks": Case(versions.LOOKS, _looks, {"shape": (2.0, 0.0)}),  # JPEG decoders differ in last bits
}


@functools.cache
def output(stage: str) -> Tables:
    """What the stage makes today."""
    return CASES[stage].run()


# --- Files ---


def write(stage: str, tables: Tables, folder: Path = FOLDER) -> None:
    """The golden files of a stage, one for each table."""
    for name, table in tables.items():
        stamp = {"golden.stage": stage, "golden.version": str(CASES[stage].version)}
        (folder / f"{stage}-{name}.parquet").write_bytes(to_bytes(table.replace_schema_metadata(stamp)))


def read(stage: str, folder: Path = FOLDER) -> Tables:
    """The golden tables of a stage, by name; none where there are no files yet."""
    return {path.stem.removeprefix(f"{stage}-"): pq.read_table(path) for path in sorted(folder.glob(f"{stage}-*.parquet"))}


def written_version(tables: Tables) -> int:
    """The version that the stage had when its files were written."""
    (version,) = {int(table.schema.metadata[b"golden.version"]) for table in tables.values()}
    return version


def check(stage: str, now: Tables, before: Tables) -> None:
    """Compares a stage's output with its golden files.

    Raises:
        ChangedError: the files are of another version, or of this one and the output is another; the message says what to do.
    """
    case = CASES[stage]
    if not before or written_version(before) != case.version:
        held = f"is of version {written_version(before)}" if before else "is not there"
        raise ChangedError(f"{stage}: the stage is version {case.version}, its golden file {held}; run `{MAKE}`")
    if found := [*differences(case, now, before)]:
        raise ChangedError(
            f"{stage}: the output changed ({'; '.join(found[:5])}), and its version is still {case.version}. If that is meant, raise "
            f"{stage.upper()} in stages/versions.py and run `{MAKE}`; otherwise old results and new ones would be taken for the same"
        )


def differences(case: Case, now: Tables, before: Tables) -> list[str]:
    """What is not as before, a line for each column."""
    if now.keys() != before.keys():
        return [f"tables {sorted(now)}, were {sorted(before)}"]
    found = []
    for name, table in now.items():
        old = before[name]
        if table.column_names != old.column_names or table.num_rows != old.num_rows:
            found.append(f"{name} has {table.num_rows} rows of {table.column_names}, had {old.num_rows} of {old.column_names}")
            continue
        for column in table.column_names:
            if why := _column_differs(table[column], old[column], case.close.get(column)):
                found.append(f"{name}.{column}: {why}")
    return found


def _column_differs(now: pa.ChunkedArray, before: pa.ChunkedArray, close: tuple[float, float] | None) -> str | None:
    if now.type != before.type:
        return f"is {now.type}, was {before.type}"
    if close is None:
        wrong = sum(a != b for a, b in zip(now.to_pylist(), before.to_pylist(), strict=True))
        return f"{wrong} of {len(now)} values" if wrong else None
    a, b = _numbers(now), _numbers(before)
    wrong = ~np.isclose(a, b, atol=close[0], rtol=close[1], equal_nan=True)
    if not wrong.any():
        return None
    both = np.isfinite(a) & np.isfinite(b)
    return f"{int(wrong.sum())} of {wrong.size} values, by up to {np.abs(a - b)[both].max(initial=0):.3g}"


def _numbers(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """(rows, values) float64; NaN where a cell is null."""
    width = column.type.list_size if pa.types.is_fixed_size_list(column.type) else 1
    cells = [np.full(width, np.nan) if cell is None else np.atleast_1d(np.asarray(cell, np.float64)) for cell in column.to_pylist()]
    return np.stack(cells) if cells else np.zeros((0, width))
