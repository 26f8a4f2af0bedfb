"""What a second of video costs at stride 5: preset `lite` beside `reference`, in operations, parameters, bytes and time.

Writes flops.json. Operations are those of convolutions and matrix products, two for each multiply-add; norms, activations and
softmax are not counted. Ratios of times are of runs in the same process, taken in turns; the machine's own speed drops out.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from fauforensics import FauForensics, ReferenceFauForensics, build, load_checkpoint
from fauforensics.checkpoint_info import read_info

HERE = Path(__file__).parent
LITE = HERE.parent / "models" / "lite.safetensors"
TICKS, STRIDE_TICKS = 25, 5
WINDOWS = TICKS // STRIDE_TICKS  # that begin in a second of video
REPEATS = 3


def operations(work: Callable[[], object]) -> int:
    """Of one run. The counter knows attention only where it is written out as products."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        work()
    return int(counter.get_total_flops())


def seconds(*works: Callable[[], object]) -> list[float]:
    """The quickest run of each, in turns: what other programs add is never negative."""
    times = [[] for _ in works]
    for _ in range(REPEATS):
        for own, work in zip(times, works, strict=True):
            start = time.perf_counter()
            work()
            own.append(time.perf_counter() - start)
    return [min(own) for own in times]


def parameters(net: nn.Module) -> int:
    """Frozen ones too."""
    return sum(p.numel() for p in net.parameters())


class LiteSecond:
    """A second of a long track: every tick is encoded once, windows share the tokens."""

    def __init__(self, net: FauForensics) -> None:
        c = net.config
        self.net = net
        self.crops = torch.rand(1, TICKS, 3, c.crop_px, c.crop_px) * 2 - 1
        self.aus, self.log_mel = torch.rand(1, TICKS, c.num_aus), torch.rand(1, 4 * TICKS, c.num_mels) * 2 - 1

    def encode(self) -> tuple[Tensor, Tensor]:
        """Tokens of all ticks."""
        return self.net.encode_video(self.crops, self.aus), self.net.encode_audio(self.log_mel)

    def window(self) -> None:
        """One window alone, from pixels to heads."""
        self.net.judge(*self.encode())

    def second(self) -> None:
        """All windows."""
        video, audio = self.encode()
        self.net.judge(video.expand(WINDOWS, -1, -1), audio.expand(WINDOWS, -1, -1))


class ReferenceSecond:
    """The same second: windows share nothing but what the FAU encoder saw in each tick."""

    def __init__(self, net: ReferenceFauForensics) -> None:
        self.net = net
        self.video, self.audio = torch.randn(1, 3, TICKS, 112, 112), torch.rand(1, 1, 4 * TICKS, 80) * 2 - 1

    def window(self) -> None:
        """One window alone, from pixels to heads."""
        self.net(self.video, self.audio)

    def second(self) -> None:
        """All windows, the FAU encoder once a tick: the least that this network can cost."""
        z_fau = self.net.fau_encoder(self.video)
        for _ in range(WINDOWS):
            self.net.judge(self.net.encode_video(self.video, z_fau), self.net.encode_audio(self.audio))


def main() -> None:
    """Measures and writes."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    lite_net, info = load_checkpoint(LITE, "lite", read_info(LITE).fau_backend)
    reference_net = build("reference").eval()
    for net in (lite_net, reference_net):
        net.requires_grad_(False)  # the counter's hooks look for graphs behind parameters
    lite, reference = LiteSecond(lite_net), ReferenceSecond(reference_net)
    with torch.inference_mode():
        parts = {
            "fau encoder": operations(lambda: reference_net.fau_encoder(reference.video)),
            "video encoder": operations(lambda: reference_net.video_encoder(reference.video)),
            "audio encoder": operations(lambda: reference_net.audio_encoder(reference.audio)),
        }
        lite_window, lite_second = operations(lite.window), operations(lite.second)
        window, once = operations(reference.window), operations(reference.second)
        lite_window_s, reference_window_s, lite_second_s, reference_second_s = seconds(
            lite.window, reference.window, lite.second, reference.second
        )
    naive = WINDOWS * window
    result = {
        "counted": "convolutions and matrix products, 2 operations a multiply-add",
        "stride_ticks": STRIDE_TICKS,
        "lite": {"crop_px": info.config.crop_px, "dim": info.config.dim, "sha256": info.sha256},
        "parameters": {"lite": parameters(lite_net), "reference": parameters(reference_net)},
        "bytes of weights": {
            "lite (file)": LITE.stat().st_size,
            "reference (tensors)": sum(t.nbytes for t in reference_net.state_dict().values()),
        },
        "GFLOP of a window": {
            "lite": giga(lite_window),
            "reference": giga(window),
            **{f"reference, {n}": giga(f) for n, f in parts.items()},
        },
        "GFLOP per second of video": {
            "lite": giga(lite_second),
            "reference, fau encoder once a tick": giga(once),
            "reference, window by window": giga(naive),
        },
        "reference over lite, operations": {
            "fau encoder once a tick (fair)": round(once / lite_second, 1),
            "window by window": round(naive / lite_second, 1),
        },
        "reference over lite, time on one thread": {
            "a window": round(reference_window_s / lite_window_s, 1),
            "a second of video, fau encoder once a tick": round(reference_second_s / lite_second_s, 1),
        },
    }
    (HERE / "flops.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def giga(count: int) -> float:
    """Four digits, as giga."""
    return float(f"{count / 1e9:.4g}")


if __name__ == "__main__":
    main()
