from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from pipelines.failures import read_failures, reasons_named, retry_failures
from pipelines.workspace import Workspace
from schemas.errors import WorkspaceError
from schemas.reasons import Outcome, Reason
from tests.pipelines.test_cli import fauscan


def test_a_wrong_reason_is_named_with_the_right_ones() -> None:
    with pytest.raises(WorkspaceError, match=r"no_fase: no such reason; use one of .*no_face"):
        reasons_named(["no_fase"])


@pytest.mark.slow
def test_the_list_says_what_each_reason_means(labelled: Path) -> None:
    done = fauscan("failures", "list", "-w", labelled)
    assert done.returncode == 0
    assert "broken.mp4" in done.stderr
    assert "open_failed" in done.stderr
    assert "truncated upload" in " ".join(done.stderr.split())
    only = read_failures(Workspace.open(labelled), outcome=Outcome.FAILED)
    assert only["uri"].unique().to_list() == ["broken.mp4"]


@pytest.mark.slow
def test_a_failed_file_is_read_again_when_asked(labelled: Path, small_workspace: Path) -> None:
    archive = small_workspace.parent / "archive"
    assert retry_failures(Workspace.open(labelled), [Reason.NO_FACE]) == 0
    assert retry_failures(Workspace.open(labelled), [Reason.OPEN_FAILED]) == 1
    done = fauscan("run", archive, "-w", labelled, "--engine", "local")
    assert done.returncode == 0, done.stderr
    assert "inventory  1 files" in done.stderr
    after = pl.read_parquet(labelled / "data" / "failures.parquet")
    assert after.equals(pl.read_parquet(small_workspace / "data" / "failures.parquet"))
