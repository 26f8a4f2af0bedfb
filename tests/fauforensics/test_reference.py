from __future__ import annotations

import copy
import json
import math
import zlib

import numpy as np
import pytest
import torch
from torch import Tensor

from fauforensics import ReferenceFauForensics, build
from fauforensics.encoders.resnet import FrozenFauEncoder
from fauforensics.encoders.whisper import sinusoids
from fauforensics.loss import three_head_loss
from fauforensics.pooler import similarity
from schemas.errors import CheckpointError
from tests.conftest import SHARED, needs_shared

PARITY = SHARED / "parity"
LABELS = {"audio": torch.tensor([0, 1]), "visual": torch.tensor([1, 0]), "total": torch.tensor([1, 1])}


def filled(own: dict[str, Tensor], salt: str) -> dict[str, Tensor]:
    """The deterministic weights of ../shared/parity/README.md, by published name."""
    return {name: as_built if _kept(name, as_built) else _draw(name, as_built, salt) for name, as_built in own.items()}


def _kept(name: str, tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or name.startswith("logit_scale") or name.endswith(("positional_embedding", "beta"))


def _draw(name: str, tensor: Tensor, salt: str) -> Tensor:
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(f"{salt}:{name}".encode())))
    x = torch.from_numpy(np.asarray(rng.standard_normal(tuple(tensor.shape), dtype=np.float32)))
    if name.endswith("running_var"):
        return 1 + 0.1 * x.abs()
    if name.endswith(("running_mean", "bias")):
        return 0.05 * x
    if name.endswith("gamma") or x.ndim == 1:
        return 1 + 0.1 * x
    return x if name == "queries" else x / math.sqrt(math.prod(x.shape[1:]))


def window(batch: int, seed: int = 20251) -> tuple[Tensor, Tensor]:
    rng = np.random.Generator(np.random.PCG64(seed))
    video = rng.standard_normal((batch, 3, 25, 112, 112), dtype=np.float32)
    return torch.from_numpy(video), torch.from_numpy(rng.uniform(-1, 1, (batch, 1, 100, 80)).astype(np.float32))


@pytest.fixture(scope="module")
def net() -> ReferenceFauForensics:
    net = build("reference").eval()
    net.load_reference(filled(net.export_reference(), "public"))
    return net


@pytest.fixture(scope="module")
def csn_sizes() -> list[tuple[int, ...]]:
    return []


@pytest.fixture(scope="module")
def details(net: ReferenceFauForensics, csn_sizes: list[tuple[int, ...]]) -> dict[str, Tensor]:
    hooks = [block.register_forward_hook(lambda _, __, out: csn_sizes.append(tuple(out.shape))) for block in net.video_encoder.blocks]
    with torch.inference_mode():
        answer = net(*window(2), details=True)
    for hook in hooks:
        hook.remove()
    return answer


@needs_shared
def test_equals_the_published_network(details: dict[str, Tensor]) -> None:
    from safetensors.torch import load_file

    expected = load_file(PARITY / "reference_public.safetensors")
    logits = {"audio": details["logit_audio"], "visual": details["logit_video"], "total": details["logit_total"]}
    ours = details | {"loss": three_head_loss(logits, LABELS)[None]}
    assert ours.keys() == expected.keys()
    for name, tensor in expected.items():
        assert ours[name].shape == tensor.shape, name
        apart = ours[name] - tensor
        assert float(apart.abs().max() / tensor.abs().max()) < 1e-5, name
        assert float(apart.norm() / tensor.norm()) < 1e-5, name


@needs_shared
def test_has_every_published_name_and_shape(net: ReferenceFauForensics) -> None:
    published = json.loads((PARITY / "state_dict_shapes.json").read_text())
    own = {name: [str(t.dtype).removeprefix("torch."), list(t.shape)] for name, t in net.export_reference().items()}
    assert own == published


