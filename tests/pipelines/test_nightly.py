"""Nights over an archive that changes: each computes what is new, the plan says so before, and every file is accounted for."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from pipelines.lock import locked
from pipelines.nightly import TOO_MANY_FAILURES, NightlyJob, nightly, seconds
from pipelines.plan import Plan, make_plan
from pipelines.runlog import read_log
from pipelines.workspace import Workspace
from schemas.errors import BusyError, ParamsError, WorkspaceError
from tests.conftest import NO_FACE
from tests.pipelines.clips import FRAMES, different_clips, write_clip
from tests.pipelines.saboteur import GATE, sabotage
from tests.pipelines.test_cli import fauscan
from tests.pipelines.test_whole import tree

STEPS = ("faces", "fau", "audio", "score", "label")


class Nights:
    """An archive, its workspace, and what the last night did."""

    def __init__(self, folder: Path) -> None:
        self.archive, self.root = folder / "archive", folder / "ws"
        self.archive.mkdir()
        self.root.mkdir()
        self.params = f"archive: {{uri: {self.archive}}}\nengine: {{name: local}}\nunits: {{max_videos: 1}}"
        (self.root / "params.yaml").write_text(self.params, encoding="utf-8")

    def run(self, job: NightlyJob | None = None) -> tuple[Plan, dict[str, int], dict[str, object]]:
        """The plan, how many files were read and videos computed by each step, and the night's own account."""
        job = job or NightlyJob(settle_s=0, max_failed=1)
        workspace = Workspace.open(self.root)
        plan = make_plan(workspace, job.settle_s)
        before = len(read_log(workspace))
        assert nightly(self.root, job) == 0
        did = dict.fromkeys(("inventory", *STEPS), 0)
        for line in read_log(workspace)[before:]:
            did[line["step"]] += line["files"] if line["step"] == "inventory" else sum(unit["videos"] for unit in line["units"])
        account = json.loads((self.root / "logs" / "nightly.jsonl").read_text(encoding="utf-8").splitlines()[-1])
        self.check(plan, account)
        return plan, did, account

    def check(self, plan: Plan, account: dict[str, object]) -> None:
        """The totals add up to the listing, and every video has all its frames or a reason."""
        listed = sorted(str(path.relative_to(self.archive)) for path in self.archive.rglob("*") if path.is_file())
        assert plan.listed == plan.to_read + plan.settling + plan.known == len(listed)
        inventory = pl.read_parquet(self.root / "data" / "inventory.parquet")
        assert inventory["uri"].to_list() == listed
        assert account["files"] == len(listed) == sum(account["outcomes"].values())  # type: ignore[attr-defined]
        labels = pl.read_parquet(self.root / "data" / "labels")
        done = inventory.filter(pl.col("outcome") == "done")
        assert set(labels["content_id"]) == set(done["content_id"])
        assert set(labels.group_by("content_id").len()["len"]) == {FRAMES}


def computed(count: int) -> dict[str, int]:
    return dict.fromkeys(STEPS, count)


