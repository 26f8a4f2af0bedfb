"""Folding: batch norms that are done with learning, multiplied into the convolutions before them."""

from __future__ import annotations

from itertools import pairwise

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_norms(module: nn.Module) -> None:
    """Rewrites a module in place: the same answers up to rounding, and fewer passes over memory.

    A batch norm belongs to the convolution that stands right before it among its siblings; that is so in both encoders here.
    Afterwards the module can't be trained, and its weights no longer have their names: for scoring only.

    Raises:
        ValueError: it is in training mode.
    """
    if module.training:
        raise ValueError("a network in training mode still learns its batch norms; call eval() first")
    for part in module.modules():
        for (name, child), (next_name, following) in pairwise(list(part.named_children())):
            if isinstance(child, (nn.Conv2d, nn.Conv3d)) and isinstance(following, _BatchNorm):
                setattr(part, name, fuse_conv_bn_eval(child, following))
                setattr(part, next_name, nn.Identity())
