"""The FauForensics network: encoders, aligner, pooler, heads, presets, checkpoints. torch only, no Arrow, no files but checkpoints."""

from fauforensics.checkpoint import load_checkpoint, save_checkpoint
from fauforensics.network import FauForensics
from fauforensics.presets import build

__all__ = ["FauForensics", "build", "load_checkpoint", "save_checkpoint"]
