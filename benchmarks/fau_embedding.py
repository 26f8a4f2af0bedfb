"""What stored features save: the frozen FAU encoders against reading their answers back, in one run on one core.

Full-size architectures with drawn weights, which cost what trained ones cost. Scoring of one track with the reference preset at three
strides, and one training step of it, each with the trunk run anew and with its features read. Writes fau_embedding.json. About ten minutes.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ[_name] = "1"

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import torch

from fauforensics import build, save_checkpoint
from fauforensics.checkpoint_info import OWN_FAU, Calibration
from pipelines.parquet import to_bytes
from pipelines.train.batches import Batch
from pipelines.train.objective import ReferenceObjective
from schemas.au import AU_NAMES
from schemas.params import FauParams, ScoreParams
from schemas.tables import AUDIO, FACES, FAU
from schemas.train import train_params
from stages.contract import table_from_columns
from stages.frozen_features import FrozenFeatures
from stages.score import Score

HERE = Path(__file__).parent
TRACK_TICKS = 49
STRIDES = (1, 5, 25)
TRAIN_WINDOWS = 2
REPEATS = 3
HEADS = ("total", "audio", "visual")


def seconds(work: Callable[[], Any], repeats: int = REPEATS) -> float:
    """CPU seconds, median, after one run that does not count: what else runs on the machine drops out but for memory and cache."""
    times = []
    for _ in range(repeats + 1):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return sorted(times[1:])[repeats // 2]


def multitask() -> Callable[[torch.Tensor], Any]:
    """py-feat's network with the backbone that it is published with."""
    from feat.multitask.model_v2 import MEGraphAUv2, ModelV2Config

    import stages.pyfeat.adapter  # noqa: F401 - py-feat's first import, with its effects undone

    config = ModelV2Config(
        n_au=20, n_emotion=7, n_blendshape=52, mesh_normalized=True, use_head_v3=True, drop_mefl=True, gaze_eye_roi=True, pretrained=False
    )
    return MEGraphAUv2(config).eval()


def track() -> tuple[pa.Table, pa.Table, pa.Table]:
    """FACES, FAU and AUDIO of one face of noise."""
    rng, ticks = np.random.default_rng(0), range(TRACK_TICKS)
    crops = [cv2.imencode(".jpg", rng.integers(0, 255, (160, 160, 3), dtype=np.uint8))[1].tobytes() for _ in ticks]
    keys = {"content_id": ["0" * 32] * TRACK_TICKS, "track": [0] * TRACK_TICKS, "tick": list(ticks)}
    own = {**keys, "frame_index": list(ticks), "crop": crops}
    faces = table_from_columns({name: own.get(name, [None] * TRACK_TICKS) for name in FACES.names}, FACES)
    fau = table_from_columns({**keys, **{au: [0.0] * TRACK_TICKS for au in AU_NAMES}}, FAU)
    sound = {"content_id": keys["content_id"], "tick": list(ticks), "power_db": [rng.normal(-20, 10, 320) for _ in ticks]}
    facts = {"loudness_dbfs": [-20.0] * TRACK_TICKS, "speech": [True] * TRACK_TICKS, "reason": [None] * TRACK_TICKS}
    return faces, fau, table_from_columns(sound | facts, AUDIO)


def scoring(weights: Path) -> dict[str, Any]:
    """One track, trunk computed against trunk read, and what it cost to compute it for keeping."""
    faces, fau, audio = track()
    keep = FrozenFeatures(FauParams(embedding="me-graphau", device="cpu"), weights)
    found: dict[str, Any] = {"keep_ms_per_tick": seconds(lambda: keep(faces)) / TRACK_TICKS * 1e3}
    features = keep(faces)
    for stride in STRIDES:
        params = ScoreParams(preset="reference", device="cpu", precision="float32", stride_ticks=stride)
        stage = Score(params, weights, "mesh")
        runs = 1 if stride == 1 else REPEATS
        computed_s = seconds(lambda: stage(faces, fau, audio), runs)  # noqa: B023 - called at once
        read_s = seconds(lambda: stage(faces, fau, audio, features), runs)  # noqa: B023
        found[f"stride_{stride}"] = {
            "seconds_computed": computed_s,
            "seconds_read": read_s,
            "share_saved": 1 - read_s / computed_s,
        }
    return found


def training() -> dict[str, Any]:
    """One step of the published recipe, forwards and back, without its batch's making."""
    params = train_params("reference", {"batch_clips": TRAIN_WINDOWS}, "benchmark")
    torch.manual_seed(0)
    objective = ReferenceObjective(build("reference").train(), params)
    shape = (TRAIN_WINDOWS, 25)
    flags = {head: torch.rand(shape) < 0.5 for head in HEADS}
    zeros = torch.zeros(TRAIN_WINDOWS, 3)
    asked = {head: torch.ones(TRAIN_WINDOWS, dtype=torch.bool) for head in HEADS}
    plain = Batch(
        crops=torch.randint(0, 255, (*shape, 3, 112, 112), dtype=torch.uint8),
        erase=torch.zeros(TRAIN_WINDOWS, 4, dtype=torch.int64),
        gain=zeros,
        offset=zeros,
        aus=torch.rand(*shape, 20),
        log_mel=torch.rand(TRAIN_WINDOWS, 100, 80),
        time_mask=torch.zeros(shape, dtype=torch.bool),
        speech=torch.ones(shape, dtype=torch.bool),
        fake=flags,
        asked=asked,
    )
    kept = dataclasses.replace(plain, features=torch.rand(*shape, 512))

    def step(batch: Batch) -> None:
        objective.zero_grad()
        objective(batch, "whole").backward()

    computed_s, read_s = seconds(lambda: step(plain)), seconds(lambda: step(kept))
    return {"windows": TRAIN_WINDOWS, "seconds_computed": computed_s, "seconds_read": read_s, "share_saved": 1 - read_s / computed_s}


def reading() -> dict[str, Any]:
    """A minute of features on the disk."""
    from schemas.tables import FAU_FEATURES

    width, ticks = 512, 1500
    features = np.random.default_rng(0).normal(size=(ticks, width)).astype(np.float32)
    lists = pa.ListArray.from_arrays(np.arange(ticks + 1, dtype=np.int32) * width, pa.array(features.reshape(-1)))
    columns = {"content_id": ["0" * 32] * ticks, "track": [0] * ticks, "tick": list(range(ticks)), "features": lists}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "features.parquet")
        path.write_bytes(to_bytes(table_from_columns(columns, FAU_FEATURES)))
        return {"ms_per_tick": seconds(lambda: pa.parquet.read_table(path)) / ticks * 1e3, "bytes_per_tick": path.stat().st_size / ticks}


def main() -> None:
    """Measures and writes."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    flat = dict.fromkeys(HEADS, 1.0), dict.fromkeys(HEADS, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, "reference.safetensors")
        save_checkpoint(weights, build("reference").eval(), OWN_FAU, "0" * 32, Calibration(*flat, 0.7, 0.5))
        score = scoring(weights)
    net = multitask()
    with torch.inference_mode():
        multitask_ms = seconds(lambda: net(torch.zeros(8, 3, 224, 224))) / 8 * 1e3
    result = {
        "reading": reading(),
        "scoring_reference": score,
        "training_step_reference": training(),
        "multitask_ms_per_tick": multitask_ms,
        "load_average_at_the_end": os.getloadavg()[0],
    }
    text = json.dumps(result, indent=1)
    (HERE / "fau_embedding.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
