"""Reads an export with FiftyOne's own importer, and prints what it found. Runs in a Python that has fiftyone."""

from __future__ import annotations

import json
import os
import sys

import fiftyone.utils.data.importers as foi

folder = sys.argv[1]
assert foi.FiftyOneDatasetImporter(folder)._is_legacy_format_data()  # so the one below is what `Dataset.from_dir` takes
counts = {"samples": 0, "clips": 0, "faces": 0}
labels = set()
importer = foi.LegacyFiftyOneDatasetImporter(folder)
with importer:
    for sample in importer:
        assert os.path.isfile(sample.filepath) and sample.media_type == "video"  # noqa: PTH113
        counts["samples"] += 1
        counts["clips"] += len(sample.clips.detections)
        counts["faces"] += sum(len(frame.faces.detections) for frame in sample.frames.values())
        labels.add(sample.target.label)
sys.stdout.write(json.dumps(counts | {"labels": sorted(labels)}) + "\n")
