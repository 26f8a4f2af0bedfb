"""The commands as a person types them, with their exit codes."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from pipelines import cli
from pipelines.weights.folder import locate
from schemas.params import PipelineParams
from tests.pipelines.weights.conftest import BYTES, SHA256
from tests.pipelines.weights.hub import COMMIT, Hub

pytestmark = pytest.mark.usefixtures("register")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path):
    """`fauscan models ...` in an empty folder: exit code, stdout, stderr."""
    monkeypatch.setattr("pipelines.cli.signal.signal", lambda *_: None)
    monkeypatch.setattr("pipelines.cli.spare_pandas", lambda: None)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fauscan", "models", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capfd.readouterr()
        return int(end.value.code or 0), out, err

    return call


def test_list_shows_sizes_licences_and_what_is_here_within_80_columns(run, hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    run("fetch", "eyes")
    code, out, _ = run("list")
    rows = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert code == 0
    assert rows["eyes"].split()[-1] == "yes" and rows["ears"].split()[-1] == "-"
    assert "--accept-licence" in rows["ears"]
    assert max(map(len, out.splitlines()[:-3])) <= 80
    entries = {row["name"]: row for row in json.loads(run("list", "--json")[1])["weights"]}
    assert entries["eyes"]["here"] and entries["eyes"]["sha256"] == SHA256


def test_a_person_fetches_locks_copies_and_verifies(run, hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run("fetch", "eyes", "ears", "--accept-licence")[0] == 0
    code, out, _ = run("verify")
    assert (code, out.splitlines()) == (0, ["eyes: right", "ears: as it was fetched; `fauscan models lock` pins it"])
    assert run("lock", "ears")[0] == 0
    pinned = yaml.safe_load(Path("models.lock.yaml").read_text())
    assert pinned["ears"]["revision"] == COMMIT and pinned["ears"]["size_bytes"] == 1000
    shutil.copytree(folder, tmp_path / "air-gapped")
    monkeypatch.setenv("FAUSCAN_MODELS", str(tmp_path / "air-gapped"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub.asked.clear()
    assert run("verify")[:2] == (0, "eyes: right\nears: right\n")
    assert locate("ears").is_relative_to(tmp_path / "air-gapped")
    assert hub.asked == []


def test_verify_finds_a_flipped_bit_and_a_missing_file(run, hub: Hub, folder: Path) -> None:
    run("fetch", "eyes", "ears", "--accept-licence")
    run("lock", "ears")
    damaged = bytearray(BYTES)
    damaged[7] ^= 1
    locate("eyes").write_bytes(damaged)
    (folder / "maker/ears/ears.bin").unlink()
    code, out, _ = run("verify")
    assert code == 1
    assert f"should be {SHA256[:12]}; run `fauscan models fetch eyes`" in out
    assert "ears: missing; run `fauscan models fetch ears --accept-licence` (about 1.0 kB)" in out


def test_a_lock_is_not_made_of_a_wrong_file(run, hub: Hub, folder: Path) -> None:
    run("fetch", "eyes")
    locate("eyes").write_bytes(BYTES[::-1])
    code, _, err = run("lock", "eyes")
    assert code == 1 and "digest is" in err
    assert not Path("models.lock.yaml").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["fetch", "eyse"], 1, "did you mean eyes?"),
        (["fetch", "ears"], 1, "--accept-licence says that you keep to that"),
        (["fetch", "nose"], 1, "get nose.pth from"),
        (["fetch"], 1, "needs names, or a workspace"),
        (["verify", "eyes"], 1, ""),
        (["lock", "eyes"], 1, "run `fauscan models fetch eyes`, then lock it"),
    ],
)
def test_what_trying_again_does_not_help_is_one_line_and_1(run, hub: Hub, folder: Path, words: list[str], code: int, said: str) -> None:
    ended, _, err = run(*words)
    assert ended == code
    assert said in err
    assert len(err.splitlines()) <= 1


def test_trouble_with_the_network_is_one_line_and_75(run, hub: Hub, folder: Path) -> None:
    hub.down = True
    code, _, err = run("fetch", "eyes")
    assert (code, len(err.splitlines())) == (75, 1)
    hub.down, hub.cut_after = False, [200_000, *[0] * 6]
    code, _, err = run("fetch", "eyes")
    assert (code, len(err.splitlines())) == (75, 1)
    assert "what has come is kept" in err


def test_a_workspace_that_needs_nothing_says_so(run) -> None:
    Path("params.yaml").write_text(yaml.safe_dump(PipelineParams().model_dump(mode="json")))
    code, _, err = run("fetch")
    assert code == 1 and "its backends need no weights but those that ship with FauScan" in err
