"""Objective: what a batch costs. One module for each preset, so that several workers can share its gradients."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fauforensics.loss import three_head_loss
from fauforensics.network import FauForensics, HeadOutput
from fauforensics.reference import IMAGENET_MEAN, IMAGENET_STD, PICTURE_PX, ReferenceFauForensics
from pipelines.train.batches import Batch
from pipelines.train.dataset import HEADS
from schemas.timebase import WINDOW_TICKS
from schemas.train import Phase, TrainParams
from schemas.truth import Modality

_SPEECH_FROM = 0.3  # without speech nobody can tell whether sound and lips belong together
_SYNC_TEMPERATURE = 0.1
_EVIDENCE_SCALE = float(WINDOW_TICKS)  # evidence of a tick, times 25, is on the scale of a logit


class LiteObjective(nn.Module):
    """Encoders over whole stretches, heads on windows of them."""

    def __init__(self, net: FauForensics, params: TrainParams) -> None:
        super().__init__()
        self.net, self.params = net, params
        self.picture = nn.Linear(net.config.dim, 1)
        self._starts = range(0, params.stretch_ticks - WINDOW_TICKS + 1, params.window_stride_ticks)

    def forward(self, batch: Batch, phase: Phase) -> Tensor:
        """The loss of a batch. In phase `au` the video tokens are those of the action units alone; `picture` has no tokens."""
        p, net = self.params, self.net
        if phase == "picture":
            pictures = vary_pixels(batch)
            return self._picture_loss(net.video_encoder.per_tick(pictures.flatten(0, 1)).view(*pictures.shape[:2], -1), batch)
        aus = batch.aus if batch.features is None else torch.cat([batch.aus, batch.features], dim=-1)
        aus = aus.masked_fill(batch.time_mask[:, :, None], float("nan"))
        video, picture_loss = net.fau_encoder(aus), video_zero(batch)
        if phase == "whole":
            pictures = vary_pixels(batch)
            features = net.video_encoder.per_tick(pictures.flatten(0, 1)).view(*pictures.shape[:2], -1)
            video = video + net.video_encoder.over_time(features)
            picture_loss = self._picture_loss(features, batch)
        audio = net.encode_audio(batch.log_mel)
        seen, heard = self._windows(video), self._windows(audio)
        answers = net.judge(seen, heard)
        speech = self._windows(batch.speech).float().mean(1) >= _SPEECH_FROM
        loss = heads_loss(answers, {h: self._windows(f) for h, f in batch.fake.items()}, self._asked(batch), speech, p)
        loss = loss + p.loss_picture * picture_loss
        real = speech & ~torch.stack([self._windows(f).any(1) for f in batch.fake.values()]).any(0)
        if p.loss_sync and int(real.sum()) > 1:
            loss = loss + p.loss_sync * self._sync_loss(seen[real], heard[real])
        return loss

    def _windows(self, ticks: Tensor) -> Tensor:
        return torch.cat([ticks[:, s : s + WINDOW_TICKS] for s in self._starts])

    def _asked(self, batch: Batch) -> dict[Modality, Tensor]:
        return {head: flags.repeat(len(self._starts)) for head, flags in batch.asked.items()}

    def _picture_loss(self, features: Tensor, batch: Batch) -> Tensor:
        known = batch.asked["visual"][:, None] & ~batch.time_mask
        if not known.any():
            return video_zero(batch)
        return F.binary_cross_entropy_with_logits(self.picture(features)[..., 0][known], batch.fake["visual"][known].float())

    def _sync_loss(self, video: Tensor, audio: Tensor) -> Tensor:
        """What slot i saw must be more like what slot i heard than what it heard in the other windows.

        Slots of the same window are no use as negatives, since their place gives them away.
        """
        net = self.net
        seen = F.normalize(net.video_aligner(net.queries, video + net.positions)[0], dim=-1)
        heard = F.normalize(net.audio_aligner(net.queries, audio + net.positions)[0], dim=-1)
        likeness = torch.einsum("bqd,cqd->qbc", seen, heard) / _SYNC_TEMPERATURE  # (Q, B, B)
        own = torch.arange(len(video), device=video.device).repeat(WINDOW_TICKS)
        return F.cross_entropy(likeness.flatten(0, 1), own) + F.cross_entropy(likeness.transpose(1, 2).flatten(0, 1), own)


class ReferenceObjective(nn.Module):
    """One window of 25 ticks a stretch, as published."""

    def __init__(self, net: ReferenceFauForensics, params: TrainParams) -> None:
        super().__init__()
        self.net, self.params = net, params

    def forward(self, batch: Batch, phase: Phase) -> Tensor:  # noqa: ARG002 - one signature for both
        """The published loss, with heads left out that can't know."""
        window = slice(0, WINDOW_TICKS)
        answers = self.net(*reference_inputs(batch), features=self._features(batch))
        speech = batch.speech[:, window].float().mean(1) >= _SPEECH_FROM
        return heads_loss(answers, {h: f[:, window] for h, f in batch.fake.items()}, batch.asked, speech, self.params)

    def _features(self, batch: Batch) -> Tensor | None:
        """(B, 25, 512): those that were kept, and under the time mask those of a blank frame."""
        if batch.features is None:
            return None
        with torch.no_grad():
            blank = self.net.fau_encoder.features(batch.features.new_zeros(1, 3, PICTURE_PX, PICTURE_PX))
        kept, masked = batch.features[:, :WINDOW_TICKS], batch.time_mask[:, :WINDOW_TICKS, None]
        return torch.where(masked, blank.to(kept.dtype), kept)


