"""A video that segfaults, hangs or eats memory costs itself only; its neighbours are labelled in the same run."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from tests.conftest import SINGLE_FACE
from tests.pipelines.saboteur import different_clips, fauscan_in, sabotage
from tests.pipelines.test_cli import fauscan
from tests.pipelines.test_whole import tree


def failed(workspace: Path) -> dict[str, tuple[str, str, int]]:
    rows = pl.read_parquet(workspace / "data" / "failures.parquet").filter(pl.col("outcome") == "failed")
    return {row["uri"]: (row["stage"], row["reason"], row["attempt"]) for row in rows.to_dicts()}


def labelled(workspace: Path) -> dict[str, int]:
    inventory = pl.read_parquet(workspace / "data" / "inventory.parquet")
    rows = pl.read_parquet(workspace / "data" / "labels").join(inventory.select("content_id", "uri"), on="content_id")
    return dict(rows.filter(pl.col("label").is_not_null()).group_by("uri").len().iter_rows())


@pytest.mark.slow
def test_a_segfault_on_one_of_eight_costs_one_of_eight_on_both_engines(tmp_path: Path) -> None:
    archive, environment = tmp_path / "archive", sabotage(tmp_path / "hook")
    good = [f"{i}.mp4" for i in range(7)]
    different_clips(archive, *good, "crash.mp4")
    for engine in ("local", "ray"):
        done = fauscan_in(environment, "run", archive, "-w", tmp_path / engine, "--engine", engine)
        assert done.returncode == 0, done.stderr
        assert pl.read_parquet(tmp_path / engine / "data" / "inventory.parquet")["unit"].n_unique() == 1
        assert labelled(tmp_path / engine) == dict.fromkeys(good, SINGLE_FACE.frames)
        assert failed(tmp_path / engine) == {"crash.mp4": ("faces", "decoder_crashed", 1)}
    assert tree(tmp_path / "local" / "data") == tree(tmp_path / "ray" / "data")

    # Tried again, each time alone, as often as limits.max_attempts says; then parked.
    ws = tmp_path / "local"
    for attempt, idle_steps in ((2, 5), (3, 5), (3, 6)):
        done = fauscan_in(environment, "run", archive, "-w", ws, "--engine", "local")
        assert done.returncode == 0, done.stderr
        assert failed(ws) == {"crash.mp4": ("faces", "decoder_crashed", attempt)}
        assert done.stderr.count("nothing new") == idle_steps
    lines = [json.loads(line) for line in (ws / "logs" / "runs.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [sum(u["videos"] for u in line["units"]) for line in lines if line["step"] == "faces"] == [8, 1, 1]

    # A decoder that was mended, and an operator who knows it.
    assert fauscan("failures", "retry", "-w", ws).returncode == 0
    done = fauscan("run", archive, "-w", ws, "--engine", "local")
    assert done.returncode == 0, done.stderr
    assert "faces      1 videos" in done.stderr
    assert labelled(ws) == dict.fromkeys([*good, "crash.mp4"], SINGLE_FACE.frames)
    done = fauscan("run", archive, "-w", tmp_path / "undisturbed", "--engine", "local")
    assert tree(ws / "data") == tree(tmp_path / "undisturbed" / "data")
    assert tree(ws / "store" / "faces") == tree(tmp_path / "undisturbed" / "store" / "faces")


@pytest.mark.slow
def test_a_hang_and_a_memory_bomb_are_ended_and_named(tmp_path: Path) -> None:
    archive, environment = tmp_path / "archive", sabotage(tmp_path / "hook")
    different_clips(archive, "a.mp4", "bomb.mp4", "hang.mp4", "z.mp4")
    params = tmp_path / "params.yaml"
    params.write_text("limits: {timeout_s: 20, memory_mb: 1500}\nengine: {name: local, workers: 1}", encoding="utf-8")
    done = fauscan_in(environment, "run", archive, "-w", tmp_path / "ws", "--params", params)
    assert done.returncode == 0, done.stderr
    assert failed(tmp_path / "ws") == {"bomb.mp4": ("faces", "out_of_memory", 1), "hang.mp4": ("faces", "timeout", 1)}
    assert labelled(tmp_path / "ws") == dict.fromkeys(["a.mp4", "z.mp4"], SINGLE_FACE.frames)
