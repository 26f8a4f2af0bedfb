"""Ranks: draws that depend on a seed and on names only, never on the order of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import polars as pl


def ranks(names: Iterable[str], seed: int, purpose: str) -> pl.Series:
    """A number for each name, evenly spread over 64 bits; the same for the same name, seed and purpose, on every machine."""
    key = hashlib.blake2b(f"{seed}:{purpose}".encode(), digest_size=32).digest()
    return pl.Series(
        [int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8, key=key).digest(), "big") for name in names], dtype=pl.UInt64
    )
