from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.lock import locked
from schemas.errors import WorkspaceError


def test_a_second_writer_is_refused_and_welcome_afterwards(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(WorkspaceError, match="another FauScan is at work here"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    script = f"import os\nfrom pathlib import Path\nfrom pipelines.lock import locked\nwith locked(Path({str(tmp_path)!r})): os._exit(9)"
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2]).returncode == 9
    with locked(tmp_path):
        pass
