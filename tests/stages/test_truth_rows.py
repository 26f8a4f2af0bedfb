from __future__ import annotations

from typing import Any

import pytest

from schemas.tables import INVENTORY
from schemas.truth import TruthRow
from stages.truth_rows import truth_rows
from tests.stages.test_truth_frames import table


def rows(*videos: dict[str, Any]) -> list[TruthRow]:
    filled = [
        {"uri": f"{i}.mp4", "outcome": "done", "duration_us": 4_000_000, "truth_dataset": "d", "truth_fake": False}
        | {name if name in INVENTORY.names else f"truth_{name}": value for name, value in video.items()}
        for i, video in enumerate(videos)
    ]
    return truth_rows(table(INVENTORY, filled))


def test_spans_of_each_stream_and_a_fake_without_any_is_fake_from_end_to_end() -> None:
    (spans, whole, real) = rows(
        {"fake": True, "visual_fake": True, "audio_fake": False, "spans": [[1, 2]], "visual_spans": [[1, 2]], "audio_spans": []},
        {"fake": True, "methods": ["fsgan", "wav2lip"], "split": "dev", "source": "x.mp4"},
        {"audio_fake": False, "visual_fake": False},
    )
    assert [spans.spans(m) for m in ("total", "audio", "visual")] == [[(1, 2)], [], [(1, 2)]]
    assert (spans.forgery, spans.unknown) == ("visual", [])
    assert [whole.spans(m) for m in ("total", "audio", "visual")] == [[(0, 4)], [], []]
    assert (whole.forgery, whole.unknown, whole.split, whole.original) == ("fsgan+wav2lip", ["audio", "visual"], "dev", "x.mp4")
    assert (real.forgery, real.spans("total"), real.unknown) == ("real", [], [])


def test_only_videos_of_which_something_is_known() -> None:
    assert [row.file for row in rows({"fake": None}, {}, {"outcome": "failed"})] == ["1.mp4"]


def test_kinds_of_several_datasets_are_told_apart() -> None:
    assert [row.kind for row in rows({"fake": True}, {"fake": True, "dataset": "e"}, {})] == ["d: fake", "e: fake", "real"]


@pytest.mark.parametrize(
    ("videos", "groups"),
    [
        ([{"identities": ["d:b"]}, {"identities": ["d:a", "d:b"]}, {"identities": ["d:c"]}, {}], ["d:a", "d:a", "d:c", None]),
        ([{"identities": ["d:b"], "source": "1.mp4"}, {}, {"source": "2.mp4"}], ["d:b", "d:b", None]),
    ],
)
def test_whoever_is_linked_by_a_person_or_a_source_is_one_group(videos: list[dict[str, Any]], groups: list[str | None]) -> None:
    assert [row.identity for row in rows(*videos)] == groups
    assert [row.identity for row in rows(*videos)] == groups
