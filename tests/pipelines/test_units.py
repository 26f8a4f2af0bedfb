from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipelines.units import LEDGER, Video, assign
from schemas.params import UnitParams

VIDEOS = st.lists(
    st.builds(Video, st.text("0123456789abcdef", min_size=4, max_size=4), st.integers(0, 600_000_000)),
    unique_by=lambda v: v.content_id,
    max_size=40,
)


def groups(ledger: pa.Table) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in ledger.to_pylist():
        found.setdefault(row["unit"], set()).add(row["content_id"])
    return found


@given(VIDEOS, VIDEOS, st.integers(1, 5))
def test_what_was_grouped_stays_grouped(first: list[Video], later: list[Video], most: int) -> None:
    params = UnitParams(minutes=5, max_videos=most)
    before = assign(LEDGER.empty_table(), first, params)
    after = assign(before, [*later, *first], params)
    assert all(groups(after)[unit] == members for unit, members in groups(before).items())
    assert set(after["content_id"].to_pylist()) == {v.content_id for v in [*first, *later]}
    assert len(after) == len(set(after["content_id"].to_pylist()))
    assert all(len(members) <= most for members in groups(after).values())


@given(VIDEOS, st.randoms())
def test_the_order_of_the_listing_does_not_matter(videos: list[Video], random: object) -> None:
    shuffled = list(videos)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    params = UnitParams(minutes=5)
    assert assign(LEDGER.empty_table(), videos, params).equals(assign(LEDGER.empty_table(), shuffled, params))


def test_a_long_video_is_a_unit_of_its_own() -> None:
    videos = [Video("a", 30_000_000), Video("b", 3_600_000_000), Video("c", 30_000_000)]
    assert sorted(map(len, groups(assign(LEDGER.empty_table(), videos, UnitParams(minutes=2))).values())) == [1, 1, 1]
    assert sorted(map(len, groups(assign(LEDGER.empty_table(), [videos[0], videos[2]], UnitParams(minutes=2))).values())) == [2]
