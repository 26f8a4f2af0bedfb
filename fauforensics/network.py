"""FauForensics: the network as the paper draws it. Encoders, query-shared aligner, temporal attentional pooler, three heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, overload

import torch
from torch import Tensor, nn

from fauforensics.aligner import QueryAligner
from fauforensics.config import NetworkConfig
from fauforensics.encoders.audio import LiteAudioEncoder
from fauforensics.encoders.fau import LiteFauEncoder
from fauforensics.encoders.video import LiteVideoEncoder
from fauforensics.evidence import split_logit
from fauforensics.heads import FAKE, REAL, Head
from fauforensics.pooler import similarity

_CODE_RMS = 0.5  # of a place's code, where a token's own is 1
_SHARPNESS = 0.6  # of the attention at the start: slot i puts about nine tenths on tick i


@dataclass(slots=True)
class HeadOutput:
    """What one head says of B windows.

    logits (B, 2), real and fake; evidence (B, T), the logit split over ticks; matrix (B, Q, Q), what the head judged.
    """

    logits: Tensor
    evidence: Tensor
    matrix: Tensor

    @property
    def logit(self) -> Tensor:
        """(B,) fake minus real."""
        return self.logits[:, FAKE] - self.logits[:, REAL]


class Aligned(NamedTuple):
    """What the queries read of one modality: features (B, Q, dim), and attention (B, Q, T), from which tick."""

    features: Tensor
    attention: Tensor


class Network(nn.Module):
    """The paper's figure; a preset fills in the encoders.

    Args:
        video_encoder: pixels to Z_vid.
        fau_encoder: action units, or the pixels that show them, to Z_au.
        audio_encoder: log-mel to Z_a.
        dim: width of tokens and queries.
        heads: query heads of each aligner.
        head_dim: width of each head.
        slots: queries; as many as a window has ticks.
    """

    def __init__(
        self, video_encoder: nn.Module, fau_encoder: nn.Module, audio_encoder: nn.Module, dim: int, heads: int, head_dim: int, slots: int
    ) -> None:
        super().__init__()
        self.video_encoder, self.fau_encoder, self.audio_encoder = video_encoder, fau_encoder, audio_encoder
        self.queries = nn.Parameter(torch.randn(slots, dim))
        self.video_aligner = QueryAligner(dim, heads, head_dim)
        self.audio_aligner = QueryAligner(dim, heads, head_dim)
        self.temperatures = nn.ParameterDict()  # of the pooler: total, visual, audio, where the preset has them
        self.total_head, self.visual_head, self.audio_head = Head(slots), Head(slots), Head(slots)

    def judge(self, video: Tensor | None, audio: Tensor | None) -> dict[str, HeadOutput]:
        """Heads' answers on B windows.

        Args:
            video: (B, 25, dim) tokens of one window each, or None.
            audio: the same of the sound, or None.

        Returns:
            `visual` where there is video, `audio` where there is sound, `total` where there are both.
        """
        read_video = None if video is None else self._read(self.video_aligner, video)
        read_audio = None if audio is None else self._read(self.audio_aligner, audio)
        return self._compare(read_video, read_audio)

    def _read(self, aligner: QueryAligner, tokens: Tensor) -> Aligned:
        return Aligned(*aligner(self.queries, tokens))

    def _compare(self, video: Aligned | None, audio: Aligned | None) -> dict[str, HeadOutput]:
        answers = {}
        if video is not None:
            answers["visual"] = self._ask("visual", self.visual_head, video, video)
        if audio is not None:
            answers["audio"] = self._ask("audio", self.audio_head, audio, audio)
        if video is not None and audio is not None:
            answers["total"] = self._ask("total", self.total_head, video, audio)
        return answers

    def _ask(self, name: str, head: Head, rows: Aligned, columns: Aligned) -> HeadOutput:
        matrix = similarity(rows.features, columns.features, self.temperatures.get(name))  # (B, Q, Q)
        return HeadOutput(head(matrix), split_logit(head.contrast(), matrix, rows.attention, columns.attention), matrix)

    @overload
    def _answer(self, z_video: Tensor, z_fau: Tensor, z_audio: Tensor, details: Literal[False]) -> dict[str, HeadOutput]: ...
    @overload
    def _answer(self, z_video: Tensor, z_fau: Tensor, z_audio: Tensor, details: Literal[True]) -> dict[str, Tensor]: ...
    @overload
    def _answer(self, z_video: Tensor, z_fau: Tensor, z_audio: Tensor, details: bool) -> dict[str, HeadOutput] | dict[str, Tensor]: ...
    def _answer(self, z_video: Tensor, z_fau: Tensor, z_audio: Tensor, details: bool) -> dict[str, HeadOutput] | dict[str, Tensor]:
        """From the encoders' outputs to the heads; with details, every tensor of the figure, matrices flattened to (B, Q * Q)."""
        video = self._read(self.video_aligner, z_video + z_fau)  # research note, 2.3: a plain sum
        audio = self._read(self.audio_aligner, z_audio)
        answers = self._compare(video, audio)
        if not details:
            return answers
        return {
            "z_video": z_video,
            "z_fau": z_fau,
            "z_audio": z_audio,
            "q_video": video.features,
            "q_audio": audio.features,
            "m_inter": answers["total"].matrix.flatten(1),
            "m_video": answers["visual"].matrix.flatten(1),
            "m_audio": answers["audio"].matrix.flatten(1),
            "logit_total": answers["total"].logits,
            "logit_video": answers["visual"].logits,
            "logit_audio": answers["audio"].logits,
        }


