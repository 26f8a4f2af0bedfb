from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.fingerprint import stage_fingerprint, unit_key
from schemas.tables import FACES, FAU

BASE = {"stage": "fau", "version": 1, "params": {"fau": {"backend": "mesh"}}, "outputs": [FAU], "upstream": {"faces": "a"}}


def test_everything_that_the_output_depends_on_changes_the_fingerprint() -> None:
    changes = [
        {"stage": "faces"},
        {"version": 2},
        {"params": {"fau": {"backend": "other"}}},
        {"outputs": [FACES]},
        {"upstream": {"faces": "b"}},
        {"weights_sha256": "c"},
    ]
    keys = {stage_fingerprint(**(BASE | change)) for change in [{}, *changes]}  # type: ignore[arg-type]
    assert len(keys) == len(changes) + 1


@given(st.permutations(["a", "b", "c"]))
def test_a_unit_is_the_same_in_any_order(ids: list[str]) -> None:
    assert unit_key(ids, "f") == unit_key(["a", "b", "c"], "f")
    assert unit_key(ids, "f") != unit_key(ids, "g")
    assert unit_key(ids[:2], "f") != unit_key(ids, "f")
