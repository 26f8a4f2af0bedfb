"""Faces: decodes a video once, follows every face on the 25 Hz clock, and keeps its mesh, pose and an aligned crop."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.params import DecodeParams, FaceParams
from schemas.reasons import Failure, Outcome, Reason
from schemas.tables import FACES, FRAMES, MEDIA, NUM_LANDMARKS, NUM_POINTS, PATCHES
from schemas.timebase import tick_of
from stages import versions
from stages.contract import MediaError, OpenMedia, StageResult, concat, table_from_columns
from stages.decoding import Damage, VideoFrame, scan_video
from stages.face.crop import cut_out, sharpness
from stages.face.observer import Face, MeshObserver, Observer, Shown
from stages.sampling import nearest_frames

INPUT, OUTPUT, VERSION = MEDIA, FACES, versions.FACES
SIDE = {"frames": FRAMES, "patches": PATCHES}

_COUNTED = frozenset(
    {"h264", "hevc", "vp9", "av1", "mpeg4", "vp8"}
)  # the scan counts their packets itself; VP8 has some that are never shown


class Faces:
    """Looks at many videos.

    The main table has one row per (video, track, tick); the side table `frames` one per decoded frame; `patches`, which only
    backend pyfeat makes, one per row of the main table.

    Args:
        decode, faces: parameters.
        observer: of the backend that `faces` names.
    """

    def __init__(self, decode: DecodeParams, faces: FaceParams, observer: Observer | None = None) -> None:
        self._decode, self._params = decode, faces
        self._observe: Observer = observer or MeshObserver(faces)

    def __call__(self, videos: pa.Table, open_media: OpenMedia) -> StageResult:
        """videos: rows of MEDIA. A video that can't be read costs itself only."""
        result = StageResult(FACES.empty_table())
        rows, frames, patches = [], [], []
        for video in videos.to_pylist():
            content_id, uri = video["content_id"], video["uri"]
            try:
                with open_media(uri) as path:
                    face_rows, frame_rows, patch_rows = self._one(video, path, result)
            except MediaError as error:
                result.outcomes[content_id] = error.outcome
                result.failures.append(Failure(content_id, uri, "faces", error.reason, error.outcome, error.detail))
                continue
            rows.append(face_rows)
            frames.append(frame_rows)
            patches.append(patch_rows)
            result.frames_seen += frame_rows.num_rows
        result.rows = concat(rows, FACES)
        result.side["frames"] = concat(frames, FRAMES)
        result.side["patches"] = concat(patches, PATCHES)
        return result

    def close(self) -> None:
        """Nothing to give back: the networks live in this process's memory."""

    def _one(self, video: dict[str, Any], path: Path, result: StageResult) -> tuple[pa.Table, pa.Table, pa.Table]:
        content_id = video["content_id"]
        damage, log = Damage(), _FrameLog()
        columns = _FaceColumns(self._params)
        scan = scan_video(path, video["origin_us"], video["rotation_deg"] or 0, self._decode, damage)
        for looked in self._observe(_shown(nearest_frames(log.watch(scan)))):
            for face in looked.faces:
                columns.add(looked.shown.ticks[0], looked.shown.frame, looked.rgb, face)
            for tick in looked.shown.ticks[1:]:
                columns.repeat(tick, len(looked.faces))
        if not log.pts_us:
            raise MediaError(Reason.NO_FRAMES, "no frame decodes")
        result.outcomes[content_id] = Outcome.DONE
        result.failures += damage.as_failures(content_id, video["uri"], "faces")
        expected = video["num_packets"]
        if expected and video["video_codec"] not in _COUNTED and len(log.pts_us) < expected and not damage.failures:
            lost = f"{len(log.pts_us)} frames from {expected} packets"
            result.failures.append(Failure(content_id, video["uri"], "faces", Reason.BAD_PACKETS, Outcome.DONE, lost))
        faces, patches = columns.tables(content_id, set(damage.spoiled))
        if faces.num_rows == 0 and len(damage.spoiled) == len(log.pts_us):
            raise MediaError(Reason.BAD_PACKETS, "not one frame is undamaged")
        if faces.num_rows == 0:
            result.outcomes[content_id] = Outcome.FILTERED
            result.failures.append(Failure(content_id, video["uri"], "faces", Reason.NO_FACE, Outcome.FILTERED, "in no frame"))
        return faces, log.table(content_id, damage), patches


def _shown(pairs: Iterator[tuple[int, VideoFrame]]) -> Iterator[Shown]:
    """Ticks with the same frame come one after the other. Frames that may be damaged are not looked at."""
    for _, group in itertools.groupby(pairs, key=lambda pair: pair[1].index):
        first, *more = group
        if not first[1].suspect:
            yield Shown([first[0], *(tick for tick, _ in more)], first[1])


