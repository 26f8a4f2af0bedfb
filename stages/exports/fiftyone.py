"""FiftyOne: a video sample with its clips, and the faces of its frames, as its JSON importer reads them.

The layout is the one that `fiftyone.types.FiftyOneDataset` takes without a database dump: `metadata.json`, `samples.json`, and
a file of frames for each video. The newer layout holds MongoDB's own documents, ids and field schemas, which only FiftyOne can write.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stages.exports.coco import is_fake, picture_size
from stages.exports.videos import total_spans


def sample(video: dict[str, Any], clips: Iterable[dict[str, Any]], filepath: str, frames_file: str) -> dict[str, Any]:
    """One entry of `samples.json`; frames are counted from 1, as FiftyOne does, and both ends of `support` are inside."""
    width, height = picture_size(video)
    metadata = {
        "_cls": "VideoMetadata",
        "size_bytes": video["size_bytes"],
        "frame_width": width or None,
        "frame_height": height or None,
        "frame_rate": video["frame_rate"],
        "total_frame_count": video["num_packets"],
        "duration": None if video["duration_us"] is None else video["duration_us"] / 1e6,
    }
    return {
        "filepath": filepath,
        "tags": [video["split"]],
        "_media_type": "video",
        "metadata": metadata,
        "target": _labelled("Classification", "fake" if video["fake"] else "real"),
        "clips": {"_cls": "TemporalDetections", "detections": [_clip(row) for row in clips]},
        "content_id": video["content_id"],
        "dataset": video["dataset"],
        "source": video["source"],
        "methods": list(video["methods"]),
        "identities": list(video["identities"]),
        "fake_seconds": [edge for span in total_spans(video) for edge in span],
        "frames": frames_file,
    }


def frames(video: dict[str, Any], rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The file of frames: boxes as shares of the picture, from its upper left corner. Rows as for `coco.images_of`."""
    width, height = picture_size(video)
    found: dict[int, dict[int, dict[str, Any]]] = {}
    for row in rows:
        if row["box"] is not None and width and height:
            found.setdefault(row["frame_index"], {}).setdefault(row["track"], _face(row, width, height))
    return {
        "frames": {
            str(index + 1): {"frame_number": index + 1, "faces": {"_cls": "Detections", "detections": list(faces.values())}}
            for index, faces in found.items()
        }
    }


def _clip(row: dict[str, Any]) -> dict[str, Any]:
    return _labelled("TemporalDetection", row["target"]) | {
        "support": [row["frame_from"] + 1, max(row["frame_from"] + 1, row["frame_to"])],
        "confidence": row["p_total"],
        "clip_id": row["clip_id"],
        "target_from": row["target_from"],
    }


def _face(row: dict[str, Any], width: int, height: int) -> dict[str, Any]:
    left, top, right, bottom = (edge / size for edge, size in zip(row["box"], (width, height, width, height), strict=True))
    return _labelled("Detection", "fake" if is_fake(row["clip"], row["pts_us"]) else "real") | {
        "bounding_box": [round(v, 6) for v in (left, top, right - left, bottom - top)],
        "index": row["track"],
        "confidence": None if row["p_total"] is None else round(row["p_total"], 4),
    }


def _labelled(kind: str, label: str) -> dict[str, Any]:
    return {"_cls": kind, "tags": [], "label": label}
