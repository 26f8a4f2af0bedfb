"""COCO: an image for each frame of a clip, an annotation for each face in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from stages.exports.spans import holds

CATEGORIES = [
    {"id": 1, "name": "real_face", "supercategory": "face"},
    {"id": 2, "name": "fake_face", "supercategory": "face"},
]


def frame_name(content_id: str, frame_index: int) -> str:
    """What a frame is called in an export: `file_name` below the folder of images."""
    return f"{content_id}/{frame_index:08d}.jpg"


def picture_size(video: dict[str, Any]) -> tuple[int, int]:
    """(width, height) of the upright picture, in which boxes are."""
    width, height = video["width"] or 0, video["height"] or 0
    return (height, width) if (video["rotation_deg"] or 0) % 180 else (width, height)


def is_fake(clip: dict[str, Any], pts_us: int) -> bool:
    """Whether a frame of a clip is fake: by the spans, or as the clip is where nobody says which frames."""
    if clip["target"] != "fake":
        return False
    return clip["fake_spans"] is None or holds(clip["fake_spans"], pts_us / 1e6)


def images_of(
    video: dict[str, Any], frames: Iterable[dict[str, Any]], first_id: int
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Images with their annotations, which have everything but an `id`.

    Args:
        video: of `videos_of`.
        frames: of one video, sorted by frame_index: frame_index, pts_us, clip (row of CURATED), track, box, p_total. Several of
            one frame are several faces, or clips that overlap: then the first one's face counts.
        first_id: of the first image.
    """
    width, height = picture_size(video)
    image: dict[str, Any] | None = None
    boxes: dict[int, dict[str, Any]] = {}
    for frame in frames:
        if image is None or frame["frame_index"] != image["frame_index"]:
            if image is not None:
                yield image, list(boxes.values())
                first_id += 1
            boxes = {}
            image = {
                "id": first_id,
                "file_name": frame_name(video["content_id"], frame["frame_index"]),
                "width": width,
                "height": height,
                "video": video["uri"],
                "frame_index": frame["frame_index"],
                "pts_us": frame["pts_us"],
            }
        if frame["box"] is not None:
            boxes.setdefault(frame["track"], _annotation(frame, first_id, width, height))
    if image is not None:
        yield image, list(boxes.values())


def _annotation(frame: dict[str, Any], image_id: int, width: int, height: int) -> dict[str, Any]:
    left, top, right, bottom = frame["box"]
    left, top, right, bottom = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
    across, down = round(max(right - left, 0.0), 2), round(max(bottom - top, 0.0), 2)
    return {
        "image_id": image_id,
        "category_id": 2 if is_fake(frame["clip"], frame["pts_us"]) else 1,
        "bbox": [round(left, 2), round(top, 2), across, down],
        "area": round(across * down, 2),
        "iscrowd": 0,
        "track_id": frame["track"],
        "clip_id": frame["clip"]["clip_id"],
        "score": None if frame["p_total"] is None else round(frame["p_total"], 4),
    }
