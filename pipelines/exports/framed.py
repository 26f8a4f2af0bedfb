"""Framed: exports of the frames of a set: COCO boxes and FiftyOne samples."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import cv2
import polars as pl

from pipelines.exports.folder import ExportFolder
from pipelines.exports.frames import frames_of
from pipelines.exports.media import How, place
from pipelines.workspace import Workspace
from stages.contract import MediaError
from stages.exports import coco, fiftyone, lavdf
from stages.random_access import read_frames

_JPEG_QUALITY = 92
_FRAMES_AT_ONCE = 50


class _CocoFile:
    """One split's file. Annotations wait in a file of their own: the format wants all images first."""

    def __init__(self, path: Path, info: dict[str, Any]) -> None:
        self._path, self._aside = path, path.with_name(f".{path.name}.annotations")
        self._images: TextIO = path.open("w", encoding="utf-8")
        self._annotations: TextIO = self._aside.open("w", encoding="utf-8")
        head = json.dumps({"info": info, "licenses": [], "categories": coco.CATEGORIES}, ensure_ascii=False)
        self._images.write(head[:-1] + ', "images": [')
        self.num_images = self.num_annotations = 0

    def add(self, image: dict[str, Any], annotations: Sequence[dict[str, Any]]) -> None:
        self._images.write((",\n" if self.num_images else "\n") + json.dumps(image, ensure_ascii=False))
        self.num_images += 1
        for annotation in annotations:
            self.num_annotations += 1
            text = json.dumps({"id": self.num_annotations} | annotation, allow_nan=False)
            self._annotations.write((",\n" if self.num_annotations > 1 else "\n") + text)

    def close(self) -> None:
        self._annotations.close()
        self._images.write('\n], "annotations": [')
        with self._aside.open(encoding="utf-8") as rows:
            while part := rows.read(1 << 20):
                self._images.write(part)
        self._images.write("\n]}\n")
        self._images.close()
        self._aside.unlink()


def write_coco(out: ExportFolder, workspace: Workspace, selection: pl.DataFrame, videos: list[dict[str, Any]], how: How, name: str) -> None:
    """`annotations/instances_<split>.json`; with `copy` the frames as JPEG below `images/`.

    A video that is gone still has its boxes; what is missing with `copy` are its pictures.
    """
    files: dict[str, _CocoFile] = {}
    try:
        for video, clips, frames in frames_of(workspace, selection, videos):
            if not frames:
                for clip in clips:
                    out.miss(clip["clip_id"], video["uri"], "no labelled frame of this clip")
                continue
            split = video["split"]
            if split not in files:
                info = {"description": f"Curated set {name}, split {split}", "version": out.facts["digest"]}
                files[split] = _CocoFile(out.path(f"annotations/instances_{split}.json"), info)
            lost = _write_pictures(out, workspace, video, frames) if how == "copy" else set()
            own = [frame for frame in frames if frame["frame_index"] not in lost]
            for image, annotations in coco.images_of(video, own, files[split].num_images + 1):
                files[split].add(image, annotations)
                out.counts["images"] += 1
                out.counts["annotations"] += len(annotations)
    finally:
        for file in files.values():
            file.close()


def _write_pictures(out: ExportFolder, workspace: Workspace, video: dict[str, Any], frames: Sequence[dict[str, Any]]) -> set[int]:
    """Writes frames as pictures; returns the indices of those that can't be had."""
    wanted = {frame["frame_index"]: frame["pts_us"] for frame in frames}
    lost = set(wanted)
    try:
        if not video["present"]:
            raise FileNotFoundError
        with workspace.archive().open_media(video["uri"]) as path:
            for some in _parts(sorted(wanted)):
                pts = [wanted[index] for index in some]
                found = read_frames(path, some, pts, video["origin_us"], video["rotation_deg"] or 0, workspace.params.decode)
                for index, rgb in sorted(found.items()):
                    _, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
                    out.write(f"images/{coco.frame_name(video['content_id'], index)}", data.tobytes())
                    lost.discard(index)
    except FileNotFoundError:
        out.miss(None, video["uri"], "no longer in the archive")
        return lost
    except MediaError as error:
        out.miss(None, video["uri"], str(error))
        return lost
    if lost:
        out.miss(None, video["uri"], f"{len(lost)} of {len(wanted)} frames can't be read")
    return lost


def _parts(indices: list[int]) -> Iterator[list[int]]:
    for first in range(0, len(indices), _FRAMES_AT_ONCE):
        yield indices[first : first + _FRAMES_AT_ONCE]


def write_fiftyone(
    out: ExportFolder, workspace: Workspace, selection: pl.DataFrame, videos: list[dict[str, Any]], how: How, name: str
) -> None:
    """`metadata.json`, `samples.json`, `frames/<content_id>.json`; media below `data/`."""
    placed = place(out, workspace.archive(), videos, lavdf.file_names(videos), how, "data/")
    paths = {p.video["uri"]: p.file if how == "none" else f"data/{p.file}" for p in placed}
    there = [video for video in videos if video["uri"] in paths]
    told: Counter[str] = Counter()
    with out.path("samples.json").open("w", encoding="utf-8") as file:
        file.write('{"samples": [')
        for number, (video, clips, frames) in enumerate(frames_of(workspace, selection, there)):
            frames_file = f"frames/{video['content_id']}.json"
            out.write_json(frames_file, fiftyone.frames(video, frames), None)
            entry = fiftyone.sample(video, clips, paths[video["uri"]], frames_file)
            file.write((",\n" if number else "\n") + json.dumps(entry, ensure_ascii=False, allow_nan=False))
            told[video["split"]] += 1
            out.counts["clips"] += len(clips)
        file.write("\n]}\n")
    info = {"curated_set": name, "digest": out.facts["digest"], "videos": dict(sorted(told.items()))}
    out.write_json("metadata.json", {"name": name, "media_type": "video", "info": info})