class FauForensics(Network):
    """The lite preset. Encoders run over whole tracks, once a tick; `judge` slides over their tokens in windows of 25."""

    video_encoder: LiteVideoEncoder
    fau_encoder: LiteFauEncoder
    audio_encoder: LiteAudioEncoder

    def __init__(self, config: NetworkConfig) -> None:
        c = config
        super().__init__(
            LiteVideoEncoder(c.dim, c.video_width, c.kernel, c.crop_px),
            LiteFauEncoder(c.dim, c.num_aus, c.kernel, c.num_features),
            LiteAudioEncoder(c.dim, c.num_mels, c.kernel),
            *(c.dim, c.heads, c.head_dim, c.window_ticks),
        )
        self.config = config
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
        """Z_v = Z_vid + Z_au: crops (B, T, 3, px, px) in [-1, 1] and aus (B, T, 20 + num_features) to (B, T, dim)."""
        tokens: Tensor = self.video_encoder(crops) + self.fau_encoder(aus)
        return tokens

    def encode_audio(self, log_mel: Tensor) -> Tensor:
        """Z_a: log_mel (B, 4 T, 80) in [-1, 1] to (B, T, dim)."""
        tokens: Tensor = self.audio_encoder(log_mel)
        return tokens

    def _read(self, aligner: QueryAligner, tokens: Tensor) -> Aligned:
        return super()._read(aligner, tokens + self.positions)

    @overload
    def forward(self, crops: Tensor, aus: Tensor, log_mel: Tensor, details: Literal[False] = False) -> dict[str, HeadOutput]: ...
    @overload
    def forward(self, crops: Tensor, aus: Tensor, log_mel: Tensor, details: Literal[True]) -> dict[str, Tensor]: ...
    def forward(self, crops: Tensor, aus: Tensor, log_mel: Tensor, details: bool = False) -> dict[str, HeadOutput] | dict[str, Tensor]:
        """One window each: crops (B, 25, 3, px, px), aus (B, 25, 20), log_mel (B, 100, 80); see `Network` for the answers."""
        return self._answer(self.video_encoder(crops), self.fau_encoder(aus), self.audio_encoder(log_mel), details)
