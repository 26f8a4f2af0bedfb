"""Optimiser: AdamW with a learning rate for each part of the network, on the published poly schedule."""

from __future__ import annotations

import torch
from torch import nn

from schemas.train import TrainParams


def make_optimiser(objective: nn.Module, params: TrainParams) -> torch.optim.AdamW:
    """Groups: encoders, heads, everything between. Frozen parameters are left out.

    The published loop clips gradients before it unscales them, which slows the encoders down by one and a half orders
    of magnitude (research note, section 4.1, point 1). We unscale first and say the rates that we mean.
    """
    rates = {"encoder": params.lr * params.lr_backbone_factor, "head": params.lr * params.lr_head_factor, "middle": params.lr}
    groups: dict[str, list[nn.Parameter]] = {part: [] for part in rates}
    for name, parameter in objective.named_parameters():
        if parameter.requires_grad:
            groups["encoder" if "encoder" in name else "head" if "head" in name else "middle"].append(parameter)
    return torch.optim.AdamW(
        [{"params": groups[part], "lr": rate, "peak": rate} for part, rate in rates.items() if groups[part]],
        weight_decay=params.weight_decay,
        betas=(0.9, 0.999),
        eps=1e-8,
    )


def set_rate(optimiser: torch.optim.Optimizer, step: int, params: TrainParams) -> None:
    """Sets the learning rates for a step, counted from 0; each phase has its own schedule.

    lr = (1 - i / I)^0.9 (lr0 - lr_min) + lr_min, lr_min = lr0 / 1000 (research note, section 4), after a linear warm-up.
    """
    _, first, length = params.phase_of(step)
    i = step - first
    warm = min(1.0, (i + 1) / params.warmup_steps) if params.warmup_steps else 1.0
    for group in optimiser.param_groups:
        low = group["peak"] * params.min_lr_factor
        group["lr"] = ((1 - i / length) ** params.poly_power * (group["peak"] - low) + low) * warm
