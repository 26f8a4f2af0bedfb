"""Spare: keeps pyarrow from importing pandas, which takes longer than many a command."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder


class _NoPandas(MetaPathFinder):
    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


def spare_pandas() -> None:
    """pyarrow imports pandas with its first array, if there is one: more than a second that none of our tables needs.

    Others who import pandas afterwards get it; only pyarrow's own conversions to it are off in this process.
    """
    hidden = _NoPandas()
    sys.meta_path.insert(0, hidden)
    import pyarrow  # noqa: PLC0415 - a sandbox has its path only when it runs

    pyarrow.array([])
    sys.meta_path.remove(hidden)
