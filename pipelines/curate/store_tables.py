"""Store tables: facts about the faces and the sound of some videos, unit by unit, through receipts."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pyarrow as pa
import pyarrow.compute

from pipelines.chain import STEPS
from pipelines.step import receipts_of
from pipelines.store import Receipt
from pipelines.workspace import Workspace
from stages.contract import as_frame
from stages.curate import signals


class StoreTables:
    """The tables of one workspace's store, and what their digests were when they were read."""

    def __init__(self, workspace: Workspace, stride_ticks: int, whole_picture: bool) -> None:
        self._workspace, self._stride, self._whole = workspace, stride_ticks, whole_picture
        self.digests: dict[str, str] = {}
        """Of every unit that was read, by step and unit."""

    def faces(self, content_ids: pl.Series) -> pl.DataFrame:
        """See `signals.of_faces`. Raises WorkspaceError when the step has not run."""
        return self._read("faces", signals.FACE_FACTS, content_ids, lambda rows: signals.of_faces(rows, self._stride, self._whole))

    def audio(self, content_ids: pl.Series) -> pl.DataFrame:
        """See `signals.of_audio`. Raises WorkspaceError when the step has not run."""
        return self._read("audio", signals.AUDIO_FACTS, content_ids, lambda rows: signals.of_audio(rows, self._stride))

    def units(self, step: str, content_ids: pl.Series) -> list[tuple[Receipt, pa.Array]]:
        """Receipts of the units that hold any of these videos, with which of them."""
        wanted = set(content_ids)
        found = []
        for receipt in receipts_of(self._workspace, step):
            if own := sorted(receipt.outcomes.keys() & wanted):
                self.digests[f"{step}/{receipt.unit}"] = receipt.content_digest()
                found.append((receipt, pa.array(own, pa.string())))
        return found

    def _read(
        self, step: str, columns: tuple[str, ...], content_ids: pl.Series, summary: Callable[[pl.LazyFrame], pl.LazyFrame]
    ) -> pl.DataFrame:
        """Each unit is made small before the next one is read: an archive's faces are more than memory holds."""
        store = self._workspace.store()
        none = as_frame(STEPS[step].outputs[step].empty_table()).select(columns)
        parts = [summary(none.lazy()).collect()]
        for receipt, own in self.units(step, content_ids):
            table = store.read(step, receipt.unit_key, step, list(columns))
            rows = as_frame(table.filter(pa.compute.is_in(table["content_id"], value_set=own)))
            parts.append(summary(rows.lazy()).collect())
        return pl.concat(parts)
