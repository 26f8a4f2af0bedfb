"""Uploads: objects of which an S3 store has received some parts and not the end, as a killed process leaves them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Upload:
    """One of them: the object's name below the root, what has come of it, when it was begun (seconds of the epoch)."""

    name: str
    upload_id: str
    size_bytes: int
    begun_s: float


def unfinished(fs: Any, root: str) -> list[Upload]:
    """Uploads below `root`, by name.

    Raises what s3fs raises; asking needs the permission `s3:ListBucketMultipartUploads`.
    """
    bucket, _, prefix = root.partition("/")
    prefix = f"{prefix}/" if prefix else ""
    found = []
    for raw in _of_bucket(fs, bucket):
        if not raw["Key"].startswith(prefix):
            continue
        size_bytes = _size_bytes(fs, bucket, raw["Key"], raw["UploadId"])
        found.append(Upload(raw["Key"].removeprefix(prefix), raw["UploadId"], size_bytes, raw["Initiated"].timestamp()))
    return sorted(found, key=lambda upload: (upload.name, upload.upload_id))


def abort(fs: Any, path: str, upload_id: str) -> None:
    """Gives up an upload; what came of it is deleted. Raises FileNotFoundError when it has ended meanwhile."""
    bucket, _, key = path.partition("/")
    fs.call_s3("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload_id)


def _of_bucket(fs: Any, bucket: str) -> Iterator[dict[str, Any]]:
    """All of them: MinIO takes a prefix for a whole name (minio/minio issue 20989)."""
    marker: dict[str, str] = {}
    while True:
        page = fs.call_s3("list_multipart_uploads", Bucket=bucket, **marker)
        yield from page.get("Uploads", [])
        if not page.get("IsTruncated"):
            return
        marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}


def _size_bytes(fs: Any, bucket: str, key: str, upload_id: str) -> int:
    """Of the first thousand parts, which is as many as one answer holds: nearly always all of them."""
    try:
        parts = fs.call_s3("list_parts", Bucket=bucket, Key=key, UploadId=upload_id).get("Parts", [])
    except OSError:
        return 0  # ended meanwhile, or the parts may not be listed; it is an unfinished upload all the same
    return sum(part["Size"] for part in parts)
