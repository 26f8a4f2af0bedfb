"""The twenty action units, named and ordered as py-feat names them."""

from __future__ import annotations

AU_NAMES: tuple[str, ...] = (
    "AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU09", "AU10", "AU11", "AU12",
    "AU14", "AU15", "AU17", "AU20", "AU23", "AU24", "AU25", "AU26", "AU28", "AU43",
)  # fmt: skip
"""Column names of the FAU table, in order (py-feat 2.1.5, `Fex` AU columns)."""
