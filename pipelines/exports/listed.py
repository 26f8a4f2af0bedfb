"""Listed: exports of the videos of a set with lists of what is known of them: LAV-DF, AV-Deepfake1M, FauForensics."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.archive import Archive
from pipelines.exports.folder import ExportFolder
from pipelines.exports.media import How, Placed, place
from stages.exports import avdeepfake1m, fauforensics, lavdf
from stages.exports.names import safe_name
from stages.exports.videos import is_guess

_FILES = "files.csv"


class JsonList:
    """A JSON list written as its entries come."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._file.write("[")
        self._between = "\n"

    def add(self, entry: dict[str, Any]) -> None:
        self._file.write(self._between + json.dumps(entry, ensure_ascii=False, allow_nan=False))
        self._between = ",\n"

    def close(self) -> None:
        self._file.write("\n]\n")
        self._file.close()


@contextmanager
def json_lists(out: ExportFolder, *names: str) -> Iterator[list[JsonList]]:
    """Several of them, closed in any case."""
    lists = [JsonList(out.path(name)) for name in names]
    try:
        yield lists
    finally:
        for one in lists:
            one.close()


def write_lavdf(out: ExportFolder, archive: Archive, videos: list[dict[str, Any]], how: How) -> None:
    """`metadata.json` and `metadata.min.json` as in the release, and `files.csv`: which video each name is."""
    placed = place(out, archive, videos, lavdf.file_names(videos), how)
    files = {p.video["uri"]: p.file for p in placed}
    with json_lists(out, "metadata.json", "metadata.min.json") as (whole, short):
        for p in placed:
            entry = lavdf.record(p.video, p.file, files)
            whole.add(entry)
            short.add(lavdf.short(entry))
    _write_files(out, ((p, p.file) for p in placed))
    _count(out, placed)


def write_avdeepfake1m(out: ExportFolder, archive: Archive, videos: list[dict[str, Any]], how: How) -> None:
    """`{train,val,test}_metadata.json`, an entry beside it for each video, and `test_files.txt`.

    The release has no metadata of its test set; ours has, since its truth is known.
    """
    placed: list[tuple[str, Placed]] = []
    for split, subset in avdeepfake1m.SUBSETS.items():
        own = [video for video in videos if video["split"] == split]
        placed += [(subset, p) for p in place(out, archive, own, avdeepfake1m.file_names(own), how, f"{subset}/")]
    files = {p.video["uri"]: p.file for _, p in placed}
    for subset in avdeepfake1m.SUBSETS.values():
        own_placed = [p for name, p in placed if name == subset]
        if not own_placed:
            continue
        with json_lists(out, f"{subset}_metadata.json") as (entries,):
            for p in own_placed:
                entry = avdeepfake1m.record(p.video, p.file, files)
                entries.add(entry)
                if how != "none":
                    out.write_json(f"{subset}_metadata/{Path(p.file).with_suffix('.json')}", entry, None)
        if subset == "test":
            out.write("test_files.txt", "".join(f"{p.file}\n" for p in own_placed).encode())
    _write_files(out, ((p, f"{subset}/{p.file}") for subset, p in placed))
    _count(out, [p for _, p in placed])


def write_fauforensics(
    out: ExportFolder, archive: Archive, videos: list[dict[str, Any]], clips: Iterable[dict[str, Any]], how: How, name: str
) -> None:
    """`labels_end/{train,val,test}.csv`, a line for each clip; media below `<name>/video_face/`, as the loader wants them."""
    folder = f"{safe_name(name)}/video_face/"
    placed = place(out, archive, videos, lavdf.file_names(videos), how, folder)
    files = {p.video["uri"]: p for p in placed}
    lists = {split: out.path(f"labels_end/{file}").open("w", encoding="utf-8") for split, file in fauforensics.LISTS.items()}
    try:
        for clip in clips:
            found = files.get(clip["uri"])
            if found is None:
                continue  # the video is missing, which stands there already
            line = fauforensics.line(clip, found.file)
            if line is None:
                out.miss(clip["clip_id"], clip["uri"], "its path has white space, which the list can't hold; use --media link or copy")
                continue
            lists[clip["split"]].write(line + "\n")
            out.counts["clips"] += 1
            out.counts["assumed_streams"] += is_guess(clip | {"fake": clip["target"] == "fake"})
    finally:
        for file in lists.values():
            file.close()
    _write_files(out, ((p, p.file if how == "none" else folder + p.file) for p in placed))


def _write_files(out: ExportFolder, rows: Iterable[tuple[Placed, str]]) -> None:
    with out.path(_FILES).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("file", "uri", "content_id", "from_truth"))
        writer.writerows((name, p.video["uri"], p.video["content_id"], str(p.video["from_truth"]).lower()) for p, name in rows)


def _count(out: ExportFolder, placed: Iterable[Placed]) -> None:
    for p in placed:
        out.counts["entries"] += 1
        out.counts["assumed_streams"] += is_guess(p.video)
