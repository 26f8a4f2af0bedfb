"""FauForensics: the clip lists that the published loader reads: `path label_total label_video label_audio start_sec`."""

from __future__ import annotations

from typing import Any

from stages.exports.videos import streams_of

LISTS = {"train": "train.csv", "dev": "val.csv", "test": "test.csv"}
"""The authors' own val.csv is their test.csv; ours is not."""


def line(clip: dict[str, Any], path: str) -> str | None:
    """One line of a list, 1 = fake; None for a path with white space, which the list can't hold.

    The loader takes [start, start + 0.99] seconds: 25 frames where the start is on the clock's grid, as a clip's is.
    """
    if any(c.isspace() for c in path):
        return None
    fake = clip["target"] == "fake"
    audio, visual = streams_of(clip | {"fake": fake})
    return f"{path} {int(fake)} {int(visual)} {int(audio)} {clip['start_us'] / 1e6:.3f}"
