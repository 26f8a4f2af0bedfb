"""Datasets: what the published ones, and our own forge, say of their files, as one table of truth."""

from stages.datasets.against_files import against_files
from stages.datasets.contract import EXPECTED_COLUMNS, TRUTH_COLUMNS, Found, Mismatch, OpenFile, Options, Reading, Truth
from stages.datasets.detection import detect, read, share
from stages.datasets.registry import ADAPTERS

__all__ = [
    "ADAPTERS", "EXPECTED_COLUMNS", "TRUTH_COLUMNS", "Found", "Mismatch", "OpenFile", "Options", "Reading", "Truth",
    "against_files", "detect", "read", "share",
]  # fmt: skip