def test_has_the_published_number_of_parameters(net: ReferenceFauForensics) -> None:
    def count(module: torch.nn.Module) -> int:
        return sum(p.numel() for p in module.parameters())

    # Research note, 2.9.
    assert count(net) == 68_023_785
    assert sum(p.numel() for p in net.parameters() if p.requires_grad) == 43_465_641
    assert count(net.fau_encoder) == 24_558_144 + 512
    assert count(net.video_encoder.blocks) == 21_394_176
    assert count(net.audio_encoder) == 19_822_592


def test_csn_keeps_every_frame(details: dict[str, Tensor], csn_sizes: list[tuple[int, ...]]) -> None:
    # Research note, 2.2.
    assert [size[2:] for size in csn_sizes] == [(25, side, side) for side in (28, 28, 14, 7, 4)]
    assert [size[1] for size in csn_sizes] == [64, 256, 512, 1024, 2048]
    assert details["z_video"].shape == details["z_fau"].shape == details["z_audio"].shape == (2, 25, 512)


def test_positions_are_the_first_of_whispers() -> None:
    whisper = sinusoids(1500, 512)
    assert torch.equal(sinusoids(50, 512), whisper[:50])
    # The formula, in double precision: channel 7 of 256 has the rate 10000 ** (-7 / 255).
    angle = 31 * 10_000 ** (-7 / 255)
    assert float(whisper[31, 7]) == pytest.approx(math.sin(angle), abs=1e-5)
    assert float(whisper[31, 256 + 7]) == pytest.approx(math.cos(angle), abs=1e-5)


def test_columns_of_every_matrix_have_unit_length(details: dict[str, Tensor]) -> None:
    for name in ("m_inter", "m_video", "m_audio"):
        torch.testing.assert_close(details[name].view(2, 25, 25).norm(dim=1), torch.ones(2, 25))


def test_temperatures_are_inert() -> None:
    rows, columns = torch.randn(2, 3, 25, 512, generator=torch.Generator().manual_seed(1))
    temperature = torch.tensor(math.log(1 / 0.07), requires_grad=True)
    matrix = similarity(rows, columns, temperature)
    torch.testing.assert_close(matrix, similarity(rows, columns))
    torch.testing.assert_close(matrix, similarity(rows, columns, torch.tensor(-1.0)))
    matrix.square().sum().backward()
    assert temperature.grad is not None and abs(float(temperature.grad)) < 1e-4


