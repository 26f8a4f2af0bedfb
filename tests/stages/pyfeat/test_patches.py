from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.slow  # py-feat's import


@pytest.mark.parametrize(
    "box", [(60, 40, 120, 130), (-30, -20, 50, 80), (100, 60, 185, 150), (10.3, 20.7, 30.9, 49.2), (-40, 10, 45, 110)], ids=str
)
@pytest.mark.parametrize("kind", ["narrow", "square"])
def test_chips_of_a_patch_equal_those_of_the_whole_picture(box: tuple[float, ...], kind: str, weights: dict[str, Path]) -> None:
    from stages.pyfeat.chips import NARROW, SQUARE, cut_chips
    from stages.pyfeat.patches import chips_of, cut_patch, encode_patch, patch_of_row

    picture = np.random.default_rng(0).integers(0, 256, (140, 160, 3), np.uint8)
    where = np.array(box, np.float32)
    cut = {"narrow": NARROW, "square": SQUARE}[kind]
    wanted = cut_chips(torch.from_numpy(picture).permute(2, 0, 1).float() / 255, torch.from_numpy(where)[None], cut)
    patch = cut_patch(picture, where)
    row = {
        "patch": encode_patch(patch.pixels, "png", 92),
        "left": patch.left,
        "top": patch.top,
        "picture_width": 160,
        "picture_height": 140,
        "box": box,
    }
    assert torch.equal(chips_of([patch_of_row(row)] * 2, cut, "cpu")[1:], wanted)


def test_a_patch_is_little_more_than_the_face(weights: dict[str, Path]) -> None:
    from stages.pyfeat.patches import cut_patch

    patch = cut_patch(np.zeros((1080, 1920, 3), np.uint8), np.array([900, 400, 1000, 540], np.float32))
    assert patch.pixels.shape[0] <= 140 * 1.2 + 8 and patch.pixels.shape[1] <= 140 * 1.2 + 8


def test_jpeg_is_smaller_and_near(weights: dict[str, Path]) -> None:
    from stages.faces import decode_crop
    from stages.pyfeat.patches import encode_patch
    from tests.pyfeat_weights import spots

    pixels = spots([(100, 100)])
    png, jpeg = (encode_patch(pixels, kind, 92) for kind in ("png", "jpeg"))
    assert len(jpeg) < len(png) / 2
    assert np.abs(decode_crop(jpeg).astype(int) - pixels).mean() < 2
    np.testing.assert_array_equal(decode_crop(png), pixels)
