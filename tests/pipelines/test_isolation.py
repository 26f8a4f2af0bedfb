"""A video that segfaults, hangs or eats memory costs itself only; its neighbours are labelled in the same run."""

from __future__ import annotations

import json
import shutil
import time
import types
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from pipelines import sandbox
from pipelines.cli import app
from tests.conftest import FACE_NOFACE, NO_FACE, SINGLE_FACE
from tests.pipelines.clips import FRAMES, different_clips, short_clip
from tests.pipelines.here import run_here
from tests.pipelines.saboteur import HANGS, fauscan_in, sabotage
from tests.pipelines.test_whole import tree


def failed(workspace: Path) -> dict[str, tuple[str, str, int]]:
    rows = pl.read_parquet(workspace / "data" / "failures.parquet").filter(pl.col("outcome") == "failed")
    return {row["uri"]: (row["stage"], row["reason"], row["attempt"]) for row in rows.to_dicts()}


def frames(workspace: Path) -> dict[str, int]:
    """How many frames of each file have a label, or the reason that no face is in them."""
    inventory = pl.read_parquet(workspace / "data" / "inventory.parquet")
    rows = pl.read_parquet(workspace / "data" / "labels").join(inventory.select("content_id", "uri"), on="content_id")
    return dict(rows.filter(pl.col("label").is_not_null() | (pl.col("reason") == "no_face")).group_by("uri").len().iter_rows())


@pytest.fixture
def saboteur(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Sandboxes that are started from here have the bad decoder, until it is undone."""
    environment = sabotage(tmp_path / "hook")
    sandbox._close_idle()  # those of other tests are as they should be
    with monkeypatch.context() as patched:
        patched.setenv("PYTHONPATH", environment["PYTHONPATH"])
        patched.syspath_prepend(tmp_path / "hook")
        yield patched
    sandbox._close_idle()


@pytest.mark.slow
def test_a_segfault_on_one_of_eight_costs_one_of_eight_on_both_engines(
    tmp_path: Path, saboteur: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Videos of every sort around it, and files that are none: both engines write the same bytes."""
    archive, faces = tmp_path / "archive", [f"{i}.mp4" for i in range(4)]
    different_clips(archive, *faces, "crash.mp4")
    short_clip(SINGLE_FACE, FRAMES, archive / "mute.mp4", sound=False)
    short_clip(NO_FACE, FRAMES, archive / "nobody.mp4", sound=True)
    shutil.copy(FACE_NOFACE.path, archive / "moving.mov")
    (archive / "copy").mkdir()
    shutil.copy(archive / "0.mp4", archive / "copy" / "again.mp4")
    (archive / "notes.txt").write_text("not a video", encoding="utf-8")
    good = dict.fromkeys([*faces, "copy/again.mp4", "mute.mp4", "nobody.mp4"], FRAMES) | {"moving.mov": FACE_NOFACE.frames}

    done = fauscan_in(sabotage(tmp_path / "ray hook"), "run", archive, "-w", tmp_path / "ray", "--engine", "ray")
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    local = tmp_path / "local"
    run_here(archive, local)
    for workspace in (local, tmp_path / "ray"):
        inventory = pl.read_parquet(workspace / "data" / "inventory.parquet").filter(pl.col("outcome") == "done")
        assert (inventory["content_id"].n_unique(), inventory["unit"].n_unique()) == (8, 1)
        assert frames(workspace) == good
        assert failed(workspace) == {"crash.mp4": ("faces", "decoder_crashed", 1)}
    for part in ("data", "store"):
        # The ledgers hold the files' times on this disk; they are the same, for the archive is.
        ours, theirs = tree(local / part), tree(tmp_path / "ray" / part)
        assert sorted(ours) == sorted(theirs)
        assert [name for name in ours if ours[name] != theirs[name]] == []
    assert (local / "reports" / "metrics.json").read_bytes() == (tmp_path / "ray" / "reports" / "metrics.json").read_bytes()

    # Tried again, each time alone, as often as limits.max_attempts says; then parked.
    for attempt, idle_steps in ((2, 5), (3, 5), (3, 6)):
        capsys.readouterr()
        run_here(archive, local)
        assert failed(local) == {"crash.mp4": ("faces", "decoder_crashed", attempt)}
        assert capsys.readouterr().err.count("nothing new") == idle_steps
    lines = [json.loads(line) for line in (local / "logs" / "runs.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [sum(u["videos"] for u in line["units"]) for line in lines if line["step"] == "faces"] == [8, 1, 1]

    # A decoder that was mended, and an operator who knows it.
    saboteur.undo()
    sandbox._close_idle()
    assert CliRunner().invoke(app, ["failures", "retry", "-w", str(local)]).exit_code == 0
    run_here(archive, local)
    assert "faces      1 videos" in capsys.readouterr().err
    assert failed(local) == {}
    assert frames(local) == good | {"crash.mp4": FRAMES}
    run_here(archive, tmp_path / "undisturbed")
    assert tree(local / "data") == tree(tmp_path / "undisturbed" / "data")
    assert tree(local / "store" / "faces") == tree(tmp_path / "undisturbed" / "store" / "faces")


@pytest.mark.slow
def test_a_hang_and_a_memory_bomb_are_ended_and_named(tmp_path: Path, saboteur: pytest.MonkeyPatch) -> None:
    """Nobody waits for the hang's time to be over: the sandbox's clock leaps when it has begun."""
    archive, params, hangs = tmp_path / "archive", tmp_path / "params.yaml", tmp_path / "hangs"
    different_clips(archive, "a.mp4", "bomb.mp4", "hang.mp4", "z.mp4")
    params.write_text("limits: {memory_mb: 1500}\nengine: {workers: 1}", encoding="utf-8")
    saboteur.setenv(HANGS, str(hangs))
    clock = time.monotonic
    saboteur.setattr(sandbox, "time", types.SimpleNamespace(monotonic=lambda: clock() + 10_000 * hangs.exists()))
    run_here(archive, tmp_path / "ws", params)
    assert failed(tmp_path / "ws") == {"bomb.mp4": ("faces", "out_of_memory", 1), "hang.mp4": ("faces", "timeout", 1)}
    assert frames(tmp_path / "ws") == dict.fromkeys(["a.mp4", "z.mp4"], FRAMES)
