"""Chips: a face cut out of its picture as py-feat's networks were taught, to the bit, without a copy of the picture for each face."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

MARGIN = 1.2
"""A chip shows the box, so many times as large."""


@dataclass(frozen=True, slots=True)
class Cut:
    """`px` is a chip's side.

    `squeezed`: the box is pressed into the square, black outside the picture; otherwise it is the square around the box, mirrored there.
    """

    px: int
    squeezed: bool


NARROW = Cut(112, squeezed=True)
"""Chips of landmarks and classifiers."""
SQUARE = Cut(256, squeezed=False)
"""Chips of the multitask network."""


def cut_chips(picture: Tensor, boxes: Tensor, cut: Cut) -> Tensor:
    """The arithmetic of py-feat's croppers, step by step in float32: an answer that differs in the last digit can turn a tree's branch.

    Args:
        picture: (3, H, W) in [0, 1].
        boxes: (N, 4) float32, left, top, right, bottom in pixels; N >= 1.
        cut: which chips.

    Returns:
        (N, 3, px, px) in [0, 1].
    """
    height, width = picture.shape[1:]
    with torch.inference_mode():
        centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]  # (N, 2)
        steps = (torch.arange(cut.px, device=boxes.device).float() + 0.5) / cut.px
        whole = torch.tensor([width, height], device=boxes.device)
        if cut.squeezed:
            extent = size * MARGIN
            first = centre - extent / 2
            places = steps[:, None] * ((centre + extent / 2) - first)[:, None] + first[:, None]  # (N, px, 2): x of columns, y of rows
            places = 2 * places / (whole - 1) - 1  # off by up to a pixel, and so are the pictures that the networks learnt from
        else:
            side = (size.amax(1, keepdim=True) * MARGIN).clamp(min=1.0)
            places = (centre - side / 2)[:, None] + steps[:, None] * side[:, None]
            places = 2 * (places + 0.5) / whole - 1
        columns, rows = places[:, None, :, 0].expand(-1, cut.px, -1), places[:, :, None, 1].expand(-1, -1, cut.px)
        grid = torch.stack([columns, rows], dim=-1)  # (N, px, px, 2)
        # One tall chip: grid_sample wants a picture for each, and copying a full picture costs more than cutting a chip.
        tall = grid.reshape(1, -1, cut.px, 2)
        found = F.grid_sample(picture[None], tall, padding_mode="zeros" if cut.squeezed else "reflection", align_corners=False)
        return found[0].reshape(3, -1, cut.px, cut.px).transpose(0, 1).contiguous()
