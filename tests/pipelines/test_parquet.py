from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.parquet import damage_found_late, from_bytes, read_frame, scan_frames, to_bytes
from pipelines.store import Store
from schemas.errors import SchemaError, WorkspaceError
from schemas.tables import LABELS, PROVENANCE, SEGMENTS, TABLES, UNITS
from tests.fixtures.make_schema_fixtures import FOLDER, rows


def older(name: str, version: int) -> Path:
    return FOLDER / f"v{version}" / f"{name}.parquet"


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.parquet")), ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_the_readers_take_every_version_that_ever_was(path: Path, tmp_path: Path) -> None:
    today = TABLES[path.stem]
    frame = read_frame(path, "fauscan run", today)
    assert frame.columns == today.names
    shutil.copy(path, tmp_path)
    ledger = Store(str(tmp_path)).read_ledger(path.stem, today)
    assert ledger.schema.equals(today, check_metadata=True)
    assert pl.DataFrame(ledger).equals(frame)
    if path.parent.name != "v0":
        assert from_bytes(path.read_bytes(), "here").equals(ledger)
        assert from_bytes(path.read_bytes(), "here", today.names[-1:]).column_names == today.names[-1:]


def test_a_table_of_the_store_is_brought_up_to_date(tmp_path: Path) -> None:
    path = Path(Store(str(tmp_path)).table_path("label", "ab" * 16, "provenance"))
    path.parent.mkdir(parents=True)
    shutil.copy(older("provenance", 1), path)
    read = Store(str(tmp_path)).read("label", "ab" * 16, "provenance", ["fake_above", "preset"])
    assert read.column_names == ["fake_above", "preset"]
    assert read["fake_above"].null_count == read.num_rows


def test_another_tables_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "segments.parquet"
    path.write_bytes(to_bytes(rows(LABELS)))
    with pytest.raises(SchemaError, match=r"segments\.parquet: holds the table 'labels', where 'segments' is wanted"):
        read_frame(path, "fauscan label", SEGMENTS)


@pytest.mark.parametrize(
    "read",
    [
        lambda path: read_frame(path, "fauscan label", PROVENANCE),
        lambda path: from_bytes(path.read_bytes(), str(path)),
        lambda path: Store(str(path.parent)).read_ledger("provenance", PROVENANCE),
    ],
    ids=["workspace", "store", "ledger"],
)
def test_a_file_of_a_newer_fauscan_is_refused(tmp_path: Path, read: Callable[[Path], object]) -> None:
    newer = PROVENANCE.with_metadata({"fauscan.table": "provenance", "fauscan.version": "9"})
    path = tmp_path / "provenance.parquet"
    path.write_bytes(to_bytes(pa.table(rows(PROVENANCE).columns, schema=newer)))
    with pytest.raises(SchemaError, match=r"provenance\.parquet: is version 9 of the table 'provenance', this FauScan reads up to 2"):
        read(path)


def test_a_damaged_file_names_the_command_that_writes_it_again(tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    path.write_bytes(b"PAR1")
    for wanted in (path, tmp_path / "none.parquet"):
        with pytest.raises(WorkspaceError, match=r"missing or damaged .*; delete it and run `fauscan label`"):
            read_frame(wanted, "fauscan label", LABELS)


def test_a_folder_called_like_a_partition_adds_no_column(tmp_path: Path) -> None:
    path = tmp_path / "split=test" / "units.parquet"
    path.parent.mkdir()
    pq.write_table(rows(UNITS), path)
    assert read_frame(path, "fauscan inventory").columns == UNITS.names


def test_tables_of_today_stay_on_the_disk_until_rows_are_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.parquet").write_bytes(to_bytes(rows(LABELS)))
    monkeypatch.setattr("pipelines.parquet.read_frame", None)
    found = scan_frames([tmp_path / "a.parquet", tmp_path / "b.parquet"], "fauscan label", LABELS)
    assert found.collect().height == 2 * rows(LABELS).num_rows
    monkeypatch.undo()
    both = scan_frames([tmp_path / "a.parquet", older("labels", 1)], "fauscan label", LABELS)
    assert both.collect().columns == LABELS.names


def test_damage_that_shows_late_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    whole = to_bytes(rows(LABELS))
    path.write_bytes(whole[:4] + bytes(100) + whole[104:])  # pages come first, the footer last
    found = scan_frames([path], "fauscan label", LABELS)
    with (
        pytest.raises(WorkspaceError, match=r"data/labels: a table of labels is damaged .*`fauscan verify` says which"),
        damage_found_late("data/labels"),
    ):
        found.collect()


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_flipped_in_a_table_is_one_line_or_nothing(tmp_path: Path, seed: int) -> None:
    draw, path = random.Random(seed), tmp_path / "a.parquet"
    table = bytearray(to_bytes(pa.concat_tables([rows(LABELS)] * 200)))
    for _ in range(draw.choice((1, 5, 100))):
        table[draw.randrange(4, len(table))] = draw.randrange(256)
    path.write_bytes(table)
    sums = pl.col("frame_index").n_unique(), pl.col("p_total").cast(pl.Float32).max(), pl.col("label").cast(pl.String).first()
    with contextlib.suppress(WorkspaceError, SchemaError), damage_found_late("labels"):
        scan_frames([path], "fauscan label", LABELS).group_by("content_id").agg(*sums).collect(engine="streaming")


@pytest.mark.parametrize("read", [read_frame, lambda path, by, schema: scan_frames([path], by, schema)])
def test_a_name_that_is_no_text_is_damage(tmp_path: Path, read: Callable[..., object]) -> None:
    path, whole = tmp_path / "a.parquet", to_bytes(rows(LABELS))
    path.write_bytes(whole.replace(b"n_windows", b"n_w\xffndows"))
    with pytest.raises(WorkspaceError, match=r"a\.parquet: missing or damaged"):
        read(path, "fauscan label", LABELS)
