from __future__ import annotations

import pickle
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fauforensics import ReferenceFauForensics, build
from fauforensics.pretrained import load_csn, load_fau, load_whisper
from schemas.errors import CheckpointError

Loader = Callable[[ReferenceFauForensics, Path], None]


@pytest.fixture(scope="module")
def net() -> ReferenceFauForensics:
    torch.manual_seed(0)
    return build("reference")


def value(name: str) -> float:
    return zlib.crc32(name.encode()) / 2**32 + 0.5


def theirs(names: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """One number for each tensor: a few bytes on the disk, whatever the shape."""
    return {
        prefix + name: torch.tensor(value(prefix + name)).expand(tensor.shape) if tensor.is_floating_point() else tensor.clone()
        for name, tensor in names.items()
    }


def csn(net: ReferenceFauForensics) -> dict[str, object]:
    head = {"blocks.5.proj.weight": torch.zeros(1).expand(400, 2048), "blocks.5.proj.bias": torch.zeros(400)}
    return {"model_state": theirs(net.video_encoder.blocks.state_dict(), "blocks.") | head, "epoch": 3}


def whisper(net: ReferenceFauForensics) -> dict[str, object]:
    own = {n: t.half() for n, t in theirs(net.audio_encoder.state_dict(), "encoder.").items()}
    unused = {"encoder.positional_embedding": torch.zeros(1).expand(1500, 512), "decoder.ln.weight": torch.ones(512)}
    return {"dims": {"n_mels": 80, "n_audio_state": 512}, "model_state_dict": own | unused}


def me_graphau(net: ReferenceFauForensics) -> dict[str, object]:
    own = {n: t for n, t in net.fau_encoder.state_dict().items() if not n.startswith("norm.")}
    unused = {"module.head.main_class_linears.0.fc.weight": torch.zeros(512, 512)}
    return {"epoch": 20, "state_dict": {f"module.{n}": t for n, t in theirs(own, "").items()} | unused}


CASES: list[tuple[Loader, Callable[[ReferenceFauForensics], dict[str, object]], str]] = [
    (load_csn, csn, "model_state"),
    (load_whisper, whisper, "model_state_dict"),
    (load_fau, me_graphau, "state_dict"),
]


def write(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def encoder(net: ReferenceFauForensics, load: Loader) -> tuple[nn.Module, str]:
    return {
        load_csn: (net.video_encoder.blocks, "blocks."),
        load_whisper: (net.audio_encoder, "encoder."),
        load_fau: (net.fau_encoder, ""),
    }[load]


@pytest.mark.parametrize(("load", "content", "key"), CASES)
def test_every_tensor_finds_its_place(
    net: ReferenceFauForensics, tmp_path: Path, load: Loader, content: Callable[..., dict[str, object]], key: str
) -> None:
    module, prefix = encoder(net, load)
    mine = {id(t) for t in module.state_dict(keep_vars=True).values()}
    others = {n: t.clone() for n, t in net.state_dict(keep_vars=True).items() if id(t) not in mine}
    positions, gain = net.audio_encoder.positional_embedding.clone(), net.fau_encoder.norm.gamma.clone()
    load(net, write(tmp_path / "weights.pth", content(net)))
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and name != "positional_embedding" and not name.startswith("norm."):
            torch.testing.assert_close(tensor, torch.full_like(tensor, value(prefix + name)), rtol=1e-3, atol=0)
    assert torch.equal(net.audio_encoder.positional_embedding, positions)
    assert torch.equal(net.fau_encoder.norm.gamma, gain)
    now = net.state_dict()
    assert all(torch.equal(now[n], t) for n, t in others.items())
    assert not any(p.requires_grad for p in net.fau_encoder.backbone.parameters())
    assert all(p.dtype == torch.float32 for p in net.parameters())


@pytest.mark.parametrize(("load", "content", "key"), CASES)
def test_names_must_be_exactly_those(
    net: ReferenceFauForensics, tmp_path: Path, load: Loader, content: Callable[..., dict[str, object]], key: str
) -> None:
    whole = content(net)
    weights = dict(whole[key])  # type: ignore[call-overload]
    gone = next(name for name in weights if name.endswith("weight"))
    del weights[gone]
    with pytest.raises(CheckpointError, match=r"1 missing .*; 1 unexpected \(\S*surprise\)"):
        load(net, write(tmp_path / "renamed.pth", whole | {key: weights | {"surprise": torch.ones(1)}}))
    with pytest.raises(CheckpointError, match=f"no tensors under {key!r}"):
        load(net, write(tmp_path / "bare.pth", {"other": weights}))


@pytest.mark.parametrize(("load", "content", "key"), CASES)
def test_another_architecture_is_refused(
    net: ReferenceFauForensics, tmp_path: Path, load: Loader, content: Callable[..., dict[str, object]], key: str
) -> None:
    whole = content(net)
    # As Whisper tiny, ResNet-18 or a CSN of half the width would be.
    narrow = {n: t[: max(1, t.shape[0] // 2)] if t.ndim else t for n, t in whole[key].items()}  # type: ignore[attr-defined]
    with pytest.raises(CheckpointError, match=r"of another shape .* instead of "):
        load(net, write(tmp_path / "narrow.pth", whole | {key: narrow}))


@pytest.mark.parametrize(("load", "content", "key"), CASES)
def test_a_truncated_file_is_refused(
    net: ReferenceFauForensics, tmp_path: Path, load: Loader, content: Callable[..., dict[str, object]], key: str
) -> None:
    path = write(tmp_path / "weights.pth", content(net))
    data = path.read_bytes()
    for size in (0, 5, 1000, len(data) // 2, len(data) - 3):
        path.write_bytes(data[:size])
        with pytest.raises(CheckpointError, match="damaged"):
            load(net, path)
    path.write_bytes(b"Quota exceeded" * 100)  # what a failed download leaves
    with pytest.raises(CheckpointError, match="damaged"):
        load(net, path)


class Bomb:
    """Writes a file where it is unpickled."""

    def __init__(self, fuse: Path) -> None:
        self.fuse = fuse

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, (f"open({str(self.fuse)!r}, 'w')",))


@pytest.mark.parametrize("load", [load_csn, load_whisper, load_fau])
def test_code_in_a_pickle_is_not_run(net: ReferenceFauForensics, tmp_path: Path, load: Loader) -> None:
    content = {"state_dict": Bomb(tmp_path / "boom"), "model_state": Bomb(tmp_path / "boom")}
    files = [write(tmp_path / "new.pth", content), tmp_path / "old.pth", tmp_path / "plain.pth"]
    torch.save(content, files[1], _use_new_zipfile_serialization=False)
    files[2].write_bytes(pickle.dumps(content, 2))
    for path in files:
        with pytest.raises(CheckpointError, match=r"can run code.*not opened"):
            load(net, path)
    assert not (tmp_path / "boom").exists()


def test_a_missing_file_is_named(net: ReferenceFauForensics, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file; it should be Whisper base"):
        load_whisper(net, tmp_path / "base.pt")
