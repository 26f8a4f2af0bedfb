"""A set over a workspace that was really run: a face in three splits, and a clip without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.listing import read_inventory
from pipelines.workspace import Workspace
from tests.conftest import NO_FACE, SINGLE_FACE
from tests.pipelines.exports.made_set import FAKE, add_truth, clip, write_set


@pytest.fixture
def curated(labelled: Path) -> Workspace:
    contents = dict(read_inventory(labelled / "data" / "inventory.parquet").select("uri", "content_id").iter_rows())
    face, bare = SINGLE_FACE.path.name, NO_FACE.path.name
    rows = [
        clip(contents[face], face, 0, frame_from=0, frame_to=30),
        clip(contents[face], face, 25, frame_from=30, frame_to=60, fake_spans=[[1.2, 1.6]], **FAKE),
        clip(contents[bare], bare, 0, track=None, split="dev", identities=[], audio_fake=None, visual_fake=None),
    ]
    write_set(labelled, rows)
    forged = {"fake": True, "visual_fake": True, "audio_fake": False, "spans": [[1.2, 1.6]]}
    add_truth(labelled, {face: forged, bare: {"fake": False, "spans": []}})
    return Workspace.open(labelled)
