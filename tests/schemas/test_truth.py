from __future__ import annotations

import json
from pathlib import Path

import pytest

from schemas.errors import TruthError
from schemas.truth import read_truth


@pytest.mark.parametrize("file", ["../../etc/passwd", "/etc/passwd", "a/../../b.mp4", "..", "x\0y.mp4"])
def test_a_path_that_leads_out_of_the_folder_is_refused_with_its_row(tmp_path: Path, file: str) -> None:
    (tmp_path / "metadata.json").write_text(json.dumps([{"file": "a.mp4"}, {"file": file}]), encoding="utf-8")
    with pytest.raises(TruthError, match=r"metadata.json: row 1: file: .* leads out of the folder; give a path below it"):
        read_truth(tmp_path)


@pytest.mark.parametrize("file", ["a..b.mp4", "...", "sub/folder/a.mp4", "-rf.mp4", "caf\u00e9 .mp4"])
def test_odd_names_are_names(tmp_path: Path, file: str) -> None:
    (tmp_path / "metadata.json").write_text(json.dumps([{"file": file}]), encoding="utf-8")
    assert read_truth(tmp_path)[0].file == file


def test_json_as_deep_as_a_well_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "metadata.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(TruthError, match="can't be read as JSON"):
        read_truth(tmp_path)
