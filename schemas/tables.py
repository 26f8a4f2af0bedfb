"""Arrow schemas of every table, each with a name and a version in its metadata."""

from __future__ import annotations

import pyarrow as pa

from schemas.au import AU_NAMES
from schemas.timebase import HOPS_PER_TICK, WINDOW_TICKS

NUM_LANDMARKS = 468
NUM_POINTS = 68  # dlib's layout, as py-feat's landmark network draws it
NUM_MELS = 80
TICK_MELS = HOPS_PER_TICK * NUM_MELS


def _schema(name: str, version: int, *fields: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema([pa.field(n, t) for n, t in fields], {"fauscan.table": name, "fauscan.version": str(version)})


def table_name(schema: pa.Schema) -> str:
    """The table's name, as in its file's metadata."""
    return schema.metadata[b"fauscan.table"].decode()


def table_version(schema: pa.Schema) -> int:
    """The schema version; part of every fingerprint."""
    return int(schema.metadata[b"fauscan.version"])


_ID = pa.string()
_BOX = pa.list_(pa.float32(), 4)
_SPANS = pa.list_(pa.list_(pa.float64(), 2))
_STRINGS = pa.list_(pa.string())

LISTING = _schema(
    "listing", 1,
    ("uri", pa.string()),  # relative to the archive root, '/' between parts
    ("size_bytes", pa.int64()),
    ("stamp", pa.string()),  # mtime or etag: tells a replaced file, never leaves the cache
)  # fmt: skip

MEDIA = _schema(
    "media", 1,
    ("content_id", _ID),  # BLAKE2b-128 of the bytes; null where the file can't be read
    ("uri", pa.string()),
    ("size_bytes", pa.int64()),
    ("unit", pa.string()),  # null for files that no later stage touches
    ("outcome", pa.string()),
    ("reason", pa.string()),
    ("detail", pa.string()),
    ("container", pa.string()),
    ("video_codec", pa.string()),
    ("width", pa.int32()),  # of the coded picture, before rotation
    ("height", pa.int32()),
    ("rotation_deg", pa.int16()),  # counter-clockwise turn that makes the picture upright
    ("frame_rate", pa.float64()),  # mean over the packets' timestamps
    ("is_vfr", pa.bool_()),
    ("num_packets", pa.int64()),
    ("origin_us", pa.int64()),  # start of the common timeline, in the container's time
    ("duration_us", pa.int64()),  # from the first to the end of the last video packet
    ("has_audio", pa.bool_()),
    ("audio_codec", pa.string()),
    ("audio_rate_hz", pa.int32()),
    ("audio_channels", pa.int16()),
    ("audio_start_us", pa.int64()),  # on the common timeline
    ("audio_end_us", pa.int64()),
)  # fmt: skip
"""What reading a file tells: the part of INVENTORY that its bytes decide."""

INVENTORY = _schema(
    "inventory", 2,
    *((field.name, field.type) for field in MEDIA),
    # What the metadata of a data set says of the file; all null where it says nothing. Never touched by what the detector says.
    ("truth_dataset", pa.string()),
    ("truth_fake", pa.bool_()),
    ("truth_audio_fake", pa.bool_()),  # null: not known, as in DFDC, whose label does not say which stream
    ("truth_visual_fake", pa.bool_()),
    ("truth_spans", _SPANS),  # seconds of the video, end exclusive; null: truth is of the whole clip
    ("truth_audio_spans", _SPANS),
    ("truth_visual_spans", _SPANS),
    ("truth_methods", pa.list_(pa.string())),  # sorted
    ("truth_source", pa.string()),  # uri of the real video that it was made from; the archive may lack it
    ("truth_identities", pa.list_(pa.string())),  # sorted, `dataset:name`; what must not be spread over splits
    ("truth_split", pa.string()),  # train, dev, test
    ("truth_note", pa.string()),  # what does not match
)  # fmt: skip
TRUTH_COLUMNS = tuple(name for name in INVENTORY.names if name not in MEDIA.names)

TRUTH_PROBLEMS = _schema(
    "truth_problems", 1,
    ("dataset", pa.string()),
    ("kind", pa.string()),  # missing, extra, contradiction, repaired, row, metadata, copies
    ("uri", pa.string()),  # the video that it is about, or the metadata's file
    ("what", pa.string()),
)  # fmt: skip

FRAMES = _schema(
    "frames", 1,
    ("content_id", _ID),
    ("frame_index", pa.int32()),
    ("pts_us", pa.int64()),
    ("tick", pa.int32()),
    ("reason", pa.string()),  # why this frame must not be labelled, null for a good one
)  # fmt: skip

FACES = _schema(
    "faces", 1,
    ("content_id", _ID),
    ("track", pa.int16()),
    ("tick", pa.int32()),
    ("frame_index", pa.int32()),
    ("pts_us", pa.int64()),
    ("box", _BOX),  # left, top, right, bottom in pixels of the upright picture
    ("landmarks", pa.list_(pa.float16(), NUM_LANDMARKS * 3)),  # x, y, z from the box centre, in box sides; null: backend pyfeat
    ("pitch_deg", pa.float32()),
    ("yaw_deg", pa.float32()),
    ("roll_deg", pa.float32()),
    ("sharpness", pa.float32()),  # variance of the Laplacian of the crop's luma
    ("presence", pa.float32()),  # the mesh network's (pyfeat: the detector's) probability that this is a face
    ("crop", pa.binary()),  # JPEG or PNG, crop_px square
)  # fmt: skip

PATCHES = _schema(
    "patches", 1,  # one row per row of FACES, in its order, where faces.backend is pyfeat: the pixels that py-feat's chips are cut from
    ("content_id", _ID),
    ("track", pa.int16()),
    ("tick", pa.int32()),
    ("picture_width", pa.int32()),  # upright
    ("picture_height", pa.int32()),
    ("left", pa.int32()),  # of the patch in the picture
    ("top", pa.int32()),
    ("points", pa.list_(pa.float32(), NUM_POINTS * 2)),  # x, y in sides of the narrow chip: the box, 1.2 times as large
    ("patch", pa.binary()),  # PNG or JPEG at the picture's own scale
)  # fmt: skip

FAU = _schema(
    "fau", 1,
    ("content_id", _ID),
    ("track", pa.int16()),
    ("tick", pa.int32()),
    *((au, pa.float32()) for au in AU_NAMES),
)  # fmt: skip

FAU_FEATURES = _schema(
    "fau_features", 1,  # one row per row of FAU, in its order, where fau.embedding is true
    ("content_id", _ID),
    ("track", pa.int16()),
    ("tick", pa.int32()),
    ("features", pa.list_(pa.float32())),  # of the frozen encoder; its width is the network's; null where there is no face to see
)  # fmt: skip

AUDIO = _schema(
    "audio", 1,
    ("content_id", _ID),
    ("tick", pa.int32()),
    ("power_db", pa.list_(pa.float32(), TICK_MELS)),  # 4 hops x 80 mels, 10 log10 of the mel power
    ("loudness_dbfs", pa.float32()),
    ("speech", pa.bool_()),
    ("reason", pa.string()),  # why power_db is null
)  # fmt: skip

SCORES = _schema(
    "scores", 1,
    ("content_id", _ID),
    ("track", pa.int16()),  # null: an audio window, which every track shares
    ("start_tick", pa.int32()),
    ("logit_total", pa.float32()),  # fake minus real
    ("logit_audio", pa.float32()),
    ("logit_visual", pa.float32()),
    ("evidence_total", pa.list_(pa.float32(), WINDOW_TICKS)),  # sums to the logit
    ("evidence_audio", pa.list_(pa.float32(), WINDOW_TICKS)),
    ("evidence_visual", pa.list_(pa.float32(), WINDOW_TICKS)),
    ("reason", pa.string()),  # why logit_total or logit_audio is null
)  # fmt: skip

STORED_LABELS = _schema(
    "labels", 1,
    ("content_id", _ID),
    ("track", pa.int16()),
    ("frame_index", pa.int32()),
    ("pts_us", pa.int64()),
    ("box", _BOX),
    ("quality", pa.float16()),
    ("p_total", pa.float16()),
    ("p_audio", pa.float16()),
    ("p_visual", pa.float16()),
    ("evidence", pa.float16()),
    ("label", pa.string()),
    ("basis", pa.string()),
    ("reason", pa.string()),
    ("n_windows", pa.int16()),
    ("provenance_id", pa.string()),
)  # fmt: skip

LABELS = _schema(
    "labels", 2,
    *((field.name, field.type) for field in STORED_LABELS),
    ("truth_fake", pa.bool_()),  # whether the truth calls this frame fake; null: not known
    ("truth_audio_fake", pa.bool_()),
    ("truth_visual_fake", pa.bool_()),
)  # fmt: skip
"""What `data/labels` holds: the stage's rows, and beside them the truth. The store's tables stay without: truth that comes or
changes makes no label due."""
LABEL_TRUTH = tuple(name for name in LABELS.names if name not in STORED_LABELS.names)

SEGMENTS = _schema(
    "segments", 1,
    ("content_id", _ID),
    ("track", pa.int16()),  # null for audio
    ("modality", pa.string()),  # total, audio, visual
    ("start_s", pa.float64()),
    ("end_s", pa.float64()),
    ("score", pa.float32()),
    ("provenance_id", pa.string()),
)  # fmt: skip

FAILURES = _schema(
    "failures", 1,
    ("content_id", _ID),
    ("uri", pa.string()),
    ("stage", pa.string()),
    ("reason", pa.string()),
    ("outcome", pa.string()),
    ("detail", pa.string()),
    ("frame_from", pa.int32()),
    ("frame_to", pa.int32()),
    ("attempt", pa.int16()),
)  # fmt: skip

MANIFEST = _schema(
    "manifest", 1,
    ("unit", pa.string()),
    ("unit_key", pa.string()),
    ("content_id", _ID),
    ("outcome", pa.string()),
    ("num_rows", pa.int64()),  # of the whole unit's main table
    ("sha256", pa.string()),  # of the unit's main table
)  # fmt: skip

PROVENANCE = _schema(
    "provenance", 2,
    ("provenance_id", pa.string()),
    ("preset", pa.string()),
    ("weights_sha256", pa.string()),
    ("fau_backend", pa.string()),
    ("face_backend", pa.string()),
    ("params_digest", pa.string()),
    ("schema_version", pa.int32()),
    ("code_version", pa.string()),
    ("device_class", pa.string()),
    ("fake_above", pa.float64()),  # the thresholds in force, the parameters' or the checkpoint's; null: made before version 2
    ("real_below", pa.float64()),
)  # fmt: skip

UNITS = _schema(
    "units", 1,
    ("content_id", _ID),
    ("unit", pa.string()),
)  # fmt: skip

DIFF = _schema(
    "diff", 1,
    ("content_id", _ID),
    ("uri", pa.string()),
    ("track", pa.int16()),
    ("frame_index", pa.int32()),
    ("pts_us", pa.int64()),
    ("change", pa.string()),  # added, removed, label, reason
    ("label_a", pa.string()),
    ("label_b", pa.string()),
    ("reason_a", pa.string()),
    ("reason_b", pa.string()),
    ("p_total_a", pa.float16()),
    ("p_total_b", pa.float16()),
    ("p_visual_a", pa.float16()),  # what the label rests on where there is no p_total
    ("p_visual_b", pa.float16()),
)  # fmt: skip

SEGMENT_DIFF = _schema(
    "segment_diff", 1,
    ("content_id", _ID),
    ("uri", pa.string()),
    ("track", pa.int16()),
    ("modality", pa.string()),
    ("change", pa.string()),  # added, removed, moved
    ("start_s_a", pa.float64()),
    ("end_s_a", pa.float64()),
    ("start_s_b", pa.float64()),
    ("end_s_b", pa.float64()),
    ("score_a", pa.float32()),
    ("score_b", pa.float32()),
)  # fmt: skip

CURATED = _schema(
    "curated", 1,
    ("clip_id", pa.string()),  # {content_id}-{track}-{start_tick}, track `v` when null
    ("content_id", _ID),
    ("uri", pa.string()),
    ("dataset", pa.string()),
    ("track", pa.int16()),  # null: the whole picture, without a face
    ("start_tick", pa.int32()),
    ("end_tick", pa.int32()),  # exclusive
    ("start_us", pa.int64()),
    ("end_us", pa.int64()),  # exclusive
    ("frame_from", pa.int32()),  # source frame numbers
    ("frame_to", pa.int32()),  # exclusive
    ("box", _BOX),  # union over the clip; null without a face
    ("split", pa.string()),  # train, dev, test
    ("target", pa.string()),  # real, fake
    ("target_from", pa.string()),  # truth, prediction
    ("fake_spans", _SPANS),  # seconds on the video's timeline, clipped to the clip; null where nothing says which frames
    ("audio_fake", pa.bool_()),  # of this clip; null: unknown
    ("visual_fake", pa.bool_()),
    ("methods", _STRINGS),  # sorted; of the video
    ("source", pa.string()),  # uri of the real video it was made from
    ("identities", _STRINGS),  # sorted; who must not cross splits
    ("component", pa.int32()),  # clips of one component share a split
    ("p_total", pa.float32()),  # mean over the clip's frames that have one
    ("weight", pa.float32()),
    ("provenance_id", pa.string()),  # of the labels
)  # fmt: skip

LOOKS = _schema(
    "looks", 1,
    ("content_id", _ID),
    ("track", pa.int16()),
    ("tick", pa.int32()),
    ("look", pa.int64()),  # 64 bits: which low frequencies of the crop are above their median
    ("shape", pa.list_(pa.int16(), 64)),  # these frequencies, rounded
)  # fmt: skip
"""What near-duplicates are found by; a cache, no part of the store."""

CURATED_DIFF = _schema(
    "curated_diff", 1,
    ("change", pa.string()),  # added, removed, split, target; a clip that changed both has two rows
    ("clip_id", pa.string()),
    ("uri", pa.string()),
    ("dataset", pa.string()),
    ("split_a", pa.string()),
    ("split_b", pa.string()),
    ("target_a", pa.string()),
    ("target_b", pa.string()),
    ("target_from_a", pa.string()),
    ("target_from_b", pa.string()),
)  # fmt: skip

TABLES: dict[str, pa.Schema] = {
    table_name(schema): schema
    for schema in (
        LISTING, INVENTORY, FRAMES, FACES, PATCHES, FAU, FAU_FEATURES, AUDIO, SCORES, LABELS, SEGMENTS, FAILURES, MANIFEST, PROVENANCE,
        UNITS, DIFF, SEGMENT_DIFF, CURATED, TRUTH_PROBLEMS, LOOKS, CURATED_DIFF,
    )
}  # fmt: skip
"""Every table that is ever written to a file, by its name."""
