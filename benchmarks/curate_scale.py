"""How long a recipe takes on a million label rows of 5,000 videos, beside the same recipe written in pandas.

The recipe filters videos and clips, takes the same bytes under two names once, caps and fills strata, and splits by connected people and
originals. Both sides start from the same Parquet files, each run in a process of its own, and must choose the same clips, with the
same splits. What they share is the hash that ranks clips and the placing of components, which take rows of any library.

    python benchmarks/curate_scale.py [--repeats 3]     writes benchmarks/curate_scale.json
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
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

VIDEOS, FRAMES = 5_000, 200
COPIES = 250
RECIPE = """\
seed: 3
targets: {target_from: truth}
filters:
  dataset: [set0, set1, set2, set3]
  duration_s: {min: 2}
  quality: {min: 0.35}
  face_px: {min: 60}
  confidence: {min: 0.05}
clips: {min_face_share: 0.9}
splits: {train: 0.7, dev: 0.15, test: 0.15, strata: [dataset, target]}
sample:
  strata: [dataset, method, target]
  per_stratum: {max: 1500}
  caps: {identity: 60, source: 40, video: 6}
"""


def make_workspace(root: Path) -> None:
    """Labels, inventory and parameters of a made-up archive, always the same."""
    import numpy as np
    import polars as pl

    from pipelines.params_file import render
    from pipelines.parquet import write_if_changed
    from schemas.params import PipelineParams
    from schemas.tables import INVENTORY, LABELS
    from stages.contract import as_frame

    draw = np.random.default_rng(1)
    ids = [f"{k:032x}" for k in draw.permutation(VIDEOS)]
    fake = draw.random(VIDEOS) < 0.6
    originals = np.flatnonzero(~fake)
    rows = []
    for k, content_id in enumerate(ids):
        source = int(draw.choice(originals))
        person = k if not fake[k] else source
        rows.append(
            {
                "content_id": content_id, "uri": f"set{k % 5}/{k:05}.mp4", "outcome": "done", "frame_rate": 25.0,
                "duration_us": FRAMES * 40_000, "truth_dataset": f"set{k % 5}", "truth_fake": bool(fake[k]),
                "truth_methods": [f"method{k % 4}"] if fake[k] else [],
                "truth_source": f"set{source % 5}/{source:05}.mp4" if fake[k] else None,
                "truth_identities": [f"set{person % 5}:{person % 900:03}"],
            }
        )  # fmt: skip
    rows += [row | {"uri": f"copy/{row['uri']}"} for row in rows[:COPIES]]
    types = as_frame(INVENTORY.empty_table()).schema
    inventory = pl.DataFrame(rows, schema_overrides={n: t for n, t in types.items() if n in rows[0]})
    inventory = inventory.with_columns(pl.lit(None, t).alias(n) for n, t in types.items() if n not in rows[0]).select(types.names())
    write_if_changed(inventory.sort("uri").to_arrow().cast(INVENTORY), root / "data" / "inventory.parquet")
    per_file = 50
    types = as_frame(LABELS.empty_table()).schema
    for start in range(0, VIDEOS, per_file):
        own = np.repeat(np.arange(start, start + per_file), FRAMES)
        frame = np.tile(np.arange(FRAMES), per_file)
        base = np.where(fake[own], 0.65, 0.3) + np.repeat(draw.normal(0, 0.1, per_file), FRAMES)
        p = np.clip(base + draw.normal(0, 0.1, len(own)), 0, 1)
        side = np.repeat(draw.uniform(30, 200, per_file), FRAMES)
        left = draw.uniform(0, 50, len(own))
        p_column = pl.Series(p, dtype=pl.Float32).cast(pl.Float16)
        table = pl.DataFrame(
            {
                "content_id": [ids[k] for k in own], "track": np.zeros(len(own), np.int16), "frame_index": frame.astype(np.int32),
                "pts_us": frame * 40_000, "box": np.stack([left, left, left + side, left + side], 1).astype(np.float32),
                "quality": pl.Series(np.clip(np.repeat(draw.uniform(0.1, 1, per_file), FRAMES), 0, 1), dtype=pl.Float32).cast(pl.Float16),
                "p_total": p_column, "p_audio": p_column, "p_visual": p_column, "label": np.where(p > 0.5, "fake", "real"),
                "basis": ["total"] * len(own), "n_windows": np.ones(len(own), np.int16), "provenance_id": ["made"] * len(own),
            }
        )  # fmt: skip
        table = table.with_columns(pl.lit(None, t).alias(n) for n, t in types.items() if n not in table.columns)
        write_if_changed(table.select(types.names()).to_arrow().cast(LABELS), root / "data" / "labels" / f"{start:05}.parquet")
    (root / "params.yaml").write_text(render(PipelineParams()), encoding="utf-8")
    (root / "scale.yaml").write_text(RECIPE, encoding="utf-8")


def ours(root: Path) -> list[tuple[str, str]]:
    """The command itself, files and proof included."""
    from pipelines.curate.run import curate
    from pipelines.workspace import Workspace

    made = curate(Workspace.open(root), root / "scale.yaml")
    assert not any(row["overlaps"] for row in made.selected.proof["relations"].values())
    return list(made.selected.selection.select("clip_id", "split").iter_rows())


def with_pandas(root: Path) -> list[tuple[str, str]]:
    """The same recipe by hand: the selection alone, no proof and no files."""
    import networkx
    import numpy as np
    import pandas as pd
    import polars as pl

    from schemas.curation import CuratedSplits
    from stages.curate.assign import assign
    from stages.curate.rank import ranks

    inventory = pd.read_parquet(root / "data" / "inventory.parquet").sort_values("uri")
    inventory["truth_source"] = inventory["truth_source"].where(inventory["truth_source"].notna(), "")
    videos = inventory.drop_duplicates("content_id")
    videos = videos[videos["truth_dataset"].isin(["set0", "set1", "set2", "set3"]) & (videos["duration_us"] >= 2_000_000)]
    parts = [pd.read_parquet(path) for path in sorted((root / "data" / "labels").glob("*.parquet"))]
    labels = pd.concat(parts)
    labels = labels[labels["content_id"].isin(videos["content_id"])]
    box = np.stack(labels["box"].to_numpy())
    labels = labels.assign(
        tick=(labels["pts_us"] + 20_000) // 40_000,
        face_px=np.minimum(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]).astype(np.float64),
        p=labels["p_total"].astype(np.float64),
        quality=labels["quality"].astype(np.float64),
    )
    labels["start_tick"] = labels["tick"] // 25 * 25
    last = labels.groupby("content_id")["tick"].max()
    clips = labels.groupby(["content_id", "track", "start_tick"], as_index=False).agg(
        ticks=("tick", "nunique"), quality=("quality", "mean"), face_px=("face_px", "mean"), p=("p", "mean")
    )
    clips = clips[clips["start_tick"] + 24 <= clips["content_id"].map(last)]
    clips = clips[np.minimum(1, clips["ticks"] / 25) >= 0.9]
    clips = clips[(clips["quality"] >= 0.35) & (clips["face_px"] >= 60) & ((2 * clips["p"] - 1).abs() >= 0.05)]
    clips = clips.merge(videos, on="content_id")
    clips["target"] = np.where(clips["truth_fake"], "fake", "real")
    clips["dataset"] = clips["truth_dataset"]
    clips["method"] = [m[0] if len(m) else "-" for m in clips["truth_methods"]]
    clips["clip_id"] = clips["content_id"] + "-" + clips["track"].astype(str) + "-" + clips["start_tick"].astype(str)
    clips["rank"] = ranks(clips["clip_id"].tolist(), 3, "clip").to_numpy()
    chosen = set(clips["content_id"])
    graph = networkx.Graph()
    graph.add_nodes_from(chosen)
    for row in inventory[inventory["content_id"].isin(chosen)].itertuples():
        graph.add_edges_from((row.content_id, ("person", p)) for p in row.truth_identities)
        graph.add_edge(row.content_id, ("uri", row.uri))
        if row.truth_source:
            graph.add_edge(row.content_id, ("uri", row.truth_source))
    groups = [sorted(n for n in group if isinstance(n, str)) for group in networkx.connected_components(graph)]
    component = {n: k for k, group in enumerate(sorted(g for g in groups if g)) for n in group}
    clips["component"] = clips["content_id"].map(component)
    needed = pl.from_pandas(clips[["component", "content_id", "dataset", "target"]]).with_columns(pl.col("component").cast(pl.Int32))
    splits = CuratedSplits.model_validate({"strata": ["dataset", "target"]})
    assigned = assign(needed, pl.DataFrame(schema={"component": pl.Int32, "split": pl.String}), splits, 3)
    clips["split"] = clips["component"].map(dict(assigned.iter_rows()))
    room: dict[Any, int] = {}
    taken = []
    for row in clips.sort_values("rank").itertuples():
        limits = [(("stratum", row.dataset, row.method, row.target), 1500), (("video", row.content_id), 6)]
        limits += [(("source", row.truth_source or row.uri), 40), *((("person", p), 60) for p in row.truth_identities)]
        if all(room.get(key, most) > 0 for key, most in limits):
            taken.append((row.clip_id, row.split))
            for key, most in limits:
                room[key] = room.get(key, most) - 1
    return sorted(taken)


def one(side: str, root: Path) -> None:
    """Runs one side and says what it took, in a process of its own."""
    import resource

    started = time.monotonic()
    chosen = {"ours": ours, "pandas": with_pandas}[side](root)
    seconds = time.monotonic() - started
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {"wall_s": round(seconds, 2), "cpu_s": round(usage.ru_utime + usage.ru_stime, 2), "max_rss_mb": round(usage.ru_maxrss / 1024)}
    (root / f"{side}.json").write_text(json.dumps({"figures": figures, "chosen": chosen}), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--side", choices=["ours", "pandas"])
    parser.add_argument("--root", type=Path)
    given = parser.parse_args()
    if given.side:
        one(given.side, given.root)
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_workspace(root)
        runs: dict[str, list[dict[str, Any]]] = {"ours": [], "pandas": []}
        chosen: dict[str, Any] = {}
        for _ in range(given.repeats):
            for side, done in runs.items():
                load = os.getloadavg()[0]
                subprocess.run([sys.executable, __file__, "--side", side, "--root", folder], check=True, stdout=subprocess.DEVNULL)
                found = json.loads((root / f"{side}.json").read_text(encoding="utf-8"))
                done.append(found["figures"] | {"load_before": round(load, 1)})
                chosen[side] = found["chosen"]
        assert chosen["ours"] == chosen["pandas"], "the two sides chose different clips"
    result = {
        "label_rows": VIDEOS * FRAMES, "videos": VIDEOS, "clips_chosen": len(chosen["ours"]), "same_clips_and_splits": True,
        "cpus": os.cpu_count(), "recipe": RECIPE.splitlines(),
        "best": {side: min(done, key=lambda run: run["wall_s"]) for side, done in runs.items()}, "runs": runs,
    }  # fmt: skip
    Path(__file__).with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({k: v for k, v in result.items() if k not in {"recipe", "runs"}}, indent=1))


if __name__ == "__main__":
    main()
