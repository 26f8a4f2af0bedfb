"""Pre-trained encoders: the public weights that the reference preset starts from (research note, section 2.10)."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fauforensics.encoders.resnet import FrozenFauEncoder
from fauforensics.fitting import load_fitting
from fauforensics.reference import ReferenceFauForensics
from schemas.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a public file is laid out: where its tensors are, what its names begin with, and what is not shared with the network."""

    what: str
    key: str
    prefix: str
    theirs_alone: tuple[str, ...]
    ours_alone: tuple[str, ...]


_CSN = _Layout("CSN-R101 of pytorchvideo", "model_state", "blocks.", ("blocks.5.",), ())
_WHISPER = _Layout("Whisper base", "model_state_dict", "encoder.", ("encoder.positional_embedding", "decoder."), ("positional_embedding",))
_ME_GRAPHAU = _Layout("ME-GraphAU or OpenGraphAU with ResNet-50", "state_dict", "", ("head.",), ("norm.",))


def load_csn(net: ReferenceFauForensics, path: Path) -> None:
    """Kinetics-400 weights, `CSN_32x2_R101.pyth`. They serve temporal stride 1 as they are: a stride has no weights.

    Raises:
        CheckpointError: unreadable, with code in it, or not exactly this network's weights. So do the other two.
    """
    _load(net.video_encoder.blocks, path, _CSN)


def load_whisper(net: ReferenceFauForensics, path: Path) -> None:
    """OpenAI's multilingual `base.pt`; half precision is widened, the fixed positions are our own."""
    _load(net.audio_encoder, path, _WHISPER)


def load_fau(net: ReferenceFauForensics, path: Path) -> None:
    """ResNet-50 of ME-GraphAU or OpenGraphAU; both were trained at 224 pixels: `build("reference", fau_input_px=224)`."""
    load_fau_encoder(net.fau_encoder, path)


def load_fau_encoder(encoder: FrozenFauEncoder, path: Path) -> None:
    """The same into an encoder that stands by itself."""
    _load(encoder, path, _ME_GRAPHAU)


def _load(module: nn.Module, path: Path, layout: _Layout) -> None:
    def theirs(name: str) -> str:
        return layout.prefix + name

    # Counters of batches that batch norm does not read; files of old torch versions lack them.
    kept = {theirs(n): t for n, t in module.state_dict().items() if n.startswith(layout.ours_alone) or n.endswith("num_batches_tracked")}
    named = {name.removeprefix("module."): tensor for name, tensor in _open(path, layout).items()}
    shared = {name: tensor for name, tensor in named.items() if not name.startswith(layout.theirs_alone)}
    load_fitting(module, kept | shared, f"{path}, which should be {layout.what}", theirs)


def _open(path: Path, layout: _Layout) -> dict[str, Tensor]:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; it should be {layout.what}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"{path}: holds Python objects, which can run code, or is damaged; it was not opened. {layout.what} needs tensors alone"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise CheckpointError(f"{path}: damaged, or not a file that torch wrote; it should be {layout.what}") from None
    tensors = content.get(layout.key) if isinstance(content, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(n, str) and isinstance(t, Tensor) for n, t in tensors.items()):
        raise CheckpointError(f"{path}: has no tensors under {layout.key!r}; it should be {layout.what}")
    return tensors
