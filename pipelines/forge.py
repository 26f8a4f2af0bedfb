"""Forge: turns a folder of real videos into a folder of labelled forgeries; the same seed, recipe and videos give the same bytes."""

from __future__ import annotations

import csv
import functools
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.archive import Archive
from pipelines.forge_plan import Take, generator, plan_takes
from pipelines.forge_pool import Crash, run_all
from pipelines.forge_report import print_summary
from pipelines.forge_sources import Skipped, Source, matches, read_identities, with_identities, with_splits
from pipelines.forge_worker import Probe, SurveyWorker, TakeDone, TakeWorker, receipt_path
from pipelines.lock import locked
from pipelines.parquet import write_bytes_if_changed
from pipelines.probe import ProbeRunner
from pipelines.progress import StepProgress, console
from schemas.errors import ArchiveError, FauScanError
from schemas.fingerprint import digest
from schemas.params import DecodeParams
from schemas.recipe import ForgeRecipe
from schemas.truth import METADATA_NAME
from stages.forge.footage import Timing
from stages.inventory import VIDEO_SUFFIXES

VERSION = 1
"""Part of the plan: a change of code that changes the output must not continue an old folder."""
PLAN_NAME, SKIPPED_NAME, _WORK = "plan.json", "skipped.csv", ".work"
_DONE = "done"


def forge_archive(source_uri: str, target: Path, recipe: ForgeRecipe, seed: int, workers: int = 0) -> None:
    """Makes everything that is not there yet, then `metadata.json`.

    Args:
        source_uri: folder or fsspec URL with real videos.
        target: folder for the forgeries; new, empty, or of the same plan.
        recipe: what to make.
        seed: of everything random.
        workers: processes; 0 takes the number of CPUs.

    Raises:
        ArchiveError: nothing in it can be used.
        FauScanError: the target holds something else.
    """
    archive = Archive(source_uri)
    if target.exists() and not target.is_dir():
        raise FauScanError(f"{target}: is a file; give a folder")
    if target.exists() and {p.name for p in target.iterdir()} - {_WORK} and not (target / PLAN_NAME).is_file():
        raise FauScanError(f"{target}: holds something that `fauscan forge` did not make; give a new folder")
    # What only this command needs, its lock included, goes away with it: the folder is an archive afterwards.
    with locked(target / _WORK):
        _forge_locked(archive, target, recipe, seed, workers or os.cpu_count() or 1)


def _forge_locked(archive: Archive, target: Path, recipe: ForgeRecipe, seed: int, workers: int) -> None:
    skipped: list[Skipped] = []
    probes = _probe(archive, target, recipe, workers, skipped)
    given = read_identities(archive)
    identity = {
        "version": VERSION,
        "seed": seed,
        "recipe": recipe.model_dump(mode="json"),
        "identities": given,
        "sources": {p.uri: p.content_id for p in probes},
    }
    if _is_complete(target, identity):
        console.print(f"{target} is complete: the same seed, recipe and videos made it. Nothing to do.", highlight=False)
        shutil.rmtree(target / _WORK)
        return
    work = target / _WORK
    (work / "survey").mkdir(parents=True, exist_ok=True)
    sources = _survey(archive, probes, given, recipe, seed, work, workers, skipped)
    takes = plan_takes(sources, recipe, seed)
    _make(archive, takes, target, recipe, seed, workers, skipped)
    rows = _collect(takes, work)
    _write_skipped(target, skipped)
    write_bytes_if_changed(json.dumps(rows, indent=1).encode() + b"\n", target / METADATA_NAME)
    print_summary(target, rows, skipped)
    # After a crash the folder stays unfinished, so that the same command tries again.
    if not any(entry.reason == "crashed" for entry in skipped):
        shutil.rmtree(work)


def _probe(archive: Archive, target: Path, recipe: ForgeRecipe, workers: int, skipped: list[Skipped]) -> list[Probe]:
    listing = archive.listing(leave_out=target)
    wanted = []
    for row in listing.to_pylist():
        uri = row["uri"]
        if Path(uri).suffix.lower() not in VIDEO_SUFFIXES:
            continue
        if not matches(uri, recipe.include) or matches(uri, recipe.exclude):
            skipped.append(Skipped(uri, "excluded", "by the recipe's include and exclude"))
            continue
        wanted.append(row)
    files = [[row] for row in wanted]
    make_worker = functools.partial(ProbeRunner, archive.uri, DecodeParams())
    found: list[Probe] = []
    first: dict[str, str] = {}
    with StepProgress("probe", len(files), "files") as progress:
        for task, answer in run_all(files, make_worker, workers):
            progress.advance(1, 0)
            if isinstance(answer, Crash):
                skipped.append(Skipped(task[0]["uri"], "crashed", answer.detail))
                continue
            (row,) = answer.to_pylist()
            if row["outcome"] != "done":
                skipped.append(Skipped(row["uri"], row["reason"], row["detail"] or ""))
                continue
            timing = Timing(row["origin_us"], row["rotation_deg"] or 0, row["duration_us"])
            end_us = min(row["audio_end_us"] or 0, row["duration_us"])
            sound = (max(0.0, (row["audio_start_us"] or 0) / 1e6), end_us / 1e6)
            found.append(Probe(row["uri"], row["content_id"], timing, row["has_audio"], row["audio_rate_hz"] or 0, sound))
    found.sort(key=lambda p: p.uri)
    unique = []
    for probe in found:
        if probe.content_id in first:
            skipped.append(Skipped(probe.uri, "duplicate", f"the same bytes as {first[probe.content_id]}"))
            continue
        first[probe.content_id] = probe.uri
        unique.append(probe)
    if not unique:
        raise ArchiveError(f"archive {archive.uri}: holds no video that can be read{_reasons(skipped)}")
    return unique


