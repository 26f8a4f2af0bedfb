"""Names: of files inside an export, made of whatever an archive calls its own."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

_LONGEST = 80


def safe_name(text: str) -> str:
    """One part of a path that every file system, shell and list format takes: ASCII letters, digits, `.`, `_` and `-`.

    Never empty, never hidden, never `..`; what is left of two different names may be the same.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    kept = re.sub(r"[^A-Za-z0-9._-]+", "_", plain).strip("._-")[:_LONGEST].strip("._-")
    return kept or "unnamed"


def safe_suffix(uri: str) -> str:
    """The ending of a file's name, `.mp4`; nothing where it is none that a demuxer would know by."""
    suffix = PurePosixPath(uri).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""
