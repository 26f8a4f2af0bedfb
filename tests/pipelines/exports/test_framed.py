"""Framed: COCO opens in pycocotools; FiftyOne's importer finds what it looks for."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from pipelines.exports.export import export
from pipelines.publish import scan_labels
from tests.conftest import NO_FACE, SINGLE_FACE


@pytest.fixture
def boxes(curated):
    labels = scan_labels(curated).filter(track=0).collect()
    return {(r["content_id"], r["frame_index"]): r for r in labels.filter(labels["frame_index"] < 60).to_dicts()}


def test_pycocotools_reads_frames_boxes_and_classes(curated, boxes, tmp_path):
    from pycocotools.coco import COCO

    out = export(curated, "made", "coco", tmp_path / "out")
    coco = COCO(str(tmp_path / "out" / "annotations" / "instances_train.json"))
    assert out.counts["annotations"] == len(coco.anns) == len(boxes)
    fake_id = coco.getCatIds(catNms=["fake_face"])[0]
    for annotation in coco.loadAnns(coco.getAnnIds()):
        (image,) = coco.loadImgs(annotation["image_id"])
        label = boxes[annotation["clip_id"].split("-")[0], image["frame_index"]]
        left, top, right, _ = (max(edge, 0) for edge in label["box"])
        assert annotation["bbox"][:2] == pytest.approx([left, top], abs=0.01)
        assert left + annotation["bbox"][2] <= min(right, image["width"]) + 0.02
        assert image["pts_us"] == label["pts_us"] and image["video"] == SINGLE_FACE.path.name
        inside = 1_200_000 <= image["pts_us"] < 1_600_000 and image["frame_index"] >= 30
        assert (annotation["category_id"] == fake_id) == inside
    bare = COCO(str(tmp_path / "out" / "annotations" / "instances_dev.json"))
    assert bare.imgs and not bare.anns  # frames without a face are images without a box


def test_copied_frames_are_the_pictures_that_the_boxes_are_of(curated, tmp_path):
    import cv2

    export(curated, "made", "coco", tmp_path / "out", "copy")
    table = json.loads((tmp_path / "out" / "annotations" / "instances_train.json").read_text(encoding="utf-8"))
    assert len(table["images"]) == 60
    for image in table["images"][::20]:
        picture = cv2.imread(str(tmp_path / "out" / "images" / image["file_name"]))
        assert picture is not None and picture.shape[:2] == (image["height"], image["width"])


def test_fiftyone_samples_have_clips_faces_and_media(curated, boxes, tmp_path):
    """The rules of fiftyone 1.22's importer for folders without a database dump, which needs no MongoDB to read them."""
    out = tmp_path / "out"
    export(curated, "made", "fiftyone", out, "copy")
    assert "version" not in json.loads((out / "metadata.json").read_text(encoding="utf-8"))  # it would be taken for a dump
    samples = json.loads((out / "samples.json").read_text(encoding="utf-8"))["samples"]
    by_name = {SINGLE_FACE.path.read_bytes(): 2, NO_FACE.path.read_bytes(): 1}
    assert len(samples) == 2
    for sample in samples:
        assert len(sample["clips"]["detections"]) == by_name[(out / sample["filepath"]).read_bytes()]
        assert sample["_media_type"] == "video" and sample["metadata"]["_cls"] == "VideoMetadata"
        frames = json.loads((out / sample["frames"]).read_text(encoding="utf-8"))["frames"]
        for key, frame in frames.items():
            assert frame["frame_number"] == int(key) >= 1  # from 1, where ours count from 0
            for face in frame["faces"]["detections"]:
                x, y, w, h = face["bounding_box"]
                assert -0.2 < x < 1 and -0.2 < y < 1 and 0 < w < 1.2 and 0 < h < 1.2
    (face,) = [s for s in samples if s["target"]["label"] == "fake"]
    assert [c["support"] for c in face["clips"]["detections"]] == [[1, 30], [31, 60]]
    assert len(json.loads((out / face["frames"]).read_text(encoding="utf-8"))["frames"]) == len(boxes)


@pytest.mark.skipif("FAUSCAN_FIFTYONE_PYTHON" not in os.environ, reason="FAUSCAN_FIFTYONE_PYTHON names no Python that has fiftyone")
def test_fiftyones_own_importer_reads_it(curated, tmp_path):
    """FiftyOne can't be installed beside OpenCV 5; a Python of its own reads the folder with services off."""
    export(curated, "made", "fiftyone", tmp_path / "out", "copy")
    script = Path(__file__).with_name("read_with_fiftyone.py")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
        "FIFTYONE_DISABLE_SERVICES": "1",
        "FIFTYONE_DO_NOT_TRACK": "1",
    }
    done = subprocess.run(
        [os.environ["FAUSCAN_FIFTYONE_PYTHON"], script, tmp_path / "out"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["samples"] == 2 and told["clips"] == 3 and told["faces"] == 60 and told["labels"] == ["fake", "real"]