def test_evidence_sums_to_the_logit_and_details_agree_with_the_heads(net: ReferenceFauForensics, details: dict[str, Tensor]) -> None:
    with torch.inference_mode():
        answers = net.judge(details["z_video"] + details["z_fau"], details["z_audio"])
    assert set(answers) == {"total", "visual", "audio"}
    for head, published in (("total", "logit_total"), ("visual", "logit_video"), ("audio", "logit_audio")):
        answer = answers[head]
        assert answer.evidence.shape == (2, 25)
        torch.testing.assert_close(answer.evidence.sum(1), answer.logit, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(answer.logits, details[published])


def test_the_fau_encoder_may_run_once_a_tick(net: ReferenceFauForensics, details: dict[str, Tensor]) -> None:
    video, audio = window(2)
    with torch.inference_mode():
        ticks = net.fau_encoder.per_tick(video[0].transpose(0, 1)[5:9])
        torch.testing.assert_close(ticks, details["z_fau"][0, 5:9], rtol=1e-4, atol=1e-4)
        small, z_fau = video[:1, :, :, :16, :16], details["z_fau"][:1]
        torch.testing.assert_close(net.encode_video(small, z_fau), net.video_encoder(small) + z_fau)
        torch.testing.assert_close(net.encode_audio(audio), details["z_audio"], rtol=1e-4, atol=1e-4)


def test_a_train_step_leaves_the_fau_encoder_alone(net: ReferenceFauForensics) -> None:
    # The published loop lets its batch norms drift: research note, 4.1, point 2.
    trained = copy.deepcopy(net).train()
    trained.fau_encoder.input_px = 32
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    video, audio = torch.randn(2, 3, 25, 16, 16, generator=torch.Generator().manual_seed(2)), window(2)[1]
    optimiser = torch.optim.SGD([p for p in trained.parameters() if p.requires_grad], 1e-2)
    three_head_loss({head: answer.logits for head, answer in trained(video, audio).items()}, LABELS).backward()
    optimiser.step()
    changed = {name for name, tensor in trained.state_dict().items() if not torch.equal(tensor, before[name])}
    assert not [name for name in changed if name.startswith(("fau_encoder.backbone.", "fau_encoder.global_linear."))]
    frozen = [*trained.fau_encoder.backbone.parameters(), *trained.fau_encoder.global_linear.parameters()]
    assert all(p.grad is None for p in frozen)
    assert {"fau_encoder.norm.gamma", "queries", "video_encoder.blocks.0.norm.running_mean", "total_head.weight"} <= changed


def test_the_published_batch_statistics_are_there_for_those_who_want_them() -> None:
    frames, encoder = torch.randn(1, 3, 4, 32, 32), FrozenFauEncoder(512, 32, batch_stats=False)
    for batch_stats in (False, True):
        encoder.batch_stats = batch_stats
        encoder.train()
        before = encoder.backbone.bn1.running_mean.clone()
        encoder(frames)
        assert torch.equal(encoder.backbone.bn1.running_mean, before) is not batch_stats
        assert not encoder.eval().backbone.training


def test_frames_can_be_enlarged_for_the_fau_encoder() -> None:
    torch.manual_seed(4)
    encoder = FrozenFauEncoder(512, 64, batch_stats=False).eval()
    frames = torch.randn(2, 3, 32, 32)
    larger = torch.nn.functional.interpolate(frames, scale_factor=2, mode="bilinear", align_corners=False)
    with torch.inference_mode():
        torch.testing.assert_close(encoder.per_tick(frames), encoder.per_tick(larger))


def test_names_go_there_and_back(net: ReferenceFauForensics) -> None:
    published = net.export_reference()
    assert len(published) == len(net.state_dict()) == 1076
    other = build("reference")
    other.load_reference(published)
    there, here = other.state_dict(), net.state_dict()
    assert there.keys() == here.keys()
    assert all(torch.equal(tensor, here[name]) for name, tensor in there.items())


def test_whispers_text_decoder_is_ignored(net: ReferenceFauForensics) -> None:
    net.load_reference(net.export_reference() | {"AEncoder.decoder.ln.weight": torch.ones(512)})


def test_weights_that_do_not_fit_are_named_and_nothing_is_loaded(net: ReferenceFauForensics) -> None:
    before = net.queries.clone()
    state = net.export_reference() | {"queries": before.detach() + 1}
    lacking = {name: tensor for name, tensor in state.items() if not name.startswith("v_attn_pool.")}
    with pytest.raises(CheckpointError, match=r"7 missing \(v_attn_pool\.\S+, .* and 4 more\)"):
        net.load_reference(lacking)
    with pytest.raises(CheckpointError, match=r"2 unexpected \(video_encoder\.extra, mlp_joint\.bias\)"):
        net.load_reference(state | {"video_encoder.extra": torch.ones(1), "mlp_joint.bias": torch.ones(2)})
    ours = {"total_head.weight": torch.ones(2, 625)}  # our own name is not a published one
    with pytest.raises(CheckpointError, match=r"1 unexpected \(total_head\.weight\)"):
        net.load_reference(state | ours)
    with pytest.raises(CheckpointError, match=r"1 of another shape \(mlp_joint\.weight \(4, 625\) instead of \(2, 625\)\)"):
        net.load_reference(state | {"mlp_joint.weight": torch.ones(4, 625)})
    with pytest.raises(CheckpointError, match=r"1 hold NaN or infinity \(queries\)"):
        net.load_reference(state | {"queries": torch.full((25, 512), float("nan"))})
    assert torch.equal(net.queries, before)
