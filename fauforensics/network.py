"""FauForensics: the network as the paper draws it. Encoders, query-shared aligner, temporal attentional pooler, three heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from fauforensics.aligner import QueryAligner
from fauforensics.encoders.audio import LiteAudioEncoder
from fauforensics.encoders.fau import LiteFauEncoder
from fauforensics.encoders.video import LiteVideoEncoder
from fauforensics.evidence import split_logit
from fauforensics.heads import FAKE, REAL, Head
from fauforensics.pooler import similarity

_CODE_RMS = 0.5  # of a place's code, where a token's own is 1
_SHARPNESS = 0.6  # of the attention at the start: slot i puts about nine tenths on tick i


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Sizes of a preset; stored with its weights."""

    preset: Literal["lite"] = "lite"
    dim: int = 128
    heads: int = 4
    head_dim: int = 32
    window_ticks: int = 25
    video_width: int = 16
    crop_px: int = 80
    kernel: int = 5
    num_aus: int = 20
    num_mels: int = 80


@dataclass(slots=True)
class HeadOutput:
    """What one head says of B windows: logits (B, 2) real and fake, and its logit split over ticks (B, T)."""

    logits: Tensor
    evidence: Tensor

    @property
    def logit(self) -> Tensor:
        """(B,) fake minus real."""
        return self.logits[:, FAKE] - self.logits[:, REAL]


class FauForensics(nn.Module):
    """Encoders run over whole tracks, once a tick; `judge` slides over their tokens in windows of 25."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = c = config
        self.video_encoder = LiteVideoEncoder(c.dim, c.video_width, c.kernel)
        self.fau_encoder = LiteFauEncoder(c.dim, c.num_aus, c.kernel)
        self.audio_encoder = LiteAudioEncoder(c.dim, c.num_mels, c.kernel)
        self.queries = nn.Parameter(torch.randn(c.window_ticks, c.dim))
        self.video_aligner = QueryAligner(c.dim, c.heads, c.head_dim)
        self.audio_aligner = QueryAligner(c.dim, c.heads, c.head_dim)
        self.total_head, self.visual_head, self.audio_head = Head(c.window_ticks), Head(c.window_ticks), Head(c.window_ticks)
        # The aligner is blind to order. In the published network the encoders mark each token's place in the window;
        # here they run over whole tracks, so the place is added when a window is cut.
        self.positions = nn.Parameter(torch.zeros(c.window_ticks, c.dim))
        self._start_in_order()

    @torch.no_grad()
    def _start_in_order(self) -> None:
        """Sets weights so that slot i first reads tick i.

        From random weights every slot reads the mean of the window, all similarities are equal, and small data never
        gets away from there (research note, section 4.1, point 6). Places are orthogonal codes; keys and queries begin
        by looking at the codes alone. Training is free to change all of it.
        """
        c = self.config
        codes = torch.linalg.qr(torch.randn(c.dim, c.window_ticks)).Q.T  # (25, dim), orthonormal
        self.positions.copy_(codes * (c.dim**0.5 * _CODE_RMS))
        self.queries.copy_(codes * c.dim**0.5)
        for aligner in (self.video_aligner, self.audio_aligner):
            look = torch.zeros(c.head_dim, c.dim)
            look[: c.window_ticks] = codes
            aligner.to_kv.weight[: c.head_dim] = look
            aligner.to_q.weight.copy_((look * _SHARPNESS).repeat(c.heads, 1))

    def encode_video(self, crops: Tensor, aus: Tensor) -> Tensor:
        """Z_v = Z_vid + Z_au: crops (B, T, 3, 80, 80) in [-1, 1] and aus (B, T, 20) to (B, T, dim)."""
        return self.video_encoder(crops) + self.fau_encoder(aus)

    def encode_audio(self, log_mel: Tensor) -> Tensor:
        """Z_a: log_mel (B, 4 T, 80) in [-1, 1] to (B, T, dim)."""
        tokens: Tensor = self.audio_encoder(log_mel)
        return tokens

    def judge(self, video: Tensor | None, audio: Tensor | None) -> dict[str, HeadOutput]:
        """Heads' answers on B windows.

        Args:
            video: (B, 25, dim) tokens of one window each, or None.
            audio: the same of the sound, or None.

        Returns:
            `visual` where there is video, `audio` where there is sound, `total` where there are both.
        """
        answers = {}
        if video is not None:
            q_video, a_video = self.video_aligner(self.queries, video + self.positions)  # (B, 25, dim), (B, 25, 25)
            answers["visual"] = _ask(self.visual_head, similarity(q_video, q_video), a_video, a_video)
        if audio is not None:
            q_audio, a_audio = self.audio_aligner(self.queries, audio + self.positions)
            answers["audio"] = _ask(self.audio_head, similarity(q_audio, q_audio), a_audio, a_audio)
        if video is not None and audio is not None:
            answers["total"] = _ask(self.total_head, similarity(q_video, q_audio), a_video, a_audio)
        return answers


def _ask(head: Head, matrix: Tensor, row_attention: Tensor, column_attention: Tensor) -> HeadOutput:
    return HeadOutput(head(matrix), split_logit(head.contrast(), matrix, row_attention, column_attention))
