"""Validate: tick logits of clips, as the label stage pools them, and the score that early stopping watches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fauforensics.frontend import NUM_MELS, normalise
from fauforensics.network import FauForensics, HeadOutput
from fauforensics.reference import PICTURE_PX, ReferenceFauForensics
from pipelines.train.batches import sound_peak_db
from pipelines.train.dataset import HEADS, TrainClip
from pipelines.train.pixels import ReadCrops, resized
from schemas.timebase import HOPS_PER_TICK, WINDOW_TICKS
from schemas.train import TrainParams
from schemas.truth import Modality
from stages.hysteresis import moving_average
from stages.metrics.binary import roc_auc
from stages.network_input import crops_to_unit, fau_input, imagenet
from stages.windows import mean_over_windows, window_starts

_SMOOTH = 5  # ticks: the label stage's default
_WINDOWS_AT_ONCE = 8  # of the reference network, which encodes each one


@dataclass(slots=True)
class Judged:
    """One clip and what the network says of it: smoothed logit of each tick (T,), by head."""

    clip: TrainClip
    logits: dict[Modality, NDArray[np.float64]]


def picture_px(net: FauForensics | ReferenceFauForensics) -> int:
    """Side of the pictures that a network wants."""
    return net.config.crop_px if isinstance(net, FauForensics) else PICTURE_PX


def judge_clips(
    net: FauForensics | ReferenceFauForensics,
    clips: Sequence[TrainClip],
    params: TrainParams,
    read: ReadCrops,
    stride_ticks: int,
    device: str,
) -> list[Judged]:
    """Every clip through the network as scoring would see it, without variations."""
    net.eval()
    judged = []
    with torch.inference_mode():
        for clip in clips:
            starts = window_starts(clip.ticks, stride_ticks).tolist()
            answers = _windows(net, clip, params, read, starts, device)
            logits = {
                head: moving_average(mean_over_windows(starts, answers[head].tolist(), clip.ticks)[0], _SMOOTH)
                for head in HEADS
                if head == "visual" or clip.asked["total"]
            }
            judged.append(Judged(clip, logits))
    return judged


def _windows(
    net: FauForensics | ReferenceFauForensics, clip: TrainClip, params: TrainParams, read: ReadCrops, starts: list[int], device: str
) -> dict[str, Tensor]:
    """(W,) fake minus real of the windows that begin at `starts`, by head."""
    px = picture_px(net)
    pictures = read(clip, slice(0, clip.ticks))
    size = pictures[0].shape[0]
    side = round(params.crop_test * size)
    at = (size - side) // 2
    crops = torch.from_numpy(np.stack([resized(p, at, at, side, px) for p in pictures]).transpose(0, 3, 1, 2)).to(device)
    db = torch.from_numpy(clip.db).reshape(-1, NUM_MELS).to(device)
    if isinstance(net, FauForensics):
        aus = torch.from_numpy(fau_input(clip.aus, clip.features, net.config.num_features))
        video = net.encode_video(crops_to_unit(crops)[None], aus[None].to(device))[0]
        audio = net.encode_audio(normalise(db, torch.tensor(sound_peak_db(clip), device=device))[None])[0]
        seen, heard = (torch.stack([tokens[s : s + WINDOW_TICKS] for s in starts]) for tokens in (video, audio))
        return {head: answer.logit.float().cpu() for head, answer in net.judge(seen, heard).items()}
    kept = None if clip.features is None else torch.from_numpy(clip.features).to(device)
    found: dict[str, list[Tensor]] = defaultdict(list)
    for first in range(0, len(starts), _WINDOWS_AT_ONCE):
        part = starts[first : first + _WINDOWS_AT_ONCE]
        video = torch.stack([imagenet(crops[s : s + WINDOW_TICKS]).transpose(0, 1) for s in part])
        features = None if kept is None else torch.stack([kept[s : s + WINDOW_TICKS] for s in part])
        hops = [db[s * HOPS_PER_TICK : (s + WINDOW_TICKS) * HOPS_PER_TICK] for s in part]
        answers: dict[str, HeadOutput] = net(video, torch.stack([normalise(h, h.max())[None] for h in hops]), features=features)
        for head, answer in answers.items():
            found[head].append(answer.logit.float().cpu())
    return {head: torch.cat(parts) for head, parts in found.items()}


def auc_by_kind(judged: Sequence[Judged]) -> dict[str, float]:
    """Frame AUC "HEAD KIND" of each forgery kind against the real clips; pristine ticks of forged clips are left out."""
    real: dict[Modality, list[NDArray[np.float64]]] = defaultdict(list)
    fake: dict[tuple[Modality, str], list[NDArray[np.float64]]] = defaultdict(list)
    for one in judged:
        for head, logits in one.logits.items():
            if one.clip.is_real:
                real[head].append(logits)
            elif one.clip.asked[head] and one.clip.fake[head].any():
                fake[head, one.clip.truth.forgery].append(logits[one.clip.fake[head]])
    found = {}
    for (head, kind), parts in sorted(fake.items()):
        positive, negative = np.concatenate(parts), np.concatenate(real[head]) if real[head] else np.zeros(0)
        auc = roc_auc(np.r_[np.zeros(len(negative)), np.ones(len(positive))], np.r_[negative, positive])
        if auc is not None:
            found[f"{head} {kind}"] = round(auc, 5)
    return found


def selection_score(aucs: dict[str, float]) -> float:
    """What early stopping watches: the mean total AUC over kinds; without sound, the visual one."""
    total = [v for k, v in aucs.items() if k.startswith("total ")]
    return float(np.mean(total or list(aucs.values()) or [0.5]))
