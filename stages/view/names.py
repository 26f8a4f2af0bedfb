"""Names: file names and times as a person can read them safely."""

from __future__ import annotations

import unicodedata

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that reorder their neighbours: `gpj.exe` can be made to read `exe.jpg`."""

_HIDDEN_CATEGORIES = frozenset(("Cc", "Cs", "Zl", "Zp"))


def visible_name(name: str) -> str:
    """The name with line breaks, terminal escapes, direction marks and lone surrogates written as `\\u....`.

    Everything else stays: Arabic and Hebrew letters, joiners, emoji, quotes, angle brackets.
    """
    return "".join(_escaped(c) if c in _BIDI or unicodedata.category(c) in _HIDDEN_CATEGORIES else c for c in name)


def duration_text(seconds: float | None) -> str:
    """`12.4 s`, `3 min 05 s`, `1 h 02 min`; a dash where it is not known."""
    if seconds is None:
        return "\N{EN DASH}"
    if seconds < 120:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def span_text(start_s: float, end_s: float) -> str:
    """`3.20\N{EN DASH}5.12 s`."""
    return f"{start_s:.2f}\N{EN DASH}{end_s:.2f} s"


def _escaped(character: str) -> str:
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character, f"\\u{ord(character):04x}")