def heads_loss(
    answers: dict[str, HeadOutput], fake: Mapping[Modality, Tensor], asked: Mapping[Modality, Tensor], speech: Tensor, params: TrainParams
) -> Tensor:
    """Cross-entropy of the three heads on W windows, and of the evidence on their ticks (research note, section 2.8).

    Args:
        answers: logits (W, 2) and evidence (W, 25) by head.
        fake: (W, 25) bool by head.
        asked: (W,) bool by head: whether it can know.
        speech: (W,) bool: whether somebody speaks; without speech only sight can tell.
        params: weights; a window counts as fake from `fake_from` on.
    """
    weight: dict[str, float] = {"total": params.loss_total, "visual": params.loss_visual, "audio": params.loss_audio}
    share: dict[str, Tensor] = {head: flags.float().mean(1) for head, flags in fake.items()}
    labels = {head: (s >= params.fake_from).long() for head, s in share.items()}
    # A wrong sound shows where somebody speaks; a wrong picture always.
    able: dict[str, Tensor] = {
        **{str(head): known for head, known in asked.items()},
        "total": asked["total"] & (speech | (labels["visual"] == 1) | (labels["total"] == 0)),
    }
    clear = {head: able[head] & ((share[head] >= params.fake_from) | (share[head] == 0)) for head in weight}
    loss = three_head_loss({head: answers[head].logits.float() for head in weight}, labels, clear, weight)
    for head in HEADS:
        if params.loss_evidence and able[head].any():
            factor, flags = weight[head], fake[head][able[head]]
            ticks = answers[head].evidence[able[head]].float() * _EVIDENCE_SCALE
            loss = loss + factor * params.loss_evidence * F.binary_cross_entropy_with_logits(ticks, flags.float())
    return loss


def vary_pixels(batch: Batch) -> Tensor:
    """(B, T, 3, px, px) float32 in [-1, 1]: colour, erased box, time mask."""
    assert batch.crops is not None  # noqa: S101 - callers ask for pixels
    x = batch.crops.float() / 127.5 - 1
    x = (x * batch.gain[:, None, :, None, None] + batch.offset[:, None, :, None, None]).clamp(-1, 1)
    return _blank(x, batch)


def reference_inputs(batch: Batch) -> tuple[Tensor, Tensor]:
    """video (B, 3, 25, 112, 112) ImageNet-normalised, audio (B, 1, 100, 80); blanking comes after normalisation."""
    assert batch.crops is not None  # noqa: S101
    mean, std = (torch.tensor(v, device=batch.crops.device).view(1, 1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    video = _blank((batch.crops.float() / 255 - mean) / std, batch)
    return video[:, :WINDOW_TICKS].transpose(1, 2), batch.log_mel[:, None, : 4 * WINDOW_TICKS]


def _blank(x: Tensor, batch: Batch) -> Tensor:
    px = torch.arange(x.shape[-1], device=x.device)
    left, top, right, bottom = batch.erase.unbind(1)
    columns = (px >= left[:, None]) & (px < right[:, None])  # (B, px)
    rows = (px >= top[:, None]) & (px < bottom[:, None])
    box = (rows[:, :, None] & columns[:, None, :])[:, None, None]  # (B, 1, 1, px, px)
    return x.masked_fill(box | batch.time_mask[:, :, None, None, None], 0.0)


def video_zero(batch: Batch) -> Tensor:
    """A zero on the batch's device."""
    return batch.aus.new_zeros(())
