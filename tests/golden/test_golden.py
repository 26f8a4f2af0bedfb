"""A stage whose output changed while its version did not: old results and new ones would count as the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from stages import versions
from tests.golden.golden import CASES, FOLDER, MAKE, ChangedError, Tables, check, differences, output, read
from tests.golden.make import make

WITHOUT = {"REPORT", "EVALUATE", "PATCHES"}
"""Stages whose output is made anew each time; and what py-feat's backends make, which tests hold to py-feat's own answers."""


@pytest.mark.parametrize("stage", CASES)
def test_the_output_is_that_of_the_golden_file(stage: str) -> None:
    check(stage, output(stage), read(stage))


def test_every_stage_that_is_stored_has_one() -> None:
    stages = {name for name in vars(versions) if name.isupper()} - WITHOUT
    assert {stage.upper() for stage in CASES} == stages
    assert sum(path.stat().st_size for path in FOLDER.rglob("*.parquet")) < 300_000


def nudged(column: pa.ChunkedArray, close: tuple[float, float] | None, share: float) -> pa.Array:
    """The column with its first value moved: by a share of its tolerance, or to something else where there is none."""
    values = column.to_pylist()
    row = next(i for i, value in enumerate(values) if value not in (None, []))
    cell = values[row]
    first = cell[0] if isinstance(cell, list) else cell
    if close is None:
        new = not first if isinstance(first, bool) else first + 1 if isinstance(first, int | float) else first + "x"
    else:
        new = first + share * (close[0] + close[1] * abs(first))
        new = round(new) if isinstance(first, int) else new
    values[row] = [new, *cell[1:]] if isinstance(cell, list) else new
    return pa.array(values, column.type)


@pytest.mark.parametrize("stage", CASES)
def test_a_change_in_any_column_is_seen(stage: str) -> None:
    case, before, seen = CASES[stage], read(stage), 0
    for name, table in before.items():
        for place, column in enumerate(table.column_names):
            if all(value in (None, []) for value in table[column].to_pylist()):
                continue
            now = before | {name: table.set_column(place, column, nudged(table[column], case.close.get(column), 2.0))}
            assert [line.split(":")[0] for line in differences(case, now, before)] == [f"{name}.{column}"]
            if column in case.close and not pa.types.is_float16(table[column].type):
                near = before | {name: table.set_column(place, column, nudged(table[column], case.close[column], 0.4))}
                assert differences(case, near, before) == []
            seen += 1
    assert seen > 4


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.slice(1),
        lambda table: table.drop(table.column_names[:1]),
        lambda table: table.set_column(0, table.column_names[0], table[0].cast(pa.large_string())),
    ],
    ids=["a row less", "a column less", "another type"],
)
def test_another_shape_is_seen(change: object) -> None:
    before = read("segments")
    with pytest.raises(ChangedError, match=r"segments: the output changed"):
        check("segments", {"segments": change(before["segments"])}, before)


def test_a_value_that_became_null_is_seen() -> None:
    before = read("score")["scores"]
    place = before.column_names.index("logit_visual")
    nulls = before.set_column(place, "logit_visual", pa.nulls(before.num_rows, pa.float32()))
    assert differences(CASES["score"], {"scores": nulls}, {"scores": before})


def test_the_message_says_what_to_raise_and_what_to_run() -> None:
    before = read("fau")
    moved = {"fau": before["fau"].set_column(3, "AU01", pa.array(np.ones(before["fau"].num_rows), pa.float32()))}
    with pytest.raises(ChangedError, match=rf"fau\.AU01: .* raise FAU in stages/versions\.py and run `{MAKE}`"):
        check("fau", moved, before)


def of_version(tables: Tables, version: int) -> Tables:
    return {name: table.replace_schema_metadata({"golden.version": str(version)}) for name, table in tables.items()}


def test_a_golden_file_of_another_version_is_to_be_made_again() -> None:
    before = read("label")
    with pytest.raises(
        ChangedError, match=rf"label: the stage is version {versions.LABEL}, its golden file is of version 99; run `{MAKE}`"
    ):
        check("label", before, of_version(before, 99))
    with pytest.raises(ChangedError, match=rf"its golden file is not there; run `{MAKE}`"):
        check("label", before, {})


def test_make_writes_what_is_new_and_does_not_paper_over_a_change(tmp_path: Path) -> None:
    from tests.golden.golden import write

    for path in FOLDER.glob("*.parquet"):
        shutil.copy(path, tmp_path)
    kept = {path.name: path.read_bytes() for path in tmp_path.glob("*.parquet") if not path.name.startswith("segments")}
    (tmp_path / "segments-segments.parquet").unlink()
    assert make(tmp_path) == ["segments"]
    assert {name: (tmp_path / name).read_bytes() for name in kept} == kept
    before = read("segments", tmp_path)["segments"]
    write("segments", {"segments": before.slice(1)}, tmp_path)
    with pytest.raises(ChangedError, match="raise SEGMENTS in"):
        make(tmp_path)
    assert read("segments", tmp_path)["segments"].num_rows == before.num_rows - 1
