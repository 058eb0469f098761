import pytest
import torch

from mmfusion.models import AverageMix, ContextMix, NaiveMix, WeightedMix
from mmfusion.models.necks.cls_mix import stream_weights

CLS = torch.tensor([[[1.0, 2.0], [3.0, 6.0]]])  # (b=1, m=2, d=2)
TOKENS = torch.randn(1, 5, 2)


def test_naive_is_a_parameter():
    mix = NaiveMix(2)
    assert torch.equal(mix(CLS, TOKENS)[0], mix.cls_token)


def test_average_by_hand():
    assert AverageMix(2)(CLS, TOKENS).tolist() == [[2.0, 4.0]]


def test_equation_1_by_hand():
    mix = WeightedMix(2)
    assert mix(CLS, TOKENS).tolist() == [[2.0, 4.0]]  # sigmoid(0) mixes half and half
    with torch.no_grad():
        mix.omega.fill_(torch.log(torch.tensor(3.0)))  # sigmoid(log 3) = 3/4
    torch.testing.assert_close(mix(CLS, TOKENS), torch.tensor([[1.5, 3.0]]))


def test_equation_2_by_hand():
    mix = ContextMix(2)
    alpha = mix.mixer(TOKENS).mean().sigmoid()
    expected = alpha * CLS[:, 0] + (1 - alpha) * CLS[:, 1]
    torch.testing.assert_close(mix(CLS, TOKENS), expected)


def test_context_depends_on_the_sample():
    mix = ContextMix(2)
    torch.nn.init.normal_(mix.mixer.out_proj.weight, std=5)
    cls = CLS.expand(2, -1, -1)
    out = mix(cls, torch.randn(2, 5, 2))
    assert not torch.equal(out[0], out[1])


def test_three_streams_sum_to_one():
    weights = stream_weights(torch.tensor([0.3, -1.0]))
    assert weights.shape == (3,)
    torch.testing.assert_close(weights.sum(), torch.tensor(1.0))
    cls = torch.randn(2, 3, 4)
    for mix in (AverageMix(4, 3), WeightedMix(4, 3), ContextMix(4, 3)):
        assert mix(cls, torch.randn(2, 7, 4)).shape == (2, 4)


THREE = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [5.0, 13.0]]])  # (b=1, m=3, d=2)


def test_three_streams_by_hand():
    """Logits (log 2, log 3, 0): weights of 1/3, 1/2 and 1/6, in the streams' order."""
    weighted, average = WeightedMix(2, 3), AverageMix(2, 3)
    with torch.no_grad():
        weighted.omega.copy_(torch.tensor([2.0, 3.0]).log())
    torch.testing.assert_close(
        weighted(THREE, TOKENS), torch.tensor([[16 / 6, 35 / 6]])
    )
    present = torch.tensor([[True, False, True]])  # weights of 2/3 and 1/3
    torch.testing.assert_close(
        weighted(THREE, TOKENS, present), torch.tensor([[7 / 3, 17 / 3]])
    )
    assert average(THREE, TOKENS).tolist() == [[3.0, 7.0]]
    assert average(THREE, TOKENS, present).tolist() == [[3.0, 7.5]]


def test_context_of_three_streams_by_hand():
    """Each half of the embedding gives one logit."""
    mix, tokens = ContextMix(4, 3), torch.randn(2, 5, 4)
    torch.nn.init.normal_(mix.mixer.out_proj.weight, std=5)
    cls = torch.randn(2, 3, 4)
    context = mix.mixer(tokens)  # (b, l, d)
    logits = [context[..., :2].mean((1, 2)), context[..., 2:].mean((1, 2))]
    weights = torch.stack([*logits, torch.zeros(2)], 1).softmax(1)
    torch.testing.assert_close(
        mix(cls, tokens), torch.einsum("bm,bmd->bd", weights, cls)
    )
    torch.testing.assert_close(mix.last_weights, weights)


@pytest.mark.parametrize("kind", [AverageMix, WeightedMix, ContextMix])
def test_a_missing_stream_takes_no_part(kind):
    present = torch.tensor([[True, False]])
    torch.testing.assert_close(kind(2)(CLS, TOKENS, present), CLS[:, 0])


def test_context_needs_a_divisible_width():
    with pytest.raises(ValueError, match="multiple"):
        ContextMix(5, 3)
