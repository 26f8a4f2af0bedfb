"""The report page of a large archive: labels scanned from the disk, beside all of them read into memory first. Writes report_scale.json.

Made-up labels, as in curate_scale.py: 20,000 videos of ten seconds, 4 million frames. Each side runs in a process of its own.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
VIDEOS = 20_000
REPEATS = 3


def child(root: Path, side: str) -> None:
    """Prints seconds, peak MB and a digest of the page."""
    import hashlib

    import polars as pl

    from pipelines.listing import read_inventory
    from pipelines.parquet import read_frame, scan_frames
    from schemas.params import ReportParams
    from schemas.tables import FAILURES, LABELS, PROVENANCE, SEGMENTS
    from stages import report
    from stages.contract import as_frame

    inventory = read_inventory(root / "data" / "inventory.parquet")
    empty = [as_frame(schema.empty_table()) for schema in (SEGMENTS, FAILURES, PROVENANCE)]
    files = sorted((root / "data" / "labels").glob("*.parquet"))
    begun = time.perf_counter()
    whole = side == "read whole"
    labels = pl.concat([read_frame(f, "this", LABELS) for f in files]) if whole else scan_frames(files, "this", LABELS)
    page = report.render(inventory, labels, *empty, lambda _: {}, ReportParams(), "made up")
    totals = report.metrics(inventory, labels, *empty[:2])
    seconds = time.perf_counter() - begun
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([seconds, peak_mb, hashlib.sha256(page.encode()).hexdigest(), totals["frame_labels"]]))


def main() -> None:
    """Measures and writes."""
    import curate_scale

    curate_scale.VIDEOS = VIDEOS
    found: dict[str, dict[str, float]] = {}
    pages, rows = set(), set()
    with tempfile.TemporaryDirectory() as folder:
        curate_scale.make_workspace(Path(folder))
        for _ in range(REPEATS):
            for side in ("scanned", "read whole"):
                done = subprocess.run([sys.executable, __file__, folder, side], capture_output=True, text=True, check=True)
                seconds, peak_mb, page, count = json.loads(done.stdout)
                best = found.setdefault(side, {"seconds": seconds, "peak_mb": 0.0})
                best["seconds"], best["peak_mb"] = min(best["seconds"], seconds), max(best["peak_mb"], peak_mb)
                pages.add(page), rows.add(count)
    if len(pages) > 1 or len(rows) > 1:
        raise SystemExit("the two sides made different pages")
    rounded = {side: {k: round(v, 1) for k, v in row.items()} for side, row in found.items()}
    result = {"videos": VIDEOS, "label_rows": rows.pop(), **rounded, "load_average_at_the_end": os.getloadavg()[0]}
    text = json.dumps(result, indent=1)
    (HERE / "report_scale.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(Path(sys.argv[1]), sys.argv[2])
    else:
        main()
