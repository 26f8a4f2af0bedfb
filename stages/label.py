"""Label: one row for each frame and face, from the windows that cover it (design, section 6)."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from fauforensics.checkpoint_info import Calibration
from schemas.params import LabelParams
from schemas.reasons import Outcome, Reason
from schemas.tables import AUDIO, FACES, FRAMES, SCORES, STORED_LABELS
from schemas.timebase import WINDOW_TICKS
from stages import versions
from stages.contract import StageResult, as_frame, table_from_columns
from stages.hysteresis import moving_average, states
from stages.windows import mean_over_windows

INPUT, OUTPUT, VERSION = (FRAMES, FACES, AUDIO, SCORES), STORED_LABELS, versions.LABEL

_LABEL_TYPES = as_frame(STORED_LABELS.empty_table()).schema
_SHARP, _WIDE_PX, _TURNED_DEG = 100.0, 120.0, 60.0
"""A face that is this sharp (variance of the Laplacian) and this wide, and looks at the camera, has quality 1; turned this far, 0."""


class Label:
    """Knows the checkpoint's calibration and thresholds, and under which name the provenance is filed."""

    def __init__(self, params: LabelParams, calibration: Calibration, provenance_id: str) -> None:
        self._smooth = params.smooth_ticks
        self._calibration = calibration
        self._provenance_id = provenance_id
        self.fake_above, self.real_below = thresholds(params, calibration)

    def __call__(self, frames: pa.Table, faces: pa.Table, audio: pa.Table, scores: pa.Table) -> StageResult:
        """frames: FRAMES; faces: FACES without pixels; audio: AUDIO's content_id, tick, reason; scores: SCORES.

        Every frame of `frames` gets a row for each face in it, or one row with a null track.
        """
        result = StageResult(STORED_LABELS.empty_table())
        tables = [as_frame(t) for t in (frames, faces, audio, scores)]
        rows: list[pl.DataFrame] = []
        for content_id in tables[0]["content_id"].unique(maintain_order=True):
            own = [t.filter(pl.col("content_id") == content_id) for t in tables]
            rows.append(self._video(*own))
            result.outcomes[content_id] = Outcome.DONE
            result.frames_seen += own[0].height
        if rows:
            merged = pl.concat(rows).to_dict(as_series=False)
            result.rows = table_from_columns(merged, STORED_LABELS)
        return result

    def close(self) -> None:
        """Nothing to give back."""

    def _video(self, frames: pl.DataFrame, faces: pl.DataFrame, audio: pl.DataFrame, scores: pl.DataFrame) -> pl.DataFrame:
        num_ticks = 1 + max([t for t in (frames["tick"].max(), faces["tick"].max(), audio["tick"].max()) if isinstance(t, int)], default=0)
        num_ticks = max(num_ticks, *(int(s) + WINDOW_TICKS for s in scores["start_tick"])) if scores.height else num_ticks
        sound = scores.filter(pl.col("track").is_null())
        p_audio = self._probability("audio", sound, num_ticks)
        parts = []
        for (track,), seen in faces.group_by("track", maintain_order=True):
            own = scores.filter(pl.col("track") == track)
            parts.append(self._track(frames, seen, own, p_audio, _reasons(audio, own, num_ticks), num_ticks))
        labelled = pl.concat(parts) if parts else None
        bare = frames if labelled is None else frames.join(labelled.select("frame_index").unique(), on="frame_index", how="anti")
        empty = self._without_face(bare, p_audio)
        rows = empty if labelled is None else pl.concat([labelled, empty])
        return rows.sort("frame_index", "track", nulls_last=True)

    def _probability(self, head: str, windows: pl.DataFrame, num_ticks: int) -> NDArray[np.float64]:
        """(T,) calibrated and smoothed probability of fake by one head, NaN where no window answers."""
        logit, _ = _pool(windows, f"logit_{head}", num_ticks)
        p = 1 / (1 + np.exp(-(self._calibration.scale[head] * logit + self._calibration.shift[head])))
        return moving_average(p, self._smooth)

    def _track(
        self,
        frames: pl.DataFrame,
        seen: pl.DataFrame,
        windows: pl.DataFrame,
        p_audio: NDArray[np.float64],
        why_silent: list[str | None],
        num_ticks: int,
    ) -> pl.DataFrame:
        p_total = self._probability("total", windows, num_ticks)
        p_visual = self._probability("visual", windows, num_ticks)
        _, n_windows = _pool(windows, "logit_visual", num_ticks)
        by_total = np.isfinite(p_total)
        evidence = np.where(by_total, _pool_evidence(windows, "total", num_ticks), _pool_evidence(windows, "visual", num_ticks))
        # A run must not cross from one basis to the other: the two probabilities mean different things.
        both = [states(p, self.fake_above, self.real_below) for p in (p_total, np.where(by_total, np.nan, p_visual))]
        label = [total or visual for total, visual in zip(*both, strict=True)]
        seen_at_all = np.isfinite(p_visual)
        basis = ["total" if t else "visual" if v else None for t, v in zip(by_total, seen_at_all, strict=True)]
        why = [
            None if t else why_silent[k] if v else Reason.TRACK_TOO_SHORT.value
            for k, (t, v) in enumerate(zip(by_total, seen_at_all, strict=True))
        ]
        ticks = pl.DataFrame(
            {
                "tick": np.arange(num_ticks, dtype=np.int32),
                "p_total": p_total,
                "p_audio": p_audio[:num_ticks],
                "p_visual": p_visual,
                "evidence": evidence,
                "label": pl.Series(label, dtype=pl.String),
                "basis": pl.Series(basis, dtype=pl.String),
                "why": pl.Series(why, dtype=pl.String),
                "n_windows": n_windows.astype(np.int16),
            }
        )
        rows = frames.join(seen.select("tick", "track", "box", _quality()), on="tick", how="inner").join(ticks, on="tick", how="left")
        damaged = pl.col("reason").is_not_null()
        rows = rows.with_columns(
            *(pl.when(damaged).then(None).otherwise(pl.col(c)).alias(c) for c in ("p_total", "p_visual", "evidence", "label", "basis")),
            n_windows=pl.when(damaged).then(0).otherwise(pl.col("n_windows")),
            reason=pl.coalesce("reason", "why"),
        )
        return self._shape(rows)

    def _without_face(self, frames: pl.DataFrame, p_audio: NDArray[np.float64]) -> pl.DataFrame:
        values = p_audio[frames["tick"].to_numpy()] if frames.height else np.zeros(0)
        rows = frames.with_columns(
            p_audio=pl.Series(values, dtype=pl.Float64),
            reason=pl.coalesce("reason", pl.lit(Reason.NO_FACE.value)),
            n_windows=pl.lit(0, pl.Int16),
        )
        return self._shape(rows)

    def _shape(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Exactly the columns of STORED_LABELS: what is not there is null, and so is NaN."""
        rows = rows.with_columns(provenance_id=pl.lit(self._provenance_id))
        known = [pl.col(pl.Float64).fill_nan(None)] if pl.Float64 in rows.dtypes else []
        rows = rows.with_columns(*known)
        return rows.select((pl.col(n) if n in rows.columns else pl.lit(None)).cast(t).alias(n) for n, t in _LABEL_TYPES.items())


def thresholds(params: LabelParams, calibration: Calibration) -> tuple[float, float]:
    """(fake_above, real_below): the parameters, or else the checkpoint's own."""
    fake_above = calibration.fake_above if params.fake_above is None else params.fake_above
    real_below = calibration.real_below if params.real_below is None else params.real_below
    return fake_above, min(real_below, fake_above)


def _pool(windows: pl.DataFrame, column: str, num_ticks: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean over the windows that cover a tick, (T,), NaN where none does; and how many do."""
    known = windows.filter(pl.col(column).is_not_null())
    return mean_over_windows(known["start_tick"].to_list(), known[column].to_list(), num_ticks)


def _pool_evidence(windows: pl.DataFrame, head: str, num_ticks: int) -> NDArray[np.float64]:
    """Mean evidence of a tick over the windows that cover it, (T,)."""
    known = windows.filter(pl.col(f"logit_{head}").is_not_null())
    total, count = np.zeros(num_ticks), np.zeros(num_ticks)
    for start, values in zip(known["start_tick"].to_list(), known[f"evidence_{head}"].to_list(), strict=True):
        total[start : start + WINDOW_TICKS] += np.asarray(values, np.float64)
        count[start : start + WINDOW_TICKS] += 1
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _reasons(audio: pl.DataFrame, windows: pl.DataFrame, num_ticks: int) -> list[str | None]:
    """Why each tick has no total probability: its own missing sound, else what its windows say."""
    reasons: list[str | None] = [None] * num_ticks
    for start, why in zip(windows["start_tick"].to_list(), windows["reason"].to_list(), strict=True):
        for tick in range(start, min(start + WINDOW_TICKS, num_ticks)):
            reasons[tick] = reasons[tick] or why
    for tick, why in zip(audio["tick"].to_list(), audio["reason"].to_list(), strict=True):
        if tick < num_ticks and why:
            reasons[tick] = why
    return reasons


def _quality() -> pl.Expr:
    """In [0, 1]: the weakest of sharpness, size and frontality. A poor face is labelled all the same; curation reads this."""
    sharp = (pl.col("sharpness") / _SHARP).clip(0, 1)
    width = (pl.col("box").arr.get(2) - pl.col("box").arr.get(0)) / _WIDE_PX
    turned = pl.max_horizontal(pl.col("yaw_deg").abs(), pl.col("pitch_deg").abs()) / _TURNED_DEG
    return pl.min_horizontal(sharp, width.clip(0, 1), (1 - turned).clip(0, 1)).alias("quality")
