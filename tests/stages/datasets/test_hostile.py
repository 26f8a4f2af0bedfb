"""Metadata that means harm, for every adapter: whatever stands there, the answer is rows, mismatches, or one line."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import TruthError
from stages.datasets import Reading, detect, read
from tests.stages.datasets.miniatures import ALL, opener

SUFFIXES = (".json", ".csv", ".txt")
NASTY: list[Any] = [
    None, True, -1, 1.5, 10**17, float("nan"), float("inf"), "", ".", "..", "/", "a/../b.mp4", "\0", "\ud800", "x\ny", "é" * 2000,
    [], [[]], [[1]], [[2, 1]], [[1, 2], None], [["1", "2"]], {}, {"a": {}}, "FAKE", "real", "train", "id1/2/3/real.mp4",
]  # fmt: skip
WITH_JSON = sorted({"lavdf", "avdeepfake1m", "avdeepfake1mpp", "dfdc", "dfdcp", "faceforensics", "forge"})


def reading_or_line(archive: dict[str, bytes], name: str, root: str) -> Reading | None:
    said = ""
    try:
        reading = read(name, root, archive.keys(), opener(archive))
    except TruthError as error:
        reading, said = None, str(error)
    assert "\n" not in said and len(said) < 500
    if reading is None:
        return None
    uris = reading.truths["uri"].to_list()
    assert len(set(uris)) == len(uris) and set(uris) <= archive.keys()
    for mismatch in reading.mismatches:
        assert "\n" not in mismatch.what and len(mismatch.what) < 1000
        mismatch.uri.encode()
    list(reading.rows())
    return reading


def tables(archive: dict[str, bytes]) -> list[str]:
    return [uri for uri in archive if uri.endswith(SUFFIXES)]


def entries_of(value: Any) -> list[Any]:
    """Every object and list in a JSON value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return ([value] if isinstance(value, dict | list) and value else []) + [found for part in inner for found in entries_of(part)]


@pytest.mark.parametrize("name", WITH_JSON)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_any_place(name: str, data: st.DataObject) -> None:
    archive = ALL[name](root="")
    uri = data.draw(st.sampled_from([u for u in tables(archive) if u.endswith(".json") and u not in {"plan.json", "conversion_dict.json"}]))
    value = json.loads(archive[uri])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(entries_of(value)))
        key = data.draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        place[key] = copy.deepcopy(NASTY[data.draw(st.integers(0, len(NASTY) - 1))])
    reading_or_line(archive | {uri: json.dumps(value).encode()}, name, "")


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes_anywhere_and_a_file_cut_anywhere(name: str, data: st.DataObject) -> None:
    archive = ALL[name](root="")
    found = tables(archive)
    if not found:  # KoDF has names only
        return
    uri = data.draw(st.sampled_from(found))
    content = archive[uri]
    start = data.draw(st.integers(0, len(content)))
    length = data.draw(st.integers(0, 40))
    rest = b"" if data.draw(st.booleans()) else content[start + length :]
    reading_or_line(archive | {uri: content[:start] + data.draw(st.binary(max_size=8)) + rest}, name, "")


@pytest.mark.parametrize("name", ALL)
def test_names_of_files_that_mean_harm(name: str) -> None:
    archive = ALL[name](root="")
    folders = sorted({uri.rpartition("/")[0] for uri in archive if uri.endswith(".mp4") and "/masks/" not in uri})
    odd = {f"{folder}/{file}": b"" for folder in folders for file in ("\n.mp4", "_.mp4", ".mp4", "a_b_c_d_e.mp4", "x" * 300 + ".mp4")}
    reading = reading_or_line(archive | odd, name, "")
    assert reading is not None
    # AV-Deepfake1M's test sets are lists of any names.
    assert {m.uri for m in reading.mismatches if m.kind == "extra"} | set(reading.truths["uri"]) >= odd.keys()


@pytest.mark.parametrize("name", ALL)
def test_an_archive_whose_metadata_can_t_be_opened(name: str) -> None:
    archive = ALL[name](root="")
    (found,) = detect(list(archive))

    def refuse(uri: str) -> Any:
        raise PermissionError(f"no permission for {uri}")

    if name == "kodf":
        assert read(found.name, found.root, archive.keys(), refuse).truths.height == 7
    else:
        with pytest.raises(TruthError, match=r"can't be read: no permission for"):
            read(found.name, found.root, archive.keys(), refuse)
