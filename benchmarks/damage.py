"""What becomes of damaged videos here, with decord and with OpenCV: which wrong frames each returns without a word.

Writes damage.json. Clips of five codecs, each frame with its number, are damaged in the ways of tests/damage.py; what a reader gives
out is held against the undamaged clip, by time (decord: its own timestamps; OpenCV: its own position in milliseconds). decord and
OpenCV run in a process of their own that can be killed. `wrong`: frames given out that differ visibly from the right one; `unmarked`:
those of them without an error or a mark; `lost`: good frames of files that open which are not given out as good; `refused`: files
without a frame, or that take too long.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from tests.damage import HARMS, KINDS, VISIBLE, blocks, look, write_clip

SEEDS = 2
FILE_LIMIT_S, START_LIMIT_S = 4, 20
READERS = ("fauscan", "decord", "opencv")
_NEAR_US = 2_000  # decord rounds to float32 seconds, OpenCV to its own idea of a frame rate

Shown = tuple[int, NDArray[np.float32], bool]
"""Time in microseconds, what is seen in blocks of 16 x 16, and whether the reader vouches for the frame."""


@dataclass
class Count:
    """Sums over the damaged copies of one clip."""

    files: int = 0
    refused: int = 0
    frames: int = 0
    wrong: int = 0
    unmarked: int = 0
    lost: int = 0

    def add(self, shown: list[Shown] | None, truth: dict[int, NDArray[np.float32]], good: int) -> None:
        """`shown` None: refused. `good`: frames of the undamaged clip that can be read."""
        self.files += 1
        if not shown:
            self.refused += 1
            return
        times = np.array(sorted(truth))
        right = 0
        for pts_us, seen, vouched in shown:
            nearest = int(times[np.abs(times - pts_us).argmin()])
            there = truth[nearest] if abs(nearest - pts_us) <= _NEAR_US else None
            bad = there is None or there.shape != seen.shape or float(np.abs(there - seen).max()) > VISIBLE
            self.wrong += bad
            self.unmarked += bad and vouched
            right += not bad and vouched
        self.frames += len(shown)
        self.lost += good - right


def by_fauscan(path: Path) -> list[Shown] | None:
    """Inventory and scan; a frame with a reason is not vouched for."""
    return [(pts_us, seen, reason is None) for pts_us, seen, _, reason in look(path).frames] or None


def by_decord(path: Path) -> Iterator[Shown]:
    """Frame by frame; ends at the first error."""
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    reader = decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1)
    for i in range(len(reader)):
        picture = reader[i].asnumpy()
        yield round(float(reader.get_frame_timestamp([i])[0][0]) * 1e6), blocks(picture), True


def by_opencv(path: Path) -> Iterator[Shown]:
    """Frame by frame, until OpenCV says that the video is over."""
    import cv2

    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    while True:
        ok, picture = capture.read()
        if not ok:
            return
        yield round(capture.get(cv2.CAP_PROP_POS_MSEC) * 1000), blocks(picture), True


def in_process(reader: str, paths: list[Path]) -> list[list[Shown] | None]:
    """What another reader gives out, file by file; a file on which it hangs or crashes counts as refused."""
    results: list[list[Shown] | None] = []
    while len(results) < len(paths):
        rest = [str(path) for path in paths[len(results) :]]
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "--read", reader, folder, *rest]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            done, since = 0, time.monotonic()
            while process.poll() is None and time.monotonic() - since < FILE_LIMIT_S + START_LIMIT_S * (done == 0):
                time.sleep(0.02)
                while done < len(rest) and Path(folder, f"{done}.npz").exists():
                    done, since = done + 1, time.monotonic()
            process.kill()
            process.wait()
            finished = [path for i in range(len(rest)) if (path := Path(folder, f"{i}.npz")).exists()]
            for path in finished:
                with np.load(path) as data:
                    results.append([(int(t), b, True) for t, b in zip(data["times"], data["seen"], strict=True)] or None)
            if len(finished) < len(rest):
                results.append(None)
    return results


def read_all(reader: str, folder: str, paths: list[str]) -> None:
    """The other process: one file with times and blocks for each video, renamed into place when it is whole."""
    read: Callable[[Path], Iterator[Shown]] = {"decord": by_decord, "opencv": by_opencv}[reader]
    for i, path in enumerate(paths):
        shown: list[Shown] = []
        with suppress(Exception):
            for one in read(Path(path)):
                if shown and one[1].shape != shown[0][1].shape:
                    break
                shown.append(one)
        part = Path(folder, f"{i}.part.npz")
        np.savez(part, times=np.array([pts_us for pts_us, _, _ in shown], np.int64), seen=np.array([seen for _, seen, _ in shown]))
        part.rename(Path(folder, f"{i}.npz"))


def summed(table: dict[str, dict[str, dict[str, Count]]]) -> tuple[dict[str, Count], dict[str, dict[str, Count]]]:
    """Over all clips, and by codec."""
    totals = {reader: Count() for reader in READERS}
    codecs: dict[str, dict[str, Count]] = {}
    for name, rows in table.items():
        for counts in rows.values():
            for reader, count in counts.items():
                for into in (totals[reader], codecs.setdefault(name.split("-")[0], {r: Count() for r in READERS})[reader]):
                    for key, value in asdict(count).items():
                        setattr(into, key, getattr(into, key) + value)
    return totals, codecs


def main() -> None:
    """Measures, prints a table and writes."""
    table: dict[str, dict[str, dict[str, Count]]] = {}
    good: dict[str, dict[str, int]] = {}
    print(f"{'':20} {'':12} {'wrong frames given out without a mark / given out; files refused':>70}")
    print(f"{'clip':20} {'damage':12} {'fauscan':>22} {'decord':>22} {'opencv':>22}")
    with tempfile.TemporaryDirectory() as folder:
        files: dict[tuple[str, str], list[Path]] = {}
        for kind in KINDS:
            path = write_clip(Path(folder, f"{kind.name}.{kind.suffix}"), kind)
            files[kind.name, ""] = [path]
            for n, (harm, do) in enumerate(HARMS.items()):
                files[kind.name, harm] = [Path(folder, f"{kind.name}-{n}-{seed}.{kind.suffix}") for seed in range(SEEDS)]
                for seed, copy in enumerate(files[kind.name, harm]):
                    copy.write_bytes(do(path.read_bytes(), seed))
        order = [path for paths in files.values() for path in paths]
        shown = {"fauscan": dict(zip(order, map(by_fauscan, order), strict=True))}
        shown |= {reader: dict(zip(order, in_process(reader, order), strict=True)) for reader in READERS[1:]}
        for kind in KINDS:
            # Each reader is held against its own view of the undamaged clip, so that an offset of its clock is no error.
            whole = {reader: shown[reader][files[kind.name, ""][0]] or [] for reader in READERS}
            truths = {reader: {pts_us: seen for pts_us, seen, _ in frames} for reader, frames in whole.items()}
            good[kind.name] = {reader: len(truth) for reader, truth in truths.items()}
            table[kind.name] = {}
            for harm in HARMS:
                counts = {reader: Count() for reader in READERS}
                for reader, count in counts.items():
                    for path in files[kind.name, harm] if truths[reader] else []:
                        count.add(shown[reader][path], truths[reader], good[kind.name][reader])
                table[kind.name][harm] = counts
                cells = [f"{c.unmarked}/{c.frames}; {c.refused}" if c.files else "can't read" for c in counts.values()]
                print(f"{kind.name:20} {harm:12} " + " ".join(f"{cell:>22}" for cell in cells), flush=True)
    totals, codecs = summed(table)
    for codec, per_reader in (*codecs.items(), ("all", totals)):
        cells = [f"{c.unmarked}/{c.frames}; {c.refused}" for c in per_reader.values()]
        print(f"{codec:20} {'':12} " + " ".join(f"{cell:>22}" for cell in cells))
    result = {
        "copies_per_damage": SEEDS,
        "readable_frames": good,
        "totals": {reader: asdict(count) for reader, count in totals.items()},
        "by_codec": {codec: {reader: asdict(count) for reader, count in per.items()} for codec, per in codecs.items()},
        "by_clip": {
            name: {harm: {reader: asdict(count) for reader, count in counts.items()} for harm, counts in rows.items()}
            for name, rows in table.items()
        },
    }
    (HERE / "damage.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if sys.argv[1:2] == ["--read"]:
        read_all(sys.argv[2], sys.argv[3], sys.argv[4:])
    else:
        main()