@pytest.mark.slow
def test_ten_nights_compute_only_what_is_new(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    for number, name in enumerate("abc"):
        write_clip(nights.archive / f"{name}.mp4", number)
    plan, did, _ = nights.run()
    assert (plan.new, plan.to_read, plan.due) == (3, 3, False)
    assert did == {"inventory": 3} | computed(3)

    plan, did, _ = nights.run()  # nothing happened
    before = tree(nights.root / "data")
    assert (plan.to_read, plan.due, plan.stale, did) == (0, False, False, {"inventory": 0} | computed(0))

    write_clip(nights.archive / "d.mp4", 3)  # added
    plan, did, account = nights.run()
    assert (plan.new, did) == (1, {"inventory": 1} | computed(1))
    assert account["new"] == 1
    after = tree(nights.root / "data" / "labels")
    assert {name: after[name] for name in after if f"labels/{name}" in before} == {
        name.removeprefix("labels/"): data for name, data in before.items() if name.startswith("labels/")
    }

    write_clip(nights.archive / "b.mp4", 4)  # replaced in place
    plan, did, account = nights.run()
    assert (plan.changed, plan.new, did) == (1, 0, {"inventory": 1} | computed(1))
    assert account["replaced"] == 1

    shutil.copy(nights.archive / "a.mp4", nights.archive / "a again.mp4")  # duplicated
    plan, did, account = nights.run()
    assert (plan.new, did) == (1, {"inventory": 1} | computed(0))
    assert (account["new"], account["moved_or_copied"]) == (0, 1)

    (nights.archive / "sub").mkdir()
    (nights.archive / "c.mp4").rename(nights.archive / "sub" / "c.mp4")  # renamed
    plan, did, account = nights.run()
    assert (plan.new, plan.vanished, did) == (1, 1, {"inventory": 1} | computed(0))
    assert (account["moved_or_copied"], account["vanished"]) == (1, 1)

    (nights.archive / "d.mp4").rename(tmp_path / "d.mp4")  # deleted
    plan, did, account = nights.run()
    assert (plan.vanished, did) == (1, {"inventory": 0} | computed(0))

    write_clip(nights.archive / "e.mp4", 5)  # still growing
    plan, did, account = nights.run(NightlyJob(settle_s=3600, max_failed=1))
    assert (plan.settling, plan.to_read, did) == (1, 0, {"inventory": 0} | computed(0))
    assert account["pending"] == ["e.mp4"]
    inventory = pl.read_parquet(nights.root / "data" / "inventory.parquet")
    assert inventory.filter(pl.col("uri") == "e.mp4").select("outcome", "reason").row(0) == ("pending", "still_writing")

    for number, name in enumerate("fg", 6):  # more than the budget holds
        write_clip(nights.archive / f"{name}.mp4", number)
    plan, did, account = nights.run(NightlyJob(budget_s=1e-3, settle_s=0, max_failed=1))
    assert plan.new == 3
    left = account["pending"]
    assert isinstance(left, list) and len(left) + did["label"] == 3

    (tmp_path / "d.mp4").rename(nights.archive / "d.mp4")  # back from the dead
    plan, did, account = nights.run()
    assert did["inventory"] == plan.to_read
    assert did["label"] == len(left)
    assert account["pending"] == []

    other = Nights(tmp_path / "fresh") if (tmp_path / "fresh").mkdir() is None else nights
    shutil.copytree(nights.archive, other.archive, dirs_exist_ok=True)
    other.run()
    assert tree(other.root / "data") == tree(nights.root / "data")


@pytest.mark.slow
def test_a_night_with_a_budget_goes_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    for number in range(3):
        write_clip(nights.archive / f"{number}.mp4", number)
    seen = []
    for _ in range(12):
        _, did, account = nights.run(NightlyJob(budget_s=1e-3, settle_s=0, max_failed=1))
        seen.append(did["label"])
        if not account["pending"]:
            break
    assert sum(seen) == 3
    assert max(seen) == 1  # a night begins one unit at least, and no other once its time is over


def test_too_many_failures_are_an_exit_code(tmp_path: Path, labelled: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    shutil.copy(NO_FACE.path, archive)
    for name in ("x.mp4", "y.mp4"):
        (archive / name).write_bytes(b"\x00" * 100)
    root = tmp_path / "night"
    root.mkdir()
    (root / "params.yaml").write_text(f"archive: {{uri: {archive}}}\nengine: {{name: local}}", encoding="utf-8")
    assert nightly(root, NightlyJob(settle_s=0, max_failed=0.5)) == TOO_MANY_FAILURES
    assert nightly(root, NightlyJob(settle_s=0, max_failed=0.5)) == 0  # they did not fail tonight


def test_a_busy_workspace_is_said_so(labelled: Path) -> None:
    with locked(labelled):
        with pytest.raises(BusyError):
            nightly(labelled, NightlyJob())
        done = fauscan("nightly", "-w", labelled)
    assert done.returncode == 75
    assert "another FauScan is at work here" in done.stderr


def test_a_folder_that_is_not_there_stays_so(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="no such folder"):
        nightly(tmp_path / "none", NightlyJob())
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(("text", "value"), [("6h", 21600), ("90m", 5400), ("1.5 h", 5400), ("30s", 30), ("45", 45), ("10min", 600)])
def test_times_are_read_as_people_write_them(text: str, value: float) -> None:
    assert seconds(text, "--budget") == value


@pytest.mark.parametrize("text", ["", "six hours", "-1h", "6d", "h"])
def test_what_is_no_time_is_refused_by_name(text: str) -> None:
    with pytest.raises(ParamsError, match=r"--budget is .*; give a time such as 6h"):
        seconds(text, "--budget")


def _stop_while_a_video_is_decoded(number: int, root: Path, folder: Path) -> None:
    """A night that gets the signal when the faces of one video are there and those of another, `gate.mp4`, are being worked on."""
    gate = folder / "gate"
    gate.mkdir()
    # Where the tests themselves run in a shell's background, Ctrl-C is switched off for all that they start.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.cli", "nightly", "-w", str(root), "--settle", "0"],
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**sabotage(folder / "hook"), GATE: str(gate)},
        )
    finally:
        signal.signal(signal.SIGINT, before)
    while not list(gate.iterdir()) or not list(root.glob("store/faces/*/*/receipt.json")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 128 + number, said
    assert "Traceback" not in said


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_finished(tmp_path: Path) -> None:
    nights = Nights(tmp_path)
    different_clips(nights.archive, "a.mp4", "gate.mp4")
    _stop_while_a_video_is_decoded(signal.SIGINT, nights.root, tmp_path)
    _, did, _ = nights.run()
    assert did == {"inventory": 0} | computed(2) | {"faces": 1}


@pytest.mark.slow
def test_a_night_by_dvc_that_is_terminated_goes_on_the_next_night(tmp_path: Path) -> None:
    archive, root = tmp_path / "archive", tmp_path / "ws"
    archive.mkdir()
    different_clips(archive, "a.mp4", "gate.mp4")
    assert fauscan("init", root, "--archive", archive).returncode == 0
    params = (root / "params.yaml").read_text(encoding="utf-8")
    params, replaced = re.subn(r"max_videos: \d+", "max_videos: 1", params.replace("name: ray", "name: local"))
    assert replaced == 1
    (root / "params.yaml").write_text(params, encoding="utf-8")
    _stop_while_a_video_is_decoded(signal.SIGTERM, root, tmp_path)
    done = fauscan("nightly", "-w", root, "--settle", "0", "--tag")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^faces      1 videos in .*, 1 already done$", done.stderr, re.MULTILINE)
    assert pl.read_parquet(root / "data" / "labels").height == 2 * FRAMES
    log = subprocess.run(["git", "log", "--oneline", "--decorate"], cwd=root, capture_output=True, text=True, check=True).stdout
    assert "tag: labels-" in log.splitlines()[0]
    assert "Labels of" in log.splitlines()[0]
    assert subprocess.run(["git", "status", "--short"], cwd=root, capture_output=True, text=True, check=True).stdout == ""
