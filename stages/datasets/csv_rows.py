"""CSV rows: the lines of a table of somebody else's, the bad ones named."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from stages.datasets.contract import OpenFile
from stages.datasets.json_entries import Bad, text_lines


def csv_rows(open_file: OpenFile, uri: str) -> Iterator[tuple[str, list[str] | Bad]]:
    """Rows with their place (`line 1`, ...), the header too, empty ones left out; any of the usual line ends, with or without a mark.

    Raises:
        TruthError: the file can't be opened or read.
    """
    reader = csv.reader(text_lines(open_file, uri))
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield f"line {reader.line_num}", Bad(f"is no row of a table: {error}")
            continue
        if row:
            yield f"line {reader.line_num}", row
