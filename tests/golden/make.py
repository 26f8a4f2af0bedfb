"""Writes the golden files of stages whose version was raised.

    python tests/golden/make.py

A stage whose output changed while its version did not is refused: raise its number in stages/versions.py first. What the stages are
given (`inputs/`) was made once and stays.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.golden.golden import CASES, FOLDER, check, make_inputs, output, read, write, written_version


def make(folder: Path = FOLDER) -> list[str]:
    """Brings the golden files up to date.

    Returns:
        Stages whose files were written.

    Raises:
        ChangedError: an output changed without a new version; nothing of that stage or those behind it is written.
    """
    if not (FOLDER / "inputs").is_dir():
        make_inputs()
    written = []
    for stage, case in CASES.items():
        before = read(stage, folder)
        if before and written_version(before) == case.version:
            check(stage, output(stage), before)
            continue
        for path in folder.glob(f"{stage}-*.parquet"):
            path.unlink()
        write(stage, output(stage), folder)
        written.append(stage)
    return written


if __name__ == "__main__":
    print("written:", ", ".join(make()) or "nothing, all as before")  # noqa: T201
