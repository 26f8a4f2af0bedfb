"""The FauForensics network: encoders, aligner, pooler, heads, presets, checkpoints. torch only, no Arrow, no files but checkpoints."""

from fauforensics.checkpoint import load_checkpoint, save_checkpoint
from fauforensics.network import FauForensics
from fauforensics.presets import build
from fauforensics.reference import ReferenceFauForensics

__all__ = ["FauForensics", "ReferenceFauForensics", "build", "load_checkpoint", "save_checkpoint"]
