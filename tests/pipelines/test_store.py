from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.parquet import to_bytes
from pipelines.store import Store, failure_of
from schemas.errors import WorkspaceError
from schemas.reasons import Failure, Outcome, Reason

TABLE = pa.table({"x": [1, 2, 3], "y": pa.array([0.5, None, 1.5], pa.float32()), "s": ["a", "b", None]})
FAILURE = Failure("a", "a.mp4", "faces", Reason.BAD_PACKETS, Outcome.DONE, "2 packets", 3, 5)


def commit(store: Store, key: str = "ab" * 16) -> None:
    store.commit("faces", "unit", key, "fp", {"a": Outcome.DONE}, [FAILURE], {"faces": TABLE}, {"note": "n"})


@pytest.mark.parametrize("uri", ["local", "memory"])
def test_a_committed_unit_comes_back(tmp_path: Path, uri: str) -> None:
    store = Store(str(tmp_path / "store") if uri == "local" else f"memory://{uuid.uuid4().hex}")
    assert store.receipt("faces", "ab" * 16) is None
    commit(store)
    receipt = store.receipt("faces", "ab" * 16)
    assert receipt is not None
    assert receipt.outcomes == {"a": "done"}
    assert failure_of(receipt.failures[0]) == FAILURE
    assert receipt.tables["faces"].rows == 3
    assert store.read("faces", "ab" * 16, "faces").equals(TABLE)
    assert store.read("faces", "ab" * 16, "faces", ["y"]).column_names == ["y"]


@pytest.mark.parametrize("uri", ["local", "memory"])
def test_many_receipts_come_at_once_and_damaged_or_missing_ones_are_left_out(tmp_path: Path, uri: str) -> None:
    store = Store(str(tmp_path / "store") if uri == "local" else f"memory://{uuid.uuid4().hex}")
    for key in ("ab" * 16, "cd" * 16):
        commit(store, key)
    store._put(store._path("faces", "ef" * 16, "receipt.json"), b"{")
    found = store.receipts("faces", ["cd" * 16, "ab" * 16, "ef" * 16, "00" * 16, "ab" * 16])
    assert list(found) == ["cd" * 16, "ab" * 16]
    assert found["ab" * 16] == store.receipt("faces", "ab" * 16)
    assert store.receipts("faces", []) == {}


def test_the_same_work_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        commit(Store(str(tmp_path / name)))
    one, two = ({p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*") if p.is_file()} for n in ("one", "two"))
    assert one == two
    assert len(one) == 2


def test_data_without_a_receipt_does_not_count(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    commit(store)
    receipt = next(tmp_path.rglob("receipt.json"))
    receipt.write_bytes(receipt.read_bytes()[:20])
    assert store.receipt("faces", "ab" * 16) is None
    receipt.unlink()
    assert store.receipt("faces", "ab" * 16) is None
    commit(store)
    assert store.receipt("faces", "ab" * 16) is not None


def test_a_forgotten_unit_is_computed_again(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    commit(store)
    store.forget("faces", "ab" * 16)
    store.forget("faces", "ab" * 16)
    assert store.receipt("faces", "ab" * 16) is None


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    commit(store)
    next(tmp_path.rglob("faces.parquet")).write_bytes(b"PAR1 nonsense")
    with pytest.raises(WorkspaceError, match=r"faces\.parquet: damaged, although it has a receipt"):
        store.read("faces", "ab" * 16, "faces")


def test_parquet_keeps_values_and_spares_dictionaries_for_text() -> None:
    import io

    import pyarrow.parquet as pq

    data = to_bytes(TABLE)
    assert pq.read_table(io.BytesIO(data)).equals(TABLE)
    columns = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0)
    encodings = {columns.column(i).path_in_schema: columns.column(i).encodings for i in range(3)}
    assert "BYTE_STREAM_SPLIT" in encodings["y"]
    assert "RLE_DICTIONARY" in encodings["s"]
    assert "RLE_DICTIONARY" not in encodings["x"]


@pytest.mark.slow
def test_killed_between_data_and_receipt_nothing_counts_and_the_next_run_goes_on(tmp_path: Path) -> None:
    script = f"""
import os, signal
from pipelines import store as module
from tests.pipelines.test_store import commit
put = module.Store._put
def die(self, path, data):
    if path.endswith("receipt.json"):
        os.kill(os.getpid(), signal.SIGKILL)
    put(self, path, data)
module.Store._put = die
commit(module.Store({str(tmp_path)!r}))
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", script], env=environment)
    assert done.returncode == -signal.SIGKILL
    store = Store(str(tmp_path))
    assert list(tmp_path.rglob("faces.parquet"))
    assert store.receipt("faces", "ab" * 16) is None
    commit(store)
    assert store.receipt("faces", "ab" * 16) is not None


def test_a_damaged_ledger_is_named(tmp_path: Path) -> None:
    (tmp_path / "units.parquet").write_bytes(b"junk")
    with pytest.raises(WorkspaceError, match=r"units\.parquet: damaged .* delete it, the next inventory makes it again"):
        Store(str(tmp_path)).read_ledger("units", TABLE.schema)
