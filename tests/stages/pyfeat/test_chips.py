from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow  # py-feat's import


@pytest.mark.parametrize("kind", ["narrow", "square"])
def test_chips_equal_those_of_pyfeat_to_the_bit(kind: str, weights: dict[str, Path]) -> None:
    from feat.utils.image_operations import extract_face_from_bbox_torch, extract_face_square_pad_torch

    from stages.pyfeat.chips import MARGIN, NARROW, SQUARE, cut_chips

    cut, theirs = {"narrow": (NARROW, extract_face_from_bbox_torch), "square": (SQUARE, extract_face_square_pad_torch)}[kind]
    random = torch.Generator().manual_seed(0)
    picture = torch.rand(3, 140, 161, generator=random)
    corner, size = torch.rand(40, 2, generator=random) * 150 - 20, torch.rand(40, 2, generator=random) * 90 + 0.2
    boxes = torch.cat([corner, corner + size], dim=1)
    wanted = theirs(picture[None], boxes, face_size=cut.px, expand_bbox=MARGIN)[0]
    assert torch.equal(cut_chips(picture, boxes, cut), wanted)
    assert torch.equal(cut_chips(picture, boxes[7:8], cut), wanted[7:8])
