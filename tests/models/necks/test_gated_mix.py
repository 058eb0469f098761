"""The fifth mix, ours: it starts as the average, and its gate learns."""

import torch

from mmfusion.models import AverageMix, GatedMix

CLS = torch.randn(3, 2, 8, generator=torch.Generator().manual_seed(0))
TOKENS = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(1))


def test_it_starts_as_the_average():
    for num_streams in (2, 3):
        cls = torch.randn(3, num_streams, 8)
        average = AverageMix(8, num_streams)(cls, TOKENS)
        torch.testing.assert_close(GatedMix(8, num_streams)(cls, TOKENS), average)


def test_by_hand():
    mix = GatedMix(2)
    with torch.no_grad():
        mix.hidden.weight.zero_()
        mix.hidden.bias.copy_(torch.tensor([1.0, 0.0]))
        mix.logits.weight.copy_(torch.tensor([[2.0, 5.0]]))
    silu = torch.tensor(1.0).sigmoid()
    alpha = (2 * silu).sigmoid()
    cls = torch.tensor([[[1.0, 2.0], [3.0, 6.0]]])
    expected = alpha * cls[:, 0] + (1 - alpha) * cls[:, 1]
    torch.testing.assert_close(mix(cls, torch.zeros(1, 4, 2)), expected)
    torch.testing.assert_close(mix.last_weights[0, 0], alpha.detach())


def test_a_stream_that_is_absent_gets_no_weight():
    mix = GatedMix(8)
    torch.nn.init.normal_(mix.logits.weight)
    present = torch.tensor([[True, True], [True, False], [False, True]])
    mixed = mix(CLS, TOKENS, present)
    torch.testing.assert_close(mixed[1], CLS[1, 0])
    torch.testing.assert_close(mixed[2], CLS[2, 1])
    assert mix.last_weights[1].tolist() == [1.0, 0.0]


def test_every_parameter_learns_after_a_step():
    """The first gradient is of the read-out alone, which starts at zero."""
    mix = GatedMix(8)
    optimizer = torch.optim.SGD(mix.parameters(), lr=1.0)
    for _ in range(2):
        optimizer.zero_grad()
        mix(CLS, TOKENS).square().sum().backward()
        optimizer.step()
    assert all(p.grad.abs().max() > 0 for p in mix.parameters())
