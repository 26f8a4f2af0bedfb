from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import SchemaError
from schemas.migrations import STEPS, identity, migrate
from schemas.tables import LABEL_TRUTH, LABELS, MEDIA, PROVENANCE, STORED_LABELS, TABLES, UNITS, table_version
from tests.fixtures.make_schema_fixtures import FOLDER, LISTING, NUM_ROWS, columns, listed, value

FIXTURES = sorted(FOLDER.rglob("*.parquet"))


def schema(version: int, *fields: tuple[str, pa.DataType], name: str = "toys") -> pa.Schema:
    return pa.schema(fields, {"fauscan.table": name, "fauscan.version": str(version)})


TOYS_1 = pa.table(
    {"colour": ["red", None], "weight_g": pa.array([1, 2], pa.int32())}, schema(1, ("colour", pa.string()), ("weight_g", pa.int32()))
)
TOYS_3 = schema(3, ("weight_kg", pa.float64()), ("colour", pa.string()), ("owner", pa.string()))
TOY_STEPS = {
    ("toys", 1): lambda t: t.append_column("owner", pa.nulls(t.num_rows, pa.string())),
    ("toys", 2): lambda t: t.drop(["weight_g"]).append_column("weight_kg", pa.array([w / 1000 for w in t["weight_g"].to_pylist()])),
}  # fmt: skip


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_every_version_that_ever_was_reads_as_todays(path: Path) -> None:
    with pq.ParquetFile(path) as file:
        before = file.read()
    wanted = TABLES[path.stem]
    after = migrate(before, wanted, str(path))
    assert after.schema.equals(wanted, check_metadata=True)
    for field in wanted:
        held = field.name in before.column_names
        expected = [value(field.type, field.name, row) if held else None for row in range(NUM_ROWS)]
        assert after[field.name].to_pylist() == expected


def test_there_is_a_file_of_every_version_and_a_step_from_every_older_one() -> None:
    history = listed()
    for name, today in TABLES.items():
        versions = sorted(version for table, version in history if table == name)
        assert versions[-1] == table_version(today)
        assert versions == list(range(versions[0], versions[-1] + 1))
        assert all((name, version) in STEPS for version in versions[:-1])
    assert {(p.stem, int(p.parent.name[1:])) for p in FIXTURES} == set(history)


@pytest.mark.parametrize("name", TABLES)
def test_columns_change_only_with_the_version(name: str) -> None:
    version = table_version(TABLES[name])
    known = listed().get((name, version))
    do = f"write a step in schemas/migrations.py, then run tests/fixtures/make_schema_fixtures.py, which adds to {LISTING.name}"
    assert known is not None, f"{name} {version} is new: {do}"
    assert columns(TABLES[name]) == known, f"the columns of {name} changed, its version is still {version}: raise it, {do}"


def test_truth_made_no_stored_table_another() -> None:
    """Fingerprints, the probes and provenance ids go by these two: raised, they would make every unit of every archive due."""
    assert (table_version(STORED_LABELS), columns(STORED_LABELS)) == (1, listed()["labels", 1])
    assert columns(MEDIA) == listed()["inventory", 1]
    assert set(LABELS.names) - set(STORED_LABELS.names) == set(LABEL_TRUTH)


def test_steps_follow_one_another_and_the_order_of_columns_is_todays() -> None:
    after = migrate(TOYS_1, TOYS_3, "toys.parquet", TOY_STEPS)
    assert after.schema.equals(TOYS_3, check_metadata=True)
    assert after.to_pylist() == [{"weight_kg": 0.001, "colour": "red", "owner": None}, {"weight_kg": 0.002, "colour": None, "owner": None}]


def test_a_table_of_today_passes_untouched() -> None:
    table = LABELS.empty_table()
    assert migrate(table, LABELS, "labels.parquet", {}).equals(table, check_metadata=True)


@pytest.mark.parametrize(
    ("table", "wanted", "steps", "message"),
    [
        (TOYS_3.empty_table(), TOYS_1.schema, TOY_STEPS, r"^f\.parquet: is version 3 of the table 'toys', this FauScan reads up to 1; use"),
        (TOYS_1, LABELS, STEPS, r"^f\.parquet: holds the table 'toys', where 'labels' is wanted"),
        (TOYS_1, TOYS_3, {}, r"^f\.parquet: is version 1 of the table 'toys', which this FauScan can't read any more"),
        (TOYS_1, schema(1, ("colour", pa.string())), {}, r"is not version 1 of the table 'toys', by its columns \(weight_g\)"),
        (TOYS_1, schema(1, ("colour", pa.int8()), ("weight_g", pa.int32())), {}, r"is not version 1 of the table 'toys', by its values"),
        (TOYS_1.replace_schema_metadata(None), LABELS, STEPS, r"is not the table 'labels', by its columns \(basis, "),
        (TOYS_1.replace_schema_metadata(None), pa.schema([("x", pa.int8())]), STEPS, r"is not what belongs there, by its columns"),
    ],
)  # fmt: skip
def test_what_can_not_be_read_is_one_line(table: pa.Table, wanted: pa.Schema, steps: dict, message: str) -> None:
    with pytest.raises(SchemaError, match=message) as error:
        migrate(table, wanted, "f.parquet", steps)
    assert "\n" not in str(error.value)


def test_a_file_that_another_tool_wrote_anew_is_known_by_its_columns() -> None:
    table = LABELS.empty_table().replace_schema_metadata(None)
    assert migrate(table, LABELS, "labels.parquet").schema.equals(LABELS, check_metadata=True)
    ledger = pa.table({"content_id": ["a"], "unit": ["u"]})
    assert identity(ledger.schema) == (None, 0)
    assert migrate(ledger, UNITS, "units.parquet").to_pylist() == [{"content_id": "a", "unit": "u"}]


def test_provenance_of_the_first_version_does_not_know_its_thresholds() -> None:
    first = pa.schema(
        [f for f in PROVENANCE if f.name not in {"fake_above", "real_below"}], {"fauscan.table": "provenance", "fauscan.version": "1"}
    )
    row = {f.name: 1 if f.name == "schema_version" else f.name for f in first}
    assert migrate(pa.Table.from_pylist([row], first), PROVENANCE, "p").to_pylist() == [row | {"fake_above": None, "real_below": None}]
