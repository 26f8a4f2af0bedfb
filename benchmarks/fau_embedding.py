"""What a stored feature vector saves: the frozen FAU encoders against reading their answers back, in one run on one core.

Full-size architectures with drawn weights, which cost what trained ones cost. For the reference network it also times one window of the
video encoder, which no cache spares: the share that a cached FAU trunk saves of a second scoring at each stride. Writes fau_embedding.json.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ[_name] = "1"

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import torch

from fauforensics.encoders.csn import CsnVideoEncoder
from fauforensics.encoders.resnet import FrozenFauEncoder
from pipelines.parquet import to_bytes
from schemas.tables import FAU_FEATURES
from stages.contract import table_from_columns

HERE = Path(__file__).parent
REPEATS = 5
TICKS = 25
MINUTE_TICKS = 1500


def seconds(work: Callable[[], Any]) -> float:
    """Median, after one run that does not count."""
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return sorted(times[1:])[REPEATS // 2]


def multitask() -> Callable[[torch.Tensor], Any]:
    """py-feat's network with the backbone that it is published with."""
    from feat.multitask.model_v2 import MEGraphAUv2, ModelV2Config

    import stages.pyfeat.adapter  # noqa: F401 - py-feat's first import, with its effects undone

    config = ModelV2Config(
        n_au=20, n_emotion=7, n_blendshape=52, mesh_normalized=True, use_head_v3=True, drop_mefl=True, gaze_eye_roi=True, pretrained=False
    )
    return MEGraphAUv2(config).eval()


def main() -> None:
    """Measures and writes."""
    torch.manual_seed(0)
    width = 512
    features = np.random.default_rng(0).normal(size=(MINUTE_TICKS, width)).astype(np.float32)
    lists = pa.ListArray.from_arrays(np.arange(MINUTE_TICKS + 1, dtype=np.int32) * width, pa.array(features.reshape(-1)))
    columns = {"content_id": ["0" * 32] * MINUTE_TICKS, "track": [0] * MINUTE_TICKS, "tick": list(range(MINUTE_TICKS)), "features": lists}
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        path = Path(folder, "features.parquet")
        path.write_bytes(to_bytes(table_from_columns(columns, FAU_FEATURES)))
        read_ms = seconds(lambda: pa.parquet.read_table(path)) / MINUTE_TICKS * 1e3
        trunk = FrozenFauEncoder(width, 112, batch_stats=False).eval()
        trunk_ms = seconds(lambda: trunk.per_tick(torch.zeros(TICKS, 3, 112, 112))) / TICKS * 1e3
        csn = CsnVideoEncoder(width).eval()
        window_ms = seconds(lambda: csn(torch.zeros(1, 3, TICKS, 112, 112))) * 1e3
        net = multitask()
        multitask_ms = seconds(lambda: net(torch.zeros(8, 3, 224, 224))) / 8 * 1e3
        size = path.stat().st_size / MINUTE_TICKS
    saved = {str(stride): trunk_ms / (trunk_ms + window_ms / stride) for stride in (1, 5, 25)}
    result = {
        "ms_per_tick": {"read": read_ms, "reference_trunk": trunk_ms, "multitask": multitask_ms},
        "ms_per_window_reference_video_encoder": window_ms,
        "computing_to_reading": {"reference_trunk": trunk_ms / read_ms, "multitask": multitask_ms / read_ms},
        "share_of_reference_visual_encoders_that_a_cached_trunk_would_spare_by_stride": saved,
        "bytes_per_tick": size,
        "load_average_at_the_end": os.getloadavg()[0],
    }
    text = json.dumps(result, indent=1)
    (HERE / "fau_embedding.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
