"""Names: what the published checkpoint calls each tensor of the reference preset."""

from __future__ import annotations

_PUBLISHED = {
    "queries": "queries",
    "temperatures.total": "logit_scale",
    "temperatures.visual": "logit_scale_v",
    "temperatures.audio": "logit_scale_a",
    "video_encoder.": "VEncoder_cnn.",
    "video_encoder.project.": "v_pool.",
    "video_encoder.norm.": "v_pool_norm.",
    "fau_encoder.": "FAUEncoder_cnn.",
    "fau_encoder.norm.": "au_pool_norm.",
    "audio_encoder.": "AEncoder.encoder.",
    "video_aligner.query_norm.": "v_attn_pool.norm.",
    "video_aligner.token_norm.": "v_attn_pool.context_norm.",
    "video_aligner.": "v_attn_pool.",
    "video_aligner.out_norm.": "v_attn_pool_norm.",
    "audio_aligner.query_norm.": "aud_attn_pool.norm.",
    "audio_aligner.token_norm.": "aud_attn_pool.context_norm.",
    "audio_aligner.": "aud_attn_pool.",
    "audio_aligner.out_norm.": "aud_attn_pool_norm.",
    "total_head.": "mlp_joint.",
    "visual_head.": "mlp_v.",
    "audio_head.": "mlp_a.",
}
"""Ours to published: whole names, and prefixes where they end in a dot. The longest that fits counts."""

UNUSED = "AEncoder.decoder."
"""Whisper's text decoder: published checkpoints may carry it, nothing runs it."""


def published_name(ours: str) -> str:
    """What the published checkpoint calls one of our tensors."""
    longest = max((key for key in _PUBLISHED if ours == key or (key.endswith(".") and ours.startswith(key))), key=len)
    return _PUBLISHED[longest] + ours[len(longest) :]
