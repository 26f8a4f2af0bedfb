"""Folder: where an export goes, what it is of, and what could not be exported."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipelines.parquet import replace_file
from schemas.errors import WorkspaceError
from stages.view.names import visible_name

_FACTS = "export.json"
_MISSING = "missing.csv"


class ExportFolder:
    """A folder that belongs to one export. `export.json` names the set; nothing in it is a clock or a path outside.

    As a context it is finished when nothing went wrong; what a killed export left is overwritten by the same command.
    """

    def __init__(self, root: Path, facts: dict[str, Any], fresh: bool = False) -> None:
        """Makes or empties the folder.

        Args:
            root: new, empty, or of an earlier export of the same set in the same way.
            facts: what decides the bytes: set, digest, format, options.
            fresh: empty the folder whatever export it holds.

        Raises:
            WorkspaceError: the folder holds something else, or an export that differs; nothing was changed.
        """
        self.root = root
        self.facts = facts
        self.counts: Counter[str] = Counter()
        before = self._before()
        same = before is not None and {k: before.get(k) for k in facts} == facts
        if before is not None and not same and not fresh:
            different = ", ".join(sorted(k for k in facts if before.get(k) != facts[k]))
            raise WorkspaceError(f"{root}: holds an export that differs in {different}; give another folder, or --fresh")
        self.is_done = (
            same and not fresh and bool(before and before.get("complete")) and not (before or {}).get("counts", {}).get("missing")
        )
        if self.is_done:
            self.counts.update((before or {})["counts"])
            return
        if before is not None:
            _empty(root)
        root.mkdir(parents=True, exist_ok=True)
        self._write(complete=False)
        self._file = (root / _MISSING).open("w", encoding="utf-8", newline="")
        self._missing = csv.writer(self._file, lineterminator="\n")
        self._missing.writerow(("clip_id", "uri", "what"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self.is_done:
            self._file.close()
            if kind is None:
                self._write(complete=True)

    def path(self, name: str) -> Path:
        """Where a file of the export lies, its folder made. The name must be one of ours: relative, without `..`."""
        parts = Path(name).parts
        if Path(name).is_absolute() or ".." in parts or not parts:
            raise ValueError(f"{name!r} leads out of the export")
        path = self.root.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, name: str, data: bytes) -> None:
        """A whole file."""
        self.path(name).write_bytes(data)

    def write_json(self, name: str, value: Any, indent: int | None = 1) -> None:
        """A small JSON file."""
        self.write(name, (json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n").encode())

    def miss(self, clip_id: str | None, uri: str, what: str) -> None:
        """A clip, or all clips of a video, that could not be exported, and why."""
        self.counts["missing"] += 1
        self._missing.writerow((clip_id or "", visible_name(uri), visible_name(what)))

    def _before(self) -> dict[str, Any] | None:
        """The facts of the export that the folder holds; None for a new or empty one."""
        if not self.root.exists():
            return None
        if not self.root.is_dir():
            raise WorkspaceError(f"{self.root}: is a file; give a folder for the export")
        if not any(self.root.iterdir()):
            return None
        try:
            return dict(json.loads((self.root / _FACTS).read_bytes()))
        except (OSError, ValueError, TypeError):
            raise WorkspaceError(f"{self.root}: holds something that is no export of FauScan; give a new or empty folder") from None

    def _write(self, complete: bool) -> None:
        table = self.facts | {"complete": complete} | ({"counts": dict(sorted(self.counts.items()))} if complete else {})
        data = (json.dumps(table, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
        replace_file(self.root / _FACTS, data, self.root / ".export.tmp")


def _empty(root: Path) -> None:
    """Takes everything out but the facts, which go last: links are taken away, not followed."""
    for path in sorted(root.iterdir()):
        if path.name == _FACTS:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
