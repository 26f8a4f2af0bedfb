"""One set of made weights for all tests of py-feat's networks: importing py-feat takes seconds."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pyfeat")


@pytest.fixture(scope="session")
def weights(weights_folder: Path) -> dict[str, Path]:
    import stages.pyfeat.adapter  # noqa: F401 - py-feat's first import is this one, with its effects undone
    from tests.pyfeat_weights import make_all

    return make_all(weights_folder)
