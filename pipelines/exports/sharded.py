"""Sharded: exports of clips with their media, in files of about one size: WebDataset and Hugging Face."""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, Protocol

import pyarrow.parquet as pq

from pipelines.exports.folder import ExportFolder
from stages.exports import shards
from stages.exports.samples import Sample, files, hub_schema, hub_table

HUB_SPLITS = {"train": "train", "dev": "validation", "test": "test"}
_ROWS_AT_ONCE = 64  # of Parquet: a row group is what a reader holds, about 15 MB of crops


class _Shard(Protocol):
    size_bytes: int

    def add(self, sample: Sample) -> None: ...

    def close(self) -> None: ...


class _TarShard:
    def __init__(self, path: Path) -> None:
        self.size_bytes = 0
        self._file: BinaryIO = path.open("wb")
        self._tar: tarfile.TarFile = shards.open_tar(self._file)

    def add(self, sample: Sample) -> None:
        members = files(sample)
        for ending, data in members:
            shards.add(self._tar, f"{sample.row['clip_id']}.{ending}", data)
        self.size_bytes += shards.size_of(members)

    def close(self) -> None:
        self._tar.close()
        self._file.close()


class _ParquetShard:
    def __init__(self, path: Path) -> None:
        self.size_bytes = 0
        self._writer = pq.ParquetWriter(path, hub_schema(), compression="zstd", use_dictionary=False)
        self._waiting: list[Sample] = []

    def add(self, sample: Sample) -> None:
        self._waiting.append(sample)
        self.size_bytes += sum(map(len, sample.crops)) + sample.mel_db.nbytes + sample.aus.nbytes
        if len(self._waiting) >= _ROWS_AT_ONCE:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(hub_table(self._waiting))
            self._waiting = []


def write_tar_shards(samples: Iterable[Sample], out: ExportFolder, shard_bytes: int) -> None:
    """`<split>/<split>-NNNNNN.tar`, and `shards.json`: the files of each split, and how many clips are in each."""
    told = _write(samples, out, shard_bytes, lambda split, n: f"{split}/{split}-{n:06d}.tar", _TarShard)
    out.write_json("shards.json", told)


def write_parquet_shards(samples: Iterable[Sample], out: ExportFolder, shard_bytes: int) -> None:
    """`data/<split>-NNNNN.parquet`, with the split called as `datasets` calls it."""
    _write(samples, out, shard_bytes, lambda split, n: f"data/{HUB_SPLITS[split]}-{n:05d}.parquet", _ParquetShard)


def _write(
    samples: Iterable[Sample], out: ExportFolder, shard_bytes: int, name: Callable[[str, int], str], make: Callable[[Path], _Shard]
) -> dict[str, list[dict[str, object]]]:
    told: dict[str, list[dict[str, object]]] = {}
    open_shards: dict[str, _Shard] = {}
    with contextlib.ExitStack() as stack:
        for sample in samples:
            split = sample.row["split"]
            shard = open_shards.get(split)
            if shard is None or shard.size_bytes >= shard_bytes:
                if shard is not None:
                    shard.close()
                file = name(split, len(told.setdefault(split, [])))
                shard = open_shards[split] = make(out.path(file))
                stack.callback(shard.close)
                told[split].append({"file": file, "clips": 0})
            shard.add(sample)
            last = told[split][-1]
            last["clips"] = int(str(last["clips"])) + 1
    return {split: told[split] for split in sorted(told)}
