"""Formats: what `fauscan export --format` takes."""

from __future__ import annotations

from typing import Literal

Format = Literal["webdataset", "huggingface", "lavdf", "avdeepfake1m", "fauforensics", "coco", "fiftyone"]