class _FrameLog:
    """Notes every decoded frame that passes by."""

    def __init__(self) -> None:
        self.pts_us: list[int] = []

    def watch(self, frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        for frame in frames:
            self.pts_us.append(frame.pts_us)
            yield frame

    def table(self, content_id: str, damage: Damage) -> pa.Table:
        pts_us = np.array(self.pts_us, np.int64)
        return table_from_columns(
            {
                "content_id": [content_id] * len(pts_us),
                "frame_index": np.arange(len(pts_us)),
                "pts_us": pts_us,
                "tick": tick_of(pts_us),
                "reason": [damage.spoiled.get(i) for i in range(len(pts_us))],
            },
            FRAMES,
        )


class _FaceColumns:
    """Collects observations as columns; tracks that turn out to be flicker are left out at the end."""

    def __init__(self, params: FaceParams) -> None:
        self._params = params
        self._rows: list[dict[str, Any]] = []

    def add(self, tick: int, frame: VideoFrame, rgb: NDArray[np.uint8], face: Face) -> None:
        seen, relative = face.seen, np.zeros(0, np.float16)
        crop = cut_out(rgb, seen.landmarks, self._params.crop_px)
        pitch, yaw, roll = face.pose_deg.tolist()
        if face.landmarks is not None:
            centre, side = (seen.box[:2] + seen.box[2:]) / 2, float((seen.box[2:] - seen.box[:2]).max())
            points = face.landmarks.copy()
            points[:, :2] -= centre
            relative = (points / side).astype(np.float16).reshape(-1)
        self._rows.append(
            {
                "track": seen.track,
                "tick": tick,
                "frame_index": frame.index,
                "pts_us": frame.pts_us,
                "box": seen.box,
                "landmarks": relative if face.landmarks is not None else None,
                "pitch_deg": pitch,
                "yaw_deg": yaw,
                "roll_deg": roll,
                "sharpness": sharpness(crop),
                "presence": seen.presence,
                "crop": encode_crop(crop, self._params),
                **face.patch,
            }
        )

    def repeat(self, tick: int, num_rows: int) -> None:
        """The last `num_rows` observations hold for this tick too."""
        if num_rows:
            self._rows += [row | {"tick": tick} for row in self._rows[-num_rows:]]

    def tables(self, content_id: str, spoiled: Collection[int]) -> tuple[pa.Table, pa.Table]:
        """FACES and PATCHES. `spoiled`: frames that turned out to be damaged after they had been looked at."""
        good = [row for row in self._rows if row["frame_index"] not in spoiled]
        length = Counter(row["track"] for row in good)
        kept = [row for row in good if length[row["track"]] >= self._params.min_track_ticks]
        kept.sort(key=lambda row: (row["track"], row["tick"]))
        numbers = {track: i for i, track in enumerate(sorted({row["track"] for row in kept}))}
        columns: dict[str, Any] = {name: [row[name] for row in kept] for name in FACES.names if name != "content_id"}
        columns["content_id"] = [content_id] * len(kept)
        columns["track"] = [numbers[track] for track in columns["track"]]
        columns["box"] = _fixed(columns["box"], 4, np.float32)
        columns["landmarks"] = _fixed(columns["landmarks"], NUM_LANDMARKS * 3, np.float16)
        if not kept or "patch" not in kept[0]:
            return table_from_columns(columns, FACES), PATCHES.empty_table()
        patches = {name: columns[name] if name in columns else [row[name] for row in kept] for name in PATCHES.names}
        patches["points"] = _fixed(patches["points"], NUM_POINTS * 2, np.float32)
        return table_from_columns(columns, FACES), table_from_columns(patches, PATCHES)


def _fixed(rows: list[NDArray[Any] | None], width: int, dtype: type) -> pa.Array:
    known = [row for row in rows if row is not None]
    if rows and not known:
        return pa.nulls(len(rows), pa.list_(pa.from_numpy_dtype(dtype), width))
    flat: NDArray[Any] = np.concatenate(known).astype(dtype) if known else np.zeros(0, dtype)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), width)


def encode_crop(crop: NDArray[np.uint8], params: FaceParams) -> bytes:
    """A `crop` cell from (H, W, 3) uint8 RGB."""
    bgr = cv2.cvtColor(crop, cv2.COLOR_RGB2BGR)
    if params.crop_format == "png":
        ok, data = cv2.imencode(".png", bgr)
    else:
        ok, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, params.jpeg_quality])
    if not ok:
        raise RuntimeError("OpenCV could not encode a crop")
    return bytes(data.tobytes())


def decode_crop(data: bytes) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB from a `crop` cell."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError("a crop in the store is not a picture")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
