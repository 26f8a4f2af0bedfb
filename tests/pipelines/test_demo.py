from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipelines import demo_archive
from pipelines.demo_archive import CLIPS, FORGERIES, build_demo_archive
from schemas.params import DecodeParams
from stages.decoding import Damage, scan_video


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "archive"
    assert build_demo_archive(folder)
    return folder


@pytest.mark.slow
def test_the_archive_is_real_clips_and_forgeries_that_differ_where_the_truth_says(archive: Path) -> None:
    assert not build_demo_archive(archive)
    assert sorted(p.name for p in (archive / "real").iterdir()) == sorted(CLIPS)
    truth = {t["file"]: t for t in json.loads((archive.parent / "truth.json").read_text(encoding="utf-8"))}
    assert set(truth) == {f.file for f in FORGERIES} == {f"forged/{p.name}" for p in (archive / "forged").iterdir()}

    forged = archive / "forged" / "wolfgang_mouth_replayed.mp4"
    original = archive / "real" / "WolfgangLanger_Pexels.mp4"
    (start, end), *_ = truth["forged/wolfgang_mouth_replayed.mp4"]["visual_fake_segments"]
    pairs = zip(*(scan_video(p, 0, 0, DecodeParams(), Damage()) for p in (forged, original)), strict=True)
    changed = []
    for ours, theirs in pairs:
        assert abs(ours.pts_us - theirs.pts_us) < 20
        changed.append((ours.pts_us / 1e6, float(np.abs(ours.rgb().astype(int) - theirs.rgb().astype(int)).mean())))
    inside = [d for t, d in changed if start <= t < end]
    outside = [d for t, d in changed if not start - 0.1 <= t < end + 0.1]
    assert np.median(inside) > 2 * np.median(outside)


@pytest.mark.slow
def test_the_same_clips_give_the_same_bytes(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dubbed = next(f for f in FORGERIES if f.file == "forged/single_face_dubbed.mp4")
    monkeypatch.setattr(demo_archive, "FORGERIES", [dubbed])
    build_demo_archive(tmp_path / "again")
    assert (archive / dubbed.file).read_bytes() == (tmp_path / "again" / dubbed.file).read_bytes()
