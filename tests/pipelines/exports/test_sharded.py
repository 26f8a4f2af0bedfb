"""Sharded: WebDataset and Hugging Face open in their own libraries, and hold what the store holds."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from pipelines.exports.export import export
from pipelines.step import receipts_of
from stages.contract import as_frame


def store_rows(workspace, content_id):
    (receipt,) = [r for r in receipts_of(workspace, "faces") if content_id in r.outcomes]
    return as_frame(workspace.store().read("faces", receipt.unit_key, "faces")).filter(content_id=content_id).sort("tick")


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_webdataset_reads_crops_sound_and_truth(curated, tmp_path):
    import webdataset

    out = export(curated, "made", "webdataset", tmp_path / "out", shard_mb=0.01)
    assert out.counts["clips"] == 3 and not out.counts["missing"]
    shards = sorted((tmp_path / "out" / "train").glob("*.tar"))
    assert len(shards) == 2  # a shard is closed once it is large enough
    samples = list(webdataset.WebDataset([str(p) for p in shards], shardshuffle=False).decode("rgb8"))
    assert [s["json"]["target"] for s in samples] == ["real", "fake"]
    for sample in samples:
        facts = sample["json"]
        rows = store_rows(curated, facts["content_id"])
        own = rows.filter(track=facts["track"]).filter(rows["tick"].is_between(facts["start_tick"], facts["end_tick"], closed="left"))
        assert sample["__key__"] == facts["clip_id"] and facts["ticks"] == (own["tick"] - facts["start_tick"]).to_list()
        first = np.asarray(Image.open(io.BytesIO(own["crop"][0])))
        assert np.array_equal(sample[f"{facts['ticks'][0]:03d}.jpg"], first)
        assert sample["mel.npy"].shape == (100, 80) and sample["mel.npy"].dtype == np.float32
        assert sample["aus.npy"].shape == (len(facts["ticks"]), 20)
    (bare,) = webdataset.WebDataset([str(p) for p in (tmp_path / "out" / "dev").glob("*.tar")], shardshuffle=False).decode()
    assert bare["json"]["ticks"] == [] and not [k for k in bare if k.endswith("jpg")]


def test_shards_have_the_same_bytes_every_time(curated, tmp_path):
    for form in ("webdataset", "huggingface"):
        for name in ("one", "two"):
            export(curated, "made", form, tmp_path / form / name)
        assert digests(tmp_path / form / "one") == digests(tmp_path / form / "two")


@pytest.mark.filterwarnings("ignore")
def test_datasets_loads_the_folder_with_its_splits_and_pictures(curated, tmp_path):
    import datasets

    export(curated, "made", "huggingface", tmp_path / "out")
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: part.num_rows for name, part in loaded.items()} == {"train": 2, "validation": 1}
    assert loaded["train"].features["label"].names == ["real", "fake"]
    row = next(r for r in loaded["train"] if r["label"] == 1)
    assert row["crops"][0].size == (160, 160) and len(row["crops"]) == len(row["ticks"])
    assert np.asarray(row["mel_db"]).shape == (100, 80)
    assert row["fake_spans"] == [[1.2, 1.6]] and row["identities"] == ["made:anna"]


def test_what_the_store_lost_is_missing(curated, tmp_path):
    for receipt in receipts_of(curated, "faces"):
        curated.store().forget("faces", receipt.unit_key)
    out = export(curated, "made", "webdataset", tmp_path / "out")
    assert out.counts["missing"] == 3 and not out.counts["clips"]
    text = (tmp_path / "out" / "missing.csv").read_text(encoding="utf-8")
    assert "faces of its unit" in text and "are not there in the store" in text
