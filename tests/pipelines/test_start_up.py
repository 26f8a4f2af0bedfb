"""Start-up: what a command or a worker imports before it knows that it has work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "module", ["pipelines.whole", "pipelines.worker", "pipelines.evaluate", "fauforensics.checkpoint_info", "fauforensics"]
)
def test_torch_is_imported_only_where_it_computes(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_run_without_truth_imports_nothing_that_figures_need() -> None:
    code = "import sys, pipelines.whole, pipelines.evaluate_known; sys.exit(bool({'sklearn', 'scipy.stats'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_reading_what_a_checkpoint_says_needs_no_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from fauforensics.checkpoint_info import read_info;"
        "read_info(Path(sys.argv[1])); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, ROOT / "models" / "lite.safetensors"], check=False).returncode == 0


def test_the_package_still_offers_its_names() -> None:
    import fauforensics

    for name in fauforensics.__all__:
        assert getattr(fauforensics, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = fauforensics.nothing