def _survey(
    archive: Archive,
    probes: list[Probe],
    given: dict[str, str] | None,
    recipe: ForgeRecipe,
    seed: int,
    work: Path,
    workers: int,
    skipped: list[Skipped],
) -> list[Source]:
    found: list[tuple[Source, Any]] = []
    with StepProgress("faces", len(probes)) as progress:
        for probe, answer in run_all(probes, functools.partial(SurveyWorker, archive.uri, work, recipe), workers):
            if isinstance(answer, Crash):
                skipped.append(Skipped(probe.uri, "crashed", answer.detail))
                progress.advance(1, 0)
                continue
            progress.advance(1, answer.frames)
            if answer.skipped is not None:
                skipped.append(answer.skipped)
            if answer.source is not None:
                found.append((answer.source, answer.look))
    console.print(progress.summary(0), highlight=False)
    if not found:
        raise ArchiveError(f"archive {archive.uri}: no video can be forged{_reasons(skipped)}")
    found.sort(key=lambda pair: pair[0].uri)
    sources = with_identities([source for source, _ in found], np.stack([look for _, look in found]), given, recipe)
    for source in sources:
        if not source.is_audible:
            reason = "silent_audio" if source.has_audio else "no_audio"
            detail = f"something is heard {source.heard_share:.0%} of the time"
            if source.heard_share and not source.talking_runs:
                detail = "no sound while the face is seen"
            skipped.append(Skipped(source.uri, reason, detail if source.has_audio else "no sound track", "visual kinds only"))
    return with_splits(sources, recipe, generator(seed, "splits"))


def _make(archive: Archive, takes: list[Take], target: Path, recipe: ForgeRecipe, seed: int, workers: int, skipped: list[Skipped]) -> None:
    # The plan says what this folder is before the first file is in it.
    work = target / _WORK
    make_worker = functools.partial(TakeWorker, archive.uri, target, work, recipe, seed)
    already = sum(receipt_path(work, f).is_file() for t in takes for f in (t.control, *(p.file for p in t.forgeries)))
    files = sum(1 + len(t.forgeries) for t in takes)
    with StepProgress("forge", files, "files") as progress:
        progress.advance(already, 0)
        # Long takes first, so that no process is left with one at the end.
        for take, answer in run_all(sorted(takes, key=_cost, reverse=True), make_worker, workers):
            if isinstance(answer, Crash):
                skipped.append(Skipped(take.source.uri, "crashed", answer.detail, f"take {take.number} not made"))
            elif isinstance(answer, TakeDone):
                skipped += answer.skipped
                progress.advance(answer.files, answer.frames)
    console.print(progress.summary(already), highlight=False)


def _cost(take: Take) -> float:
    return (take.end_s - take.start_s) * take.scale**2 * take.source.width * take.source.height


def _collect(takes: list[Take], work: Path) -> list[dict[str, Any]]:
    rows = []
    for take in takes:
        for file in (take.control, *(p.file for p in take.forgeries)):
            path = receipt_path(work, file)
            if path.is_file():
                rows.append(json.loads(path.read_bytes()))
    return sorted(rows, key=lambda row: row["file"])


def _is_complete(target: Path, identity: dict[str, Any]) -> bool:
    """Whether the folder holds this plan, finished. Writes the plan into a new folder.

    Raises:
        FauScanError: the folder holds another plan.
    """
    plan = target / PLAN_NAME
    data = json.dumps({"digest": digest(identity), **identity}, indent=1).encode() + b"\n"
    if plan.is_file():
        try:
            old = json.loads(plan.read_bytes())
        except ValueError:
            raise FauScanError(f"{plan}: is damaged; delete the folder or give a new one") from None
        changed = [key for key in identity if old.get(key) != identity[key]]
        if changed:
            raise FauScanError(f"{target}: was made with another {' and '.join(changed)}; give a new folder, or delete it")
    else:
        write_bytes_if_changed(data, plan)
    metadata = target / METADATA_NAME
    if (target / _WORK / _DONE).exists() or not metadata.is_file():
        return False
    return all((target / row["file"]).is_file() for row in json.loads(metadata.read_bytes()))


def _write_skipped(target: Path, skipped: list[Skipped]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["uri", "reason", "detail", "consequence"])
    writer.writerows([s.uri, s.reason, s.detail, s.consequence] for s in sorted(skipped, key=lambda s: (s.uri, s.reason, s.consequence)))
    write_bytes_if_changed(text.getvalue().encode(), target / SKIPPED_NAME)


def _reasons(skipped: list[Skipped]) -> str:
    counts: dict[str, int] = {}
    for entry in skipped:
        counts[entry.reason] = counts.get(entry.reason, 0) + 1
    return f" ({', '.join(f'{n} {reason}' for reason, n in sorted(counts.items()))})" if counts else ""
