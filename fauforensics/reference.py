"""FauForensics, preset `reference`: the published network, tensor for tensor (research note, section 2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, overload

import torch
from torch import Tensor, nn

from fauforensics.config import ReferenceConfig
from fauforensics.encoders.csn import CsnVideoEncoder
from fauforensics.encoders.resnet import FrozenFauEncoder
from fauforensics.encoders.whisper import WhisperAudioEncoder
from fauforensics.fitting import load_fitting
from fauforensics.network import HeadOutput, Network
from fauforensics.reference_names import UNUSED, published_name

DIM, HEADS, HEAD_DIM, TICKS, MELS = 512, 8, 64, 25, 80
PICTURE_PX = 112
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""What its encoders see: research note, section 3.2."""


class ReferenceFauForensics(Network):
    """One window at a time: every encoder but the FAU encoder looks at the whole second."""

    video_encoder: CsnVideoEncoder
    fau_encoder: FrozenFauEncoder
    audio_encoder: WhisperAudioEncoder

    def __init__(self, config: ReferenceConfig) -> None:
        super().__init__(
            CsnVideoEncoder(DIM),
            FrozenFauEncoder(DIM, config.fau_input_px, config.fau_batch_stats),
            WhisperAudioEncoder(DIM, MELS, hops=4 * TICKS),
            *(DIM, HEADS, HEAD_DIM, TICKS),
        )
        self.config = config
        for head in ("total", "visual", "audio"):
            self.temperatures[head] = nn.Parameter(torch.tensor(math.log(1 / 0.07)))  # inert: see the pooler

    def encode_video(self, video: Tensor, z_fau: Tensor | None = None) -> Tensor:
        """Z_v = Z_vid + Z_au.

        Args:
            video: (B, 3, 25, 112, 112), ImageNet mean and deviation.
            z_fau: (B, 25, 512) where `fau_encoder.per_tick` has already seen these frames in another window.
        """
        tokens: Tensor = self.video_encoder(video) + (self.fau_encoder(video) if z_fau is None else z_fau)
        return tokens

    def encode_audio(self, log_mel: Tensor) -> Tensor:
        """Z_a: log_mel (B, 1, 100, 80) in [-1, 1] to (B, 25, 512)."""
        tokens: Tensor = self.audio_encoder(log_mel)
        return tokens

    @overload
    def forward(
        self, video: Tensor, audio: Tensor, details: Literal[False] = False, features: Tensor | None = None
    ) -> dict[str, HeadOutput]: ...
    @overload
    def forward(self, video: Tensor, audio: Tensor, details: Literal[True], features: Tensor | None = None) -> dict[str, Tensor]: ...
    def forward(
        self, video: Tensor, audio: Tensor, details: bool = False, features: Tensor | None = None
    ) -> dict[str, HeadOutput] | dict[str, Tensor]:
        """The heads' answers on B windows.

        Args:
            video: (B, 3, 25, 112, 112), ImageNet mean and deviation.
            audio: (B, 1, 100, 80), from `frontend.log_mel`.
            details: every tensor of the paper's figure instead, under the names of the parity cases.
            features: (B, 25, 512) where `fau_encoder.features` has already seen these frames; the trunk does not run then.
        """
        z_fau = self.fau_encoder(video) if features is None else self.fau_encoder.norm(features)
        return self._answer(self.video_encoder(video), z_fau, self.audio_encoder(audio), details)

    def load_reference(self, state: Mapping[str, Tensor], source: str = "published checkpoint") -> None:
        """Takes weights by their published names; Whisper's unused text decoder may be among them.

        Raises:
            CheckpointError: names are missing, unexpected or of another shape; nothing is loaded then.
        """
        used = {name: tensor for name, tensor in state.items() if not name.startswith(UNUSED)}
        load_fitting(self, used, source, published_name)

    def export_reference(self) -> dict[str, Tensor]:
        """The weights under their published names: what `load_reference` takes."""
        return {published_name(name): tensor for name, tensor in self.state_dict().items()}
