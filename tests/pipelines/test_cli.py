"""Wrong input at the command line: one line that says what to do, an exit code, no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SINGLE_FACE


def fauscan(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=900
    )


def refused(done: subprocess.CompletedProcess[str], message: str) -> None:
    assert done.returncode not in {0, None}
    assert "Traceback" not in done.stderr + done.stdout
    lines = [line for line in done.stderr.splitlines() if line.startswith("fauscan: ")]
    assert len(lines) == 1, done.stderr
    assert message in lines[0]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(SINGLE_FACE.path.read_bytes())
    return folder


@pytest.mark.slow
def test_a_missing_archive(tmp_path: Path) -> None:
    refused(fauscan("run", tmp_path / "none", "-w", tmp_path / "out"), "no such folder; give a folder or URL that exists")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(fauscan("run", tmp_path / "empty", "-w", tmp_path / "out"), "holds no files")


@pytest.mark.slow
def test_a_folder_without_videos(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("hello", encoding="utf-8")
    (tmp_path / "texts" / "b.mp4").write_text("hello", encoding="utf-8")
    done = fauscan("run", tmp_path / "texts", "-w", tmp_path / "out", "--engine", "local")
    refused(done, "none of its 2 files is a video that can be read (1 not_a_video, 1 open_failed)")


@pytest.mark.slow
def test_an_unknown_parameter(tmp_path: Path, archive: Path) -> None:
    params = tmp_path / "p.yaml"
    params.write_text("faces: {detect_evry: 2}", encoding="utf-8")
    refused(fauscan("run", archive, "-w", tmp_path / "out", "--params", params), "faces.detect_evry is not a parameter; did you mean")


@pytest.mark.slow
def test_a_corrupt_checkpoint_stops_before_any_video_is_touched(tmp_path: Path, archive: Path) -> None:
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"garbage")
    params = tmp_path / "p.yaml"
    params.write_text(f"score: {{weights: {weights}}}", encoding="utf-8")
    refused(fauscan("run", archive, "-w", tmp_path / "out", "--params", params), "damaged or not a safetensors file")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_step_before_its_time(tmp_path: Path, archive: Path) -> None:
    refused(fauscan("faces", "-w", tmp_path / "none"), "no such folder; `fauscan init")
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "params.yaml").write_text(f"archive: {{uri: {archive}}}", encoding="utf-8")
    refused(fauscan("faces", "-w", tmp_path / "ws"), "no inventory yet; run `fauscan inventory` first")
    refused(fauscan("report", "-w", tmp_path / "ws"), "no labels yet")
    (tmp_path / "ws" / "params.yaml").write_text("{}", encoding="utf-8")
    refused(fauscan("inventory", "-w", tmp_path / "ws"), "archive.uri is not set")


@pytest.mark.slow
def test_init_refuses_a_folder_that_is_not_empty_and_an_archive_that_is_not_there(tmp_path: Path, archive: Path) -> None:
    refused(fauscan("init", archive, "--archive", archive), "is not empty; give a new folder")
    refused(fauscan("init", tmp_path / "new", "--archive", tmp_path / "none"), "no such folder")
    assert not (tmp_path / "new").exists()


def test_help_names_every_command() -> None:
    done = fauscan("--help")
    assert done.returncode == 0
    for command in ("run", "init", "show", "demo", "inventory", "faces", "fau", "audio", "score", "label", "report"):
        assert command in done.stdout


ENDING = """
import atexit, os, signal, sys
from pipelines import cli

@atexit.register
def busy():
    os.kill(os.getpid(), signal.{name})
    print("went on")

def command():
    {does}

cli._guard(command)
"""


@pytest.mark.parametrize("does", ["pass", "sys.exit(0)", "raise ValueError", "os.kill(os.getpid(), signal.{name})"])
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_while_the_process_ends_is_no_traceback(name: str, code: int, does: str) -> None:
    script = ENDING.format(name=name, does=does.format(name=name))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=900, cwd=Path(__file__).parents[2])
    assert done.returncode == code, done.stderr
    assert "_Stopped" not in done.stderr and "went on" not in done.stdout
