from __future__ import annotations

import pytest
import torch

from fauforensics import FauForensics, build
from fauforensics.aligner import QueryAligner
from fauforensics.pooler import off_diagonal_std, similarity


@pytest.fixture(scope="module")
def net() -> FauForensics:
    torch.manual_seed(3)
    return build("lite").eval()


def tokens(batch: int, seed: int) -> torch.Tensor:
    return torch.randn(batch, 25, 128, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("head", ["total", "audio", "visual"])
def test_evidence_sums_to_the_logit(net: FauForensics, head: str) -> None:
    for parameter in (net.total_head.weight, net.audio_head.weight, net.visual_head.weight):
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        answer = net.judge(tokens(6, 1), tokens(6, 2))[head]
    assert answer.evidence.shape == (6, 25)
    torch.testing.assert_close(answer.evidence.sum(1), answer.logit, rtol=1e-4, atol=1e-4)


def test_evidence_points_at_the_tick_that_a_slot_reads() -> None:
    from fauforensics.evidence import split_logit

    contrast, matrix = torch.zeros(25, 25), torch.zeros(1, 25, 25)
    contrast[3, 7], matrix[0, 3, 7] = 2.0, 0.5
    row, column = torch.eye(25)[None], torch.eye(25).roll(1, dims=1)[None]  # column slot j reads tick j + 1
    evidence = split_logit(contrast, matrix, row, column)[0]
    assert evidence[3] == 0.5 and evidence[8] == 0.5
    assert float(evidence.sum()) == 1.0


def test_attention_rows_sum_to_one(net: FauForensics) -> None:
    with torch.inference_mode():
        _, attention = net.video_aligner(net.queries, tokens(2, 4))
    assert attention.shape == (2, 25, 25)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 25))


def test_the_matrix_has_columns_of_unit_length() -> None:
    matrix = similarity(tokens(3, 5), tokens(3, 6))
    torch.testing.assert_close(matrix.norm(dim=1), torch.ones(3, 25))


def test_a_matrix_that_says_nothing_has_no_deviation() -> None:
    alike = torch.randn(3, 1, 128, generator=torch.Generator().manual_seed(1)).expand(3, 25, 128)
    assert float(off_diagonal_std(similarity(alike, alike))) < 1e-6
    # The identity differs from nothing on its diagonal alone.
    assert float(off_diagonal_std(torch.eye(25).expand(3, 25, 25))) == 0.0
    assert float(off_diagonal_std(similarity(tokens(3, 5), tokens(3, 6)))) > 0.1


def test_one_key_and_one_value_serve_all_heads() -> None:
    aligner = QueryAligner(512, 8, 64)
    assert aligner.to_kv.weight.shape == (128, 512)
    # Research note, 2.9: 590,848 parameters each, of which the norm of the output is not one.
    assert sum(p.numel() for p in aligner.parameters()) == 590_848 + 512


def test_a_window_does_not_depend_on_its_neighbours_in_the_batch(net: FauForensics) -> None:
    with torch.inference_mode():
        one = net.judge(tokens(1, 8), tokens(1, 9))["total"].logit
        four = net.judge(tokens(1, 8).repeat(4, 1, 1), tokens(1, 9).repeat(4, 1, 1))["total"].logit
    torch.testing.assert_close(one.repeat(4), four, rtol=1e-4, atol=1e-5)


def test_the_picture_network_can_run_in_chunks(net: FauForensics) -> None:
    crops = torch.rand(1, 30, 3, 112, 112, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        whole = net.video_encoder(crops)
        parts = torch.cat([net.video_encoder.per_tick(crops[0, :13]), net.video_encoder.per_tick(crops[0, 13:])])
        torch.testing.assert_close(net.video_encoder.over_time(parts[None]), whole, rtol=1e-4, atol=1e-4)


def test_an_unknown_action_unit_differs_from_an_absent_one(net: FauForensics) -> None:
    zero, unknown = torch.zeros(1, 25, 20), torch.full((1, 25, 20), float("nan"))
    with torch.inference_mode():
        a, b = net.fau_encoder(zero), net.fau_encoder(unknown)
    assert torch.isfinite(b).all()
    assert float((a - b).abs().max()) > 1e-3


def test_the_lite_preset_is_small(net: FauForensics) -> None:
    assert sum(p.numel() for p in net.parameters()) < 3_000_000


@pytest.mark.parametrize(("arguments", "message"), [(("heavy", {}), "use one of lite"), (("lite", {"depth": 3}), "depth: not a size")])
def test_a_wrong_preset_or_size_is_named(arguments: tuple[str, dict[str, int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(arguments[0], **arguments[1])


def test_details_are_the_tensors_behind_the_answers(net: FauForensics) -> None:
    generator = torch.Generator().manual_seed(6)
    crops, aus = torch.rand(2, 25, 3, 112, 112, generator=generator) * 2 - 1, torch.rand(2, 25, 20, generator=generator)
    log_mel = torch.rand(2, 100, 80, generator=generator) * 2 - 1
    with torch.inference_mode():
        answers, details = net(crops, aus, log_mel), net(crops, aus, log_mel, details=True)
        judged = net.judge(net.encode_video(crops, aus), net.encode_audio(log_mel))
    assert details["m_inter"].shape == (2, 625) and details["q_video"].shape == (2, 25, 128)
    for head, name in (("total", "logit_total"), ("visual", "logit_video"), ("audio", "logit_audio")):
        assert torch.equal(answers[head].logits, details[name])
        assert torch.equal(answers[head].logits, judged[head].logits)
