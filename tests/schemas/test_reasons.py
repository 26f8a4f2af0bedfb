from __future__ import annotations

from schemas.reasons import HELP, Reason


def test_every_reason_is_explained() -> None:
    assert set(HELP) == set(Reason)
    assert all(text.endswith(".") for text in HELP.values())
