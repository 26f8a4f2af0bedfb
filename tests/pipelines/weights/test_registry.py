from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from pipelines.weights.registry import read_file, read_registry, weight_named
from schemas.errors import WeightsError


def test_every_shipped_entry_says_what_a_person_must_know() -> None:
    for name, weight in read_registry().items():
        assert re.fullmatch(r"[a-z0-9-]+", name)
        assert weight.purpose and weight.licence and weight.page.startswith("https://"), name
        assert weight.file, name
        if weight.sha256 is not None and weight.source.repository:
            assert weight.source.revision and weight.size_bytes, f"{name}: a digest is one of a revision"


def test_no_two_entries_lie_in_the_same_place() -> None:
    places = [weight.place for weight in read_registry().values()]
    assert len(set(places)) == len(places)


def test_the_files_that_pyfeat_asks_for_are_those_of_the_registry() -> None:
    spec = importlib.util.find_spec("feat")  # found, not imported: that takes seconds
    assert spec is not None and spec.submodule_search_locations is not None
    package = Path(next(iter(spec.submodule_search_locations)))
    asked = "\n".join(path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py")) if "tests" not in path.parts)
    for weight in read_registry().values():
        if weight.name.startswith("pyfeat-"):
            assert f'"{weight.source.repository}"' in asked, weight.name
            assert f'"{weight.file}"' in asked, weight.name


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(WeightsError, match=r"'pyfeat-xbg' is not a weights file that FauScan knows; did you mean pyfeat-xgb\?"):
        weight_named("pyfeat-xbg")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{purpose: p, licence: l, commercial: maybe, page: h, source: {by_hand: a}}", r"weights\.a\.commercial is 'maybe'"),
        ("{purpose: p, licence: l, commercial: 'no', page: h, source: {by_hand: a, url: 'https://a/b'}}", "one of them only"),
        ("{purpose: p, licence: l, commercial: 'no', page: h, source: {by_hand: a}, sha256: " + "a" * 64 + "}", "digest_from"),
        ("{purpose: p, licence: l, commercial: 'no', page: h, source: {by_hand: ../../a}}", r"by_hand is '\.\./\.\./a'"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, entry: str, said: str) -> None:
    path = tmp_path / "registry.yaml"
    path.write_text(f"weights: {{a: {entry}}}")
    with pytest.raises(WeightsError, match=said):
        read_file(path)
