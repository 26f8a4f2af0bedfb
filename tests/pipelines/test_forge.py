"""Forge, end to end on real clips: what the metadata says is what the files hold."""

from __future__ import annotations

import csv
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.forge import forge_archive
from pipelines.forge_pool import MakeWorker
from schemas.errors import ArchiveError, FauScanError
from schemas.params import DecodeParams
from schemas.recipe import KINDS, ExcerptParams, ForgeRecipe, SpanParams
from schemas.truth import TruthRow, read_truth
from stages.decoding import Damage, scan_audio, scan_video
from tests.conftest import NO_FACE, SHARED, SINGLE_FACE

CLIPS = ("bbaf2n", "brbk7n", "pwij3p", "id2_vcd_swwp2s", "sbwe5n", "lbax4n")
PEOPLE = "uri,identity\nbbaf2n.mpg,s1\nbrbk7n.mpg,s2\n*w*p*,s3\n"
SHORT = ExcerptParams(look_minutes=0.035)
"""The first two seconds are enough."""
RECIPE = ForgeRecipe(forgeries_per_take=8, forgeries_per_identity=0, spans=SpanParams(whole_share=0.4, min_s=0.4), excerpt=SHORT)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not SHARED.is_dir():
        pytest.skip("../shared is not there")
    folder = tmp_path_factory.mktemp("real")
    for name in CLIPS:
        shutil.copy(SHARED / "media" / "grid" / f"{name}.mpg", folder)
    shutil.copy(folder / "bbaf2n.mpg", folder / "copy.mpg")
    shutil.copy(NO_FACE.path, folder / "cartoon.mp4")
    shutil.copy(SINGLE_FACE.path, folder / "silent.mp4")
    (folder / "broken.mp4").write_bytes(b"not a video at all" * 100)
    (folder / "notes.txt").write_text("no video", encoding="utf-8")
    (folder / "fakes").mkdir()
    shutil.copy(folder / "brbk7n.mpg", folder / "fakes")
    (folder / "identities.csv").write_text(PEOPLE, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def forged(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("forged") / "out"
    forge_archive(str(source), target, RECIPE, seed=5, workers=1)  # the start of a process costs what two takes cost
    return target


def _extras(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["file"]: row for row in json.loads((folder / "metadata.json").read_bytes())}


@functools.lru_cache(2)
def _grey(path: Path) -> list[tuple[int, np.ndarray]]:
    """Time in microseconds and picture of each frame."""
    return [(frame.pts_us, frame.rgb().astype(np.float32).mean(2)) for frame in scan_video(path, 0, 0, DecodeParams(), Damage())]


def _picture_change(ours: Path, theirs: Path) -> tuple[np.ndarray, np.ndarray]:
    """Times in seconds, and for each frame the mean of the strongest hundredth of blocks of 8 x 8: codec noise averages out."""
    times, change = [], []
    for (pts_us, a), (their_pts_us, b) in zip(_grey(ours), _grey(theirs), strict=True):
        assert pts_us == their_pts_us
        difference = a - b
        small = (difference.shape[1] // 8, difference.shape[0] // 8)
        blocks = np.abs(cv2.resize(difference, small, interpolation=cv2.INTER_AREA)).ravel()
        times.append(pts_us / 1e6)
        change.append(float(np.sort(blocks)[-len(blocks) // 100 :].mean()))
    return np.array(times), np.array(change)


def _sound(path: Path) -> tuple[np.ndarray, int]:
    blocks = list(scan_audio(path, 0, 10**9, []))
    return np.concatenate([b.mono for b in blocks]), blocks[0].rate_hz


def _inside(times: np.ndarray, row: TruthRow, modality: Any, margin: float) -> tuple[np.ndarray, np.ndarray]:
    spans = row.spans(modality)
    inside = np.zeros(len(times), bool)
    near = np.zeros(len(times), bool)
    for start, end in spans:
        inside |= (times >= start + 1e-4) & (times < end - 1e-4)
        near |= (times >= start - margin) & (times < end + margin)
    return inside, ~near


@pytest.mark.slow
def test_every_kind_is_made_and_the_truth_can_be_read(forged: Path) -> None:
    rows = read_truth(forged)
    assert {row.kind for row in rows} == {"real", *KINDS}
    assert {row.split for row in rows} == {"train", "dev", "test"}
    files = {row.file for row in rows}
    assert files == {p.relative_to(forged).as_posix() for p in forged.rglob("*.mp4")}
    assert not list(forged.rglob(".tmp*")) and not (forged / ".work").exists()
    for row in rows:
        assert row.split == row.file.split("/")[0]
        assert row.n_fakes == len(row.fake_periods)
        assert row.duration is not None and all(0 <= a < b <= row.duration + 1e-5 for a, b in row.fake_periods)
        if row.kind == "real":
            assert row.original is None and not row.fake_periods and row.traces == []
            continue
        assert row.original in files and row.fake_periods
        whole = _extras(forged)[row.file]["whole"]
        if row.kind == "desync" or (whole and row.kind in {"audio_swap", "audio_replay"}):
            assert row.traces == [] and row.audio_fake_periods == [(0.0, row.duration)]
        elif row.kind == "both":
            assert row.traces == ["audio", "visual"] and row.audio_fake_periods == row.visual_fake_periods
        else:
            assert row.traces == (["audio"] if row.kind.startswith("audio") else ["visual"])


@pytest.mark.slow
def test_pictures_differ_from_the_control_inside_the_spans_and_nowhere_else(forged: Path) -> None:
    ratios = []
    for row in sorted(read_truth(forged), key=lambda row: row.original or ""):
        if row.kind == "real" or row.original is None:
            continue
        times, change = _picture_change(forged / row.file, forged / row.original)
        if not row.modify_video:
            assert change.max() == 0  # not one bit: the same frames through the same encoder
            continue
        inside, outside = _inside(times, row, "visual", 0.0)
        assert np.median(change[inside]) > 3, row.kind
        if outside.sum() > 5:
            ratios.append(float(np.median(change[inside]) / max(np.median(change[outside]), 0.1)))
    # Behind a span the encoder still predicts from it, so that a little of the change is carried on.
    assert len(ratios) >= 3 and min(ratios) > 1.5 and np.median(ratios) > 3


@pytest.mark.slow
def test_sound_differs_from_the_control_inside_the_spans_and_nowhere_else(forged: Path) -> None:
    checked = 0
    for row in read_truth(forged):
        if row.kind == "real" or row.original is None or row.audio_channels == 0:
            continue
        (ours, rate), (theirs, _) = _sound(forged / row.file), _sound(forged / row.original)
        assert len(ours) == len(theirs)
        if not row.modify_audio:
            np.testing.assert_array_equal(ours, theirs)
            continue
        inside, outside = _inside(np.arange(len(ours)) / rate, row, "audio", 0.1)
        level = float(np.sqrt((theirs**2).mean()))
        change = ours - theirs
        within = float(np.sqrt((change[inside] ** 2).mean()))
        assert within > 0.3 * level, row.kind
        if outside.any():  # AAC shares its bits out anew over the whole file
            assert np.sqrt((change[outside] ** 2).mean()) < within / 3, row.kind
            checked += 1
    assert checked >= 3


@pytest.mark.slow
def test_a_desync_is_the_controls_sound_at_another_time(forged: Path) -> None:
    extras = _extras(forged)
    found = [row for row in read_truth(forged) if row.kind == "desync"]
    assert found
    for row in found:
        assert row.original is not None
        (ours, rate), (theirs, _) = _sound(forged / row.file), _sound(forged / row.original)
        shift = round(extras[row.file]["desync_s"] * rate)
        if shift > 0:
            ours, theirs = ours[shift:], theirs[:-shift]
        else:
            ours, theirs = ours[:shift], theirs[-shift:]
        assert np.corrcoef(ours, theirs)[0, 1] > 0.9


@pytest.mark.slow
def test_what_could_not_be_used_is_listed_with_a_reason(forged: Path) -> None:
    with (forged / "skipped.csv").open(encoding="utf-8") as file:
        reasons = {row["uri"]: (row["reason"], row["consequence"]) for row in csv.DictReader(file)}
    assert reasons == {
        "broken.mp4": ("open_failed", "not used"),
        "cartoon.mp4": ("no_face", "not used"),
        "copy.mpg": ("duplicate", "not used"),
        "fakes/brbk7n.mpg": ("excluded", "not used"),
        "silent.mp4": ("silent_audio", "visual kinds only"),
    }


@pytest.mark.slow
def test_identities_come_from_the_file_beside_the_videos(forged: Path) -> None:
    of = {row["source"]: row["identity"] for row in _extras(forged).values()}
    assert of["bbaf2n.mpg"] == "s1" and of["brbk7n.mpg"] == "s2"
    assert of["pwij3p.mpg"] == of["id2_vcd_swwp2s.mpg"] == "s3"


# A run that comes to its end waits there: how late the kill comes on a busy machine does not matter.
_NEVER_ENDING = """
import sys, threading
from pipelines import cli, forge
forge._collect = lambda *_: threading.Event().wait()
cli.main()
"""


def _run_here(tasks: Sequence[Any], make_worker: MakeWorker, workers: int) -> Iterator[tuple[Any, Any]]:
    """What the pool does, without the start of processes."""
    worker = make_worker()
    for task in tasks:
        yield task, worker(task)


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.forge.run_all", _run_here)  # but in the run that is killed
    few, whole, target = tmp_path / "real", tmp_path / "whole", tmp_path / "out"
    few.mkdir()
    for name in ("bbaf2n.mpg", "pwij3p.mpg", "identities.csv"):
        shutil.copy(source / name, few)
    asked = ForgeRecipe(forgeries_per_take=3, forgeries_per_identity=0, excerpt=SHORT)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps(asked.model_dump(mode="json")), encoding="utf-8")
    forge_archive(str(few), whole, asked, seed=5)
    command = [sys.executable, "-c", _NEVER_ENDING, "forge", str(few), str(target), "--seed", "5", "--recipe", str(recipe)]
    run = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
    while len(list(target.rglob("*.mp4"))) < 3:
        assert run.poll() is None
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert not (target / "metadata.json").exists()
    with pytest.raises(FauScanError, match=r"was made with another seed; give a new folder"):
        forge_archive(str(few), target, asked, seed=6)
    kept = {p: p.stat().st_mtime_ns for p in target.rglob("*.mp4") if (target / ".work/done" / f"{p.relative_to(target)}.json").is_file()}
    forge_archive(str(few), target, asked, seed=5)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in kept.items())
    for path in [p for p in whole.rglob("*") if p.is_file()]:
        assert path.read_bytes() == (target / path.relative_to(whole)).read_bytes(), path.name
    stamps = {p: p.stat().st_mtime_ns for p in target.rglob("*") if p.is_file()}
    forge_archive(str(few), target, asked, seed=5)  # nothing to do
    assert stamps == {p: p.stat().st_mtime_ns for p in target.rglob("*") if p.is_file()}


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(FauScanError, match="holds something that `fauscan forge` did not make; give a new folder"):
        forge_archive(str(tmp_path / "real"), tmp_path, ForgeRecipe(), 1)


@pytest.mark.slow
def test_an_archive_without_a_usable_video_says_why(tmp_path: Path) -> None:
    folder = tmp_path / "real"
    folder.mkdir()
    shutil.copy(NO_FACE.path, folder)
    with pytest.raises(ArchiveError, match=r"no video can be forged \(1 no_face\)"):
        forge_archive(str(folder), tmp_path / "out", ForgeRecipe(), 1, workers=1)


def test_the_command_prints_its_recipe_and_wants_two_folders() -> None:
    shown = CliRunner().invoke(app, ["forge", "--show-recipe"])
    assert shown.exit_code == 0 and "face_swap: 1.0" in shown.output
    assert isinstance(CliRunner().invoke(app, ["forge"]).exception, FauScanError)
