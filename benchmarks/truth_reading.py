"""Reading the metadata of AV-Deepfake1M++: time and memory of a list of the release's size.

Writes truth_reading.json. A list of 557 MB with 1.1 million rows in the release's layout is made, then read in a process of its own
each: `json.load` of the standard library, ijson with its C backend (if it is installed), `list_entries` alone, and the whole adapter
from the names of the archive's files to the table of truth. Seconds are of the processor, one thread; `before` is the memory a process
has before it reads (for the adapter: with the names of all files), `peak` its most.
"""

from __future__ import annotations

import importlib
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from pipelines.spare import spare_pandas

TARGET_BYTES = 557_000_000
ROWS = 1_100_000
READERS = ("json.load", "ijson", "list_entries", "adapter")
METADATA = "train_metadata.json"


def row(number: int) -> dict[str, Any]:
    """A row of ++ with the release's keys; every tenth fake voice has its last segment in the picture's list too."""
    corpus = f"vox_celeb_2/id{number // 500:05d}/_c3CCb{number // 20:06d}/{number % 20:05d}"
    kind, stem = (
        ("real", "real"),
        ("audio_modified", "real_video_fake_audio"),
        ("visual_modified", "fake_video_real_audio"),
        ("both_modified", "fake_video_fake_audio"),
    )[number % 4]
    start = number % 97 / 25
    spans = [] if kind == "real" else [[start, start + 0.52], [start + 1.0, start + 1.36]]
    audio = spans if kind in {"audio_modified", "both_modified"} else []
    visual = spans if kind in {"visual_modified", "both_modified"} else spans[-1:] if number % 40 == 1 else []
    return {
        "file": f"{corpus}/{stem}.mp4",
        "original": f"{corpus}/real.mp4" if kind != "real" else f"VoxCeleb2/dev/mp4/{corpus}.mp4",
        "split": "train",
        "modify_type": kind,
        "audio_model": "vits" if audio else None,
        "video_model": "Talklip" if visual and kind != "audio_modified" else None,
        "fake_segments": spans,
        "audio_fake_segments": audio,
        "visual_fake_segments": visual,
        "video_frames": 150 + number % 100,
        "audio_frames": 96_000 + number % 1000 * 64,
    }


def make(path: Path, names: Path) -> None:
    """Writes the list, with white space up to the size of the release's, and the names of its files."""
    missing = TARGET_BYTES
    with path.open("w") as file, names.open("w") as listing:
        file.write("[")
        for number in range(ROWS):
            entry = row(number)
            text = json.dumps(entry)
            share = missing // (ROWS - number)
            file.write(f"{',' if number else ''}\n{text:<{max(0, share - 2)}}")
            missing -= max(len(text), share - 2) + 2
            listing.write(f"train/{entry['file']}\n")
        file.write("]")


def peak_mib() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def load(path: Path) -> int:
    with path.open("rb") as file:
        return len(json.load(file))


def stream(path: Path) -> int:
    from stages.datasets.json_entries import list_entries

    return sum(1 for _ in list_entries(lambda _: path.open("rb"), path.name))


def stream_ijson(path: Path) -> int:
    import ijson.backends.yajl2_c as ijson

    with path.open("rb") as file:
        return sum(1 for _ in ijson.items(file, "item", use_float=True))


def adapter(path: Path, uris: Collection[str]) -> dict[str, Any]:
    from stages.datasets import detect, read

    start = time.process_time()
    (found,) = detect(uris)
    detecting = time.process_time() - start

    def open_file(_: str) -> BinaryIO:
        return path.open("rb")

    reading = read(found.name, found.root, uris, open_file)
    return {
        "rows": reading.truths.height,
        "of_which_detecting_s": round(detecting, 1),
        "mismatches": reading.counts,
        "table_mib": round(reading.truths.estimated_size("mb"), 1),
    }


def measure(reader: str, path: Path, names: Path) -> dict[str, Any]:
    """In this process: seconds, memory, and what came out."""
    uris: frozenset[str] = frozenset()
    if reader in {"list_entries", "adapter"}:
        spare_pandas()  # as the command line does
        importlib.import_module("stages.datasets")
    if reader == "adapter":
        uris = frozenset([*names.read_text().splitlines(), METADATA])
    before = peak_mib()
    start = time.process_time()
    if reader == "adapter":
        found = adapter(path, uris)
    else:
        found = {"rows": {"json.load": load, "ijson": stream_ijson, "list_entries": stream}[reader](path)}
    seconds = time.process_time() - start
    return {"seconds": round(seconds, 1), "before_mib": before, "peak_mib": peak_mib(), **found}


def main() -> None:
    """Makes the list, reads it in every way, writes the results."""
    with tempfile.TemporaryDirectory() as folder:
        path, names = Path(folder, METADATA), Path(folder, "names.txt")
        make(path, names)
        result: dict[str, Any] = {
            "rows": ROWS,
            "megabytes": round(path.stat().st_size / 1e6, 1),
            "python": platform.python_version(),
        }
        for reader in READERS:
            if (
                reader == "ijson"
                and subprocess.run([sys.executable, "-c", "import ijson.backends.yajl2_c"], capture_output=True, check=False).returncode
            ):
                result[reader] = None
                continue
            command = [sys.executable, __file__, reader, str(path), str(names)]
            result[reader] = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
            print(reader, result[reader])
    (HERE / "truth_reading.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))))
    else:
        main()
