from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.weights.folder import file_or_name, locate, locate_all, models_folder
from schemas.errors import WeightsError
from tests.pipelines.weights.conftest import BYTES

pytestmark = pytest.mark.usefixtures("register")


def test_what_is_missing_is_said_at_once_with_the_command_and_the_size(folder: Path, register: Callable[..., None]) -> None:
    with pytest.raises(WeightsError) as caught:
        locate_all(["eyes", "ears"])
    said = f"eyes, ears are not in {folder}; run `fauscan models fetch eyes ears --accept-licence` (a download of about 1 MB)"
    assert str(caught.value) == said


def test_a_file_of_another_size_is_not_taken(folder: Path) -> None:
    (folder / "maker/eyes").mkdir(parents=True)
    (folder / "maker/eyes/eyes.bin").write_bytes(BYTES[:-1])
    with pytest.raises(WeightsError, match=r"is 1,048,575 bytes, eyes has 1,048,576; run `fauscan models fetch eyes` again"):
        locate("eyes")


def test_a_file_that_a_person_put_there_is_found(folder: Path) -> None:
    with pytest.raises(WeightsError, match=r"get nose\.pth from https://example\.org/eyes and put it at"):
        locate("nose")
    (folder / "nose").mkdir(parents=True)
    (folder / "nose/nose.pth").write_bytes(b"by hand")
    assert locate("nose") == folder / "nose" / "nose.pth"


def test_where_a_file_is_asked_for_a_name_will_do(folder: Path, tmp_path: Path) -> None:
    assert file_or_name("some/where.pth", tmp_path) == tmp_path / "some" / "where.pth"
    with pytest.raises(WeightsError, match=r"eyes is not in .*run `fauscan models fetch eyes`"):
        file_or_name("eyes", tmp_path)
    (folder / "maker/eyes").mkdir(parents=True)
    (folder / "maker/eyes/eyes.bin").write_bytes(BYTES)
    assert file_or_name("eyes", tmp_path) == folder / "maker/eyes/eyes.bin"
    (tmp_path / "eyes").write_bytes(b"a file of that name")
    assert file_or_name("eyes", tmp_path) == tmp_path / "eyes"


def test_the_folder_is_in_the_users_cache_unless_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FAUSCAN_MODELS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert models_folder() == tmp_path / "fauscan" / "models"
