"""Forge worker: one process's share of a run: surveys sources, makes takes, leaves a receipt for every finished file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.archive import Archive
from pipelines.forge_plan import PlannedForgery, Take, generator, truth_traces
from pipelines.forge_sources import Skipped, Source
from pipelines.process import quiet_process
from schemas.recipe import REAL, ForgeRecipe
from stages.contract import MediaError
from stages.encoding import write_mp4
from stages.forge.footage import Footage, Timing, read_footage, read_wave, runs
from stages.forge.forgery import Forged, Material, NoMaterialError, forge
from stages.forge.survey import Surveyor

_BRIDGE_S = 0.3  # a face that is lost for less than this is still one stretch


@dataclass(frozen=True, slots=True)
class Probe:
    """A file to survey, with what the inventory says of it."""

    uri: str
    content_id: str
    timing: Timing
    has_audio: bool
    audio_rate_hz: int
    sound: tuple[float, float]


@dataclass(slots=True)
class Surveyed:
    """What a survey found: a source and its look, or why there is none."""

    source: Source | None
    look: NDArray[np.float32] | None
    skipped: Skipped | None
    frames: int


@dataclass(slots=True)
class TakeDone:
    """Files made now, and what could not be made."""

    files: int
    frames: int
    skipped: list[Skipped]


class SurveyWorker:
    """Surveys one file a call; the landmarks go to the work folder, only a summary travels back."""

    def __init__(self, archive_uri: str, work: Path, recipe: ForgeRecipe) -> None:
        quiet_process()
        self._archive, self._work, self._recipe = Archive(archive_uri), work, recipe
        self._surveyor = Surveyor()

    def __call__(self, probe: Probe) -> Surveyed:
        path = survey_path(self._work, probe.content_id)
        look_s = self._recipe.excerpt.look_minutes * 60
        if not path.is_file():
            try:
                with self._archive.open_media(probe.uri) as media:
                    found = self._surveyor(media, probe.timing, look_s)
            except MediaError as error:
                return Surveyed(None, None, Skipped(probe.uri, error.reason.value, error.detail), 0)
            facts = np.array([found.face_px, found.width, found.height, found.heard_share])
            temporary = path.with_suffix(".tmp")
            with temporary.open("wb") as file:
                np.savez(file, pts_us=found.pts_us, landmarks=found.landmarks, look=found.look, facts=facts)
            temporary.replace(path)
        with np.load(path) as saved:
            pts_us, landmarks, look, facts = (saved[name] for name in ("pts_us", "landmarks", "look", "facts"))
        face_runs = _face_runs(pts_us, np.isfinite(landmarks[:, 0, 0]), self._recipe.excerpt.min_s)
        if not face_runs:
            detail = f"no face for {self._recipe.excerpt.min_s:g} s on end (excerpt.min_s)"
            return Surveyed(None, None, Skipped(probe.uri, "too_short", detail), len(pts_us))
        source = Source(
            probe.uri, probe.content_id, probe.timing, probe.has_audio, probe.audio_rate_hz, probe.sound, face_runs,
            float(facts[0]), int(facts[1]), int(facts[2]), float(facts[3]),
        )  # fmt: skip
        return Surveyed(source, look, None, len(pts_us))

    def close(self) -> None:
        """Nothing to give back."""


class TakeWorker:
    """Makes all files of one take a call."""

    def __init__(self, archive_uri: str, target: Path, work: Path, recipe: ForgeRecipe, seed: int) -> None:
        quiet_process()
        self._archive, self._target, self._work, self._recipe, self._seed = Archive(archive_uri), target, work, recipe, seed

    def __call__(self, take: Take) -> TakeDone:
        done = TakeDone(0, 0, [])
        files = [take.control, *(f.file for f in take.forgeries)]
        if all(self._is_done(file) for file in files):
            return done
        try:
            footage = self._footage(take.source, take.start_s, take.end_s, take.scale)
            wave = self._wave(take.source, take.rate_hz) if take.source.has_audio else None
        except MediaError as error:
            done.skipped.append(Skipped(take.source.uri, error.reason.value, error.detail, f"take {take.number} not made"))
            return done
        material = Material(footage, wave, take.rate_hz)
        if not self._is_done(take.control):
            self._write(take, None, Forged(footage.frames, material.wave, [], []), footage)
            done.files, done.frames = 1, len(footage.frames)
        for planned in take.forgeries:
            if self._is_done(planned.file):
                continue
            try:
                self._borrow(material, planned, take)
                rng = generator(self._seed, "forgery", take.source.uri, take.number, planned.number)
                self._write(take, planned, forge(material, planned.order, self._recipe.spans, rng), footage)
            except (MediaError, NoMaterialError) as error:
                detail = f"{planned.kind}: {error}"
                done.skipped.append(Skipped(take.source.uri, "forgery_failed", detail, f"{planned.file} not made"))
                continue
            done.files, done.frames = done.files + 1, done.frames + len(footage.frames)
        return done

    def close(self) -> None:
        """Nothing to give back."""

    def _is_done(self, file: str) -> bool:
        return receipt_path(self._work, file).is_file() and (self._target / file).is_file()

    def _borrow(self, material: Material, planned: PlannedForgery, take: Take) -> None:
        donor, face = planned.donor, planned.donor_face
        material.donor_is_source = donor is not None and donor.uri == take.source.uri
        material.donor_wave = None
        if donor is not None:
            wave = self._wave(donor, take.rate_hz)
            # Before its sound begins and after it ends there is digital silence, which no recording has.
            first, last = (round(t * take.rate_hz) for t in donor.sound)
            material.donor_wave = wave if material.donor_is_source else wave[first:last]
        material.donor_face = self._footage(face.source, face.start_s, face.end_s, face.scale) if face is not None else None

    def _footage(self, source: Source, start_s: float, end_s: float, scale: float) -> Footage:
        with np.load(survey_path(self._work, source.content_id)) as saved, self._archive.open_media(source.uri) as path:
            return read_footage(path, source.timing, saved["pts_us"], saved["landmarks"], start_s, end_s, scale)

    def _wave(self, source: Source, rate_hz: int) -> NDArray[np.float32]:
        with self._archive.open_media(source.uri) as path:
            return read_wave(path, source.timing, rate_hz)

    def _write(self, take: Take, planned: PlannedForgery | None, forged: Forged, footage: Footage) -> None:
        file = take.control if planned is None else planned.file
        path = self._target / file
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".tmp-{path.name}")
        frames = zip(footage.pts_us.tolist(), forged.frames, strict=True)
        write_mp4(temporary, frames, forged.wave, take.rate_hz, take.encoding)
        temporary.replace(path)
        receipt = receipt_path(self._work, file)
        receipt.parent.mkdir(parents=True, exist_ok=True)
        unfinished = receipt.with_suffix(".tmp")
        unfinished.write_text(json.dumps(_row(take, planned, forged, footage)), encoding="utf-8")
        unfinished.replace(receipt)


def survey_path(work: Path, content_id: str) -> Path:
    """Where the landmarks of a source wait."""
    return work / "survey" / f"{content_id}.npz"


def receipt_path(work: Path, file: str) -> Path:
    """Where the row of a finished file waits; without it the file counts as not made."""
    return work / "done" / f"{file}.json"


def _face_runs(pts_us: NDArray[np.int64], has_face: NDArray[np.bool_], min_s: float) -> tuple[tuple[float, float], ...]:
    """Stretches with a face, gaps bridged, in seconds."""
    step = float(np.median(np.diff(pts_us))) / 1e6 if len(pts_us) > 1 else 0.04
    times = [*(pts_us / 1e6).tolist(), float(pts_us[-1]) / 1e6 + step]
    merged: list[list[float]] = []
    for start, stop in runs(has_face):
        if merged and times[start] - merged[-1][1] <= _BRIDGE_S:
            merged[-1][1] = times[stop]
        else:
            merged.append([times[start], times[stop]])
    # A whole clip is a little short of itself by the last frame's rounding.
    return tuple((start, end) for start, end in merged if end - start >= min_s)


def _row(take: Take, planned: PlannedForgery | None, forged: Forged, footage: Footage) -> dict[str, Any]:
    """A row of metadata.json: LAV-DF's keys, then ours."""
    source = take.source
    kind = REAL if planned is None else planned.kind
    whole = planned is not None and planned.order.whole
    periods = sorted({*map(_rounded, forged.audio_spans), *map(_rounded, forged.visual_spans)})
    row: dict[str, Any] = {
        "file": take.control if planned is None else planned.file,
        "n_fakes": len(periods),
        "fake_periods": periods,
        "duration": round(footage.duration_s, 6),
        "original": None if planned is None else take.control,
        "modify_video": bool(forged.visual_spans),
        "modify_audio": bool(forged.audio_spans),
        "split": source.split,
        "video_frames": len(forged.frames),
        "audio_channels": 0 if forged.wave is None else 1,
        "audio_frames": 0 if forged.wave is None else len(forged.wave),
        "kind": kind,
        "identity": source.identity,
        "audio_fake_periods": [_rounded(s) for s in forged.audio_spans],
        "visual_fake_periods": [_rounded(s) for s in forged.visual_spans],
        "traces": truth_traces(kind, whole),
        "source": source.uri,
        "source_start_s": round(footage.start_s, 6),
        "take": take.number,
        "encoding": {**asdict(take.encoding), "audio_rate_hz": take.rate_hz, "scale": round(take.scale, 6)},
    }
    if planned is not None:
        order = planned.order
        row["parts"] = [part for part in (order.visual, order.audio) if part is not None]
        row["whole"] = order.whole
        row["desync_s"] = round(order.shift_s, 6) if order.audio == "desync" else None
        row["donor"] = planned.donor.uri if planned.donor else None
        row["donor_identity"] = planned.donor.identity if planned.donor else None
        row["donor_face"] = planned.donor_face.source.uri if planned.donor_face else None
        row["donor_face_identity"] = planned.donor_face.source.identity if planned.donor_face else None
    return row


def _rounded(span: tuple[float, float]) -> tuple[float, float]:
    return round(span[0], 6), round(span[1], 6)
