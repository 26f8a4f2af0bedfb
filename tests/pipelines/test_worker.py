from __future__ import annotations

import shutil
from pathlib import Path

from pipelines.worker import StepWorker, UnitTask
from schemas.params import PipelineParams
from tests.conftest import SINGLE_FACE, inventory_row


def test_a_file_that_was_replaced_since_the_inventory_is_not_read(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    shutil.copy(SINGLE_FACE.path, archive / "a.mp4")
    video = inventory_row(archive / "a.mp4").to_pylist()[0]
    with (archive / "a.mp4").open("ab") as file:
        file.write(b"more")
    worker = StepWorker("audio", PipelineParams(), str(archive), str(tmp_path / "store"), tmp_path / "none", "fingerprint")
    done = worker(UnitTask("unit", "ab" * 16, [video], {}))
    worker.close()
    assert list(done.receipt.outcomes.values()) == ["failed"]
    assert done.receipt.failures[0]["reason"] == "changed_during_read"
    assert done.receipt.tables["audio"].rows == 0


def test_a_file_replaced_by_another_of_the_same_size_is_not_read_either(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    shutil.copy(SINGLE_FACE.path, archive / "a.mp4")
    video = inventory_row(archive / "a.mp4").to_pylist()[0]
    data = bytearray(SINGLE_FACE.path.read_bytes())
    data[-1] ^= 1
    (archive / "a.mp4").write_bytes(data)
    worker = StepWorker("audio", PipelineParams(), str(archive), str(tmp_path / "store"), tmp_path / "none", "fingerprint")
    done = worker(UnitTask("unit", "ab" * 16, [video], {}))
    assert done.receipt.failures[0]["reason"] == "changed_during_read"
