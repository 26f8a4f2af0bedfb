"""How well near-duplicates are told from other clips of the same talker: real clips, each encoded anew in two ways.

Needs ../shared/media (GRID: one talker in one room saying sentences of one pattern, the hardest case there is, and ten others).

    python benchmarks/near_duplicates.py [--talker 40]     writes benchmarks/near_duplicates.json
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1]))

import cv2
import polars as pl

from schemas.params import DecodeParams, FaceParams
from stages.contract import as_frame
from stages.curate import near
from stages.decoding import Damage, scan_video
from stages.encoding import Encoding, write_mp4
from stages.faces import Faces
from tests.conftest import inventory_row, media

MEDIA = Path(__file__).resolve().parents[2] / "shared" / "media"
VARIANTS = {"as it is": None, "x264 crf 34": (1.0, 34), "half size, crf 26": (0.5, 26)}
GRID = [(5.0, 0.4), (5.0, 0.5), (5.0, 0.6), (4.0, 0.5), (6.0, 0.5)]


def versions(path: Path, folder: Path) -> dict[str, Path]:
    """The clip, and copies of it."""
    frames = [(f.pts_us, f.rgb()) for f in scan_video(path, 0, 0, DecodeParams(), Damage())]
    made = {}
    for number, (name, how) in enumerate(VARIANTS.items()):
        made[name] = path
        if how is not None:
            scale, crf = how
            made[name] = folder / f"{path.stem}-{number}.mp4"
            small = ((t, cv2.resize(x, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)) for t, x in frames)
            write_mp4(made[name], small, None, 16_000, Encoding(crf=crf))
    return made


def looks(clips: list[Path]) -> tuple[pl.DataFrame, float]:
    """LOOKS of every version, under the name `clip|version`; and seconds of hashing."""
    stage, parts, seconds = Faces(DecodeParams(), FaceParams()), [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        for clip in clips:
            for name, path in versions(clip, Path(folder)).items():
                faces = as_frame(stage(inventory_row(path), media(path)).rows)
                started = time.process_time()
                parts.append(as_frame(near.looks_of(faces.with_columns(content_id=pl.lit(f"{clip.stem}|{name}")))))
                seconds += time.process_time() - started
    return pl.concat(parts), seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--talker", type=int, default=40, help="clips of the one talker")
    given = parser.parse_args()
    clips = sorted((MEDIA / "grid_s1").glob("*.mpg"))[: given.talker] + sorted((MEDIA / "grid").glob("*.mpg"))
    table, seconds = looks(clips)
    copies = len(clips) * len(VARIANTS) * (len(VARIANTS) - 1) // 2
    rows = []
    for max_distance, min_motion in GRID:
        pairs = near.pairs_of(table, max_distance, min_motion)
        right = sum(a.split("|")[0] == b.split("|")[0] for a, b in pairs.iter_rows())
        rows.append(
            {
                "max_distance": max_distance,
                "min_motion": min_motion,
                "pairs_found": pairs.height,
                "right": right,
                "precision": round(right / max(1, pairs.height), 4),
                "recall": round(right / copies, 4),
            }
        )
    names = sorted({v.split("|")[0] for v in table["content_id"]})
    result = {
        "clips": len(clips), "of_one_talker": given.talker, "versions": list(VARIANTS), "pairs_of_copies": copies,
        "other_pairs": len(VARIANTS) ** 2 * len(names) * (len(names) - 1) // 2,
        "crops_hashed_per_cpu_s": round(table.height / seconds), "settings": rows,
    }  # fmt: skip
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
