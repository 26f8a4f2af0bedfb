"""How long `fauscan plan` and a night without news take on an archive of 100,000 files, and how much memory.

The files are stubs of a few bytes; what reading them would have given is put into the workspace by hand, with the units, receipts,
tables and manifests that a finished archive has. Beside it stands the floor: listing the folder with `find -printf`, and `dvc repro`
of the same workspace alone.

    python benchmarks/plan_scale.py [--files 100000]     writes benchmarks/plan_scale.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

from pipelines import initialise, listing, survey
from pipelines.chain import STEPS, Fingerprints
from pipelines.params_file import render
from pipelines.parquet import write_if_changed
from pipelines.publish import publish_labels
from pipelines.step import _manifest, due_units
from pipelines.workspace import Workspace
from schemas import params as params_module
from schemas.params import EngineParams, UnitParams
from schemas.reasons import Outcome

SECONDS_EACH = 20


def make_archive(folder: Path, count: int) -> None:
    """Stubs in folders of a thousand."""
    for number in range(count):
        path = folder / f"{number // 1000:03}" / f"{number:06}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(number.to_bytes(8, "big"))


def pretend_probed(workspace: Workspace) -> None:
    """The store's notes, as if every stub had been read and found to be a video."""
    seen = survey.survey(workspace)
    rows = survey.pending_rows(seen.to_read, None, "").join(seen.to_read.select("uri", "stamp", "attempt"), on="uri")
    rows = rows.with_columns(
        content_id=pl.col("uri").hash(1).cast(pl.String).str.zfill(32),
        outcome=pl.lit(Outcome.DONE.value),
        detail=pl.lit(None, pl.String),
        duration_us=pl.lit(SECONDS_EACH * 1_000_000, pl.Int64),
        has_audio=pl.lit(True),
        made_by=pl.lit(seen.made_by),
    )
    survey.write_probes(workspace, rows)


def pretend_labelled(workspace: Workspace) -> None:
    """Receipts and manifests of every step, with empty tables."""
    listing.update_inventory(workspace)
    for name, step in STEPS.items():
        receipts, tasks = due_units(workspace, name)
        fingerprint = Fingerprints(workspace).of(name)
        for task in tasks:
            outcomes = {video["content_id"]: Outcome.FILTERED for video in task.videos}
            tables = {table: schema.empty_table() for table, schema in step.outputs.items()}
            receipts.append(workspace.store().commit(name, task.unit, task.unit_key, fingerprint, outcomes, [], tables, {}, task.inputs))
        receipts.sort(key=lambda receipt: receipt.unit)
        write_if_changed(_manifest(receipts, next(iter(step.outputs))), workspace.manifest(name))
    publish_labels(workspace, receipts)


def timed(command: list[str], cwd: Path) -> dict[str, float]:
    """Wall seconds, and the largest memory of any of its processes in MB."""
    started = time.monotonic()
    script = (
        "import json, resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], capture_output=True, text=True)\n"
        "memory_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024\n"
        "print(json.dumps([done.returncode, memory_mb, (done.stderr or done.stdout)[-300:]]))"
    )
    done = subprocess.run([sys.executable, "-c", script, *command], cwd=cwd, capture_output=True, text=True, check=True)
    code, memory_mb, said = json.loads(done.stdout)
    if code:
        raise SystemExit(f"{' '.join(command)}: exit code {code}: {said}")
    return {"seconds": round(time.monotonic() - started, 2), "memory_mb": round(memory_mb, 1)}


def main() -> None:
    """Builds the workspace in a temporary folder, measures, writes the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    count = parser.parse_args().files
    fauscan = [sys.executable, "-m", "pipelines.cli"]
    with tempfile.TemporaryDirectory() as scratch:
        archive, root = Path(scratch, "archive"), Path(scratch, "ws")
        make_archive(archive, count)
        initialise.initialise(root, str(archive))
        params = params_module.load(root / "params.yaml")
        params = params.model_copy(update={"engine": EngineParams(name="local"), "units": UnitParams(minutes=20)})
        (root / "params.yaml").write_text(render(params), encoding="utf-8")
        figures = {"find": timed(["find", str(archive), "-type", "f", "-printf", "%s %T@ %p\n"], root)}
        figures["plan, all new"] = timed([*fauscan, "plan"], root)
        workspace = Workspace.open(root)
        pretend_probed(workspace)
        started = time.monotonic()
        pretend_labelled(workspace)
        print(f"workspace made in {time.monotonic() - started:.0f} s", file=sys.stderr)
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        figures["first night, nothing to compute"] = timed([*fauscan, "nightly", "--settle", "0"], root)
        figures["plan, all known"] = timed([*fauscan, "plan"], root)
        figures["night without news"] = timed([*fauscan, "nightly", "--settle", "0"], root)
        figures["dvc repro alone"] = timed([sys.executable, "-m", "dvc", "repro", "-q"], root)
        figures["status"] = timed([*fauscan, "status"], root)
    for name, row in figures.items():
        print(f"{name:<34} {row['seconds']:>8} s {row['memory_mb']:>8} MB")
    units = -(-count * SECONDS_EACH // (20 * 60))
    out = {"files": count, "units": units, "cpus": os.cpu_count(), "figures": figures}
    Path(__file__).with_suffix(".json").write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
