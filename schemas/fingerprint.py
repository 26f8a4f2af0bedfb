"""Digests that decide what is already done: unit keys, fingerprints, content ids."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from schemas.tables import table_name, table_version


def digest(value: Any) -> str:
    """32 hex digits of the canonical JSON of a value made of dicts, lists, strings, numbers, booleans and None."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def stage_fingerprint(
    stage: str,
    version: int,
    params: Mapping[str, Any],
    outputs: Iterable[pa.Schema],
    upstream: Mapping[str, str],
    weights_sha256: str | None = None,
) -> str:
    """What a stage's output depends on besides the videos: code version, parameters, weights, schemas, upstream fingerprints."""
    return digest(
        {
            "stage": stage,
            "version": version,
            "params": dict(params),
            "outputs": {table_name(s): table_version(s) for s in outputs},
            "upstream": dict(upstream),
            "weights": weights_sha256,
        }
    )


def unit_key(content_ids: Iterable[str], fingerprint: str) -> str:
    """The name under which a unit's output is stored: H(sorted content ids, fingerprint)."""
    return digest({"content_ids": sorted(content_ids), "fingerprint": fingerprint})
