"""Scans that share their state: against the loop, against a scan alone."""

import pytest
import torch

from mmfusion.ops import (
    ScanInputs,
    coupled_scan,
    coupled_scan_reference,
    selective_scan,
)

EXACT = dict(rtol=0, atol=1e-10)
STEPS = [
    torch.tensor([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [0, 2, 4, 5, 7, *[11] * 6]]),
    torch.tensor([[0, 2, 4, 8, 10], [1, 2, 9, 11, 11]]),
    torch.tensor([[3, 5], [11, 11]]),  # a sample that lacks this stream
]


def stream(length, batch=2, d=3, n=2):
    double = dict(dtype=torch.float64)
    return ScanInputs(
        torch.randn(batch, length, d, **double),
        torch.randn(batch, length, d, **double),
        -torch.rand(d, n, **double) * 3,
        torch.randn(batch, length, n, **double),
        torch.randn(batch, length, n, **double),
        torch.randn(d, **double),
        torch.randn(d, **double),
    )


def test_equals_the_loop_with_every_gradient():
    torch.manual_seed(0)
    streams = [
        ScanInputs(*(x.requires_grad_() for x in stream(at.shape[1]))) for at in STEPS
    ]
    leaves = [x for one in streams for x in one]
    real = [(at < 11).unsqueeze(-1) for at in STEPS]
    weights = [torch.randn_like(one.u) * ok for one, ok in zip(streams, real)]  # noqa: B905
    results = []
    for road in (coupled_scan, coupled_scan_reference):
        ys = [y * ok for y, ok in zip(road(streams, STEPS, 11), real, strict=True)]
        loss = sum((y * w).sum() for y, w in zip(ys, weights, strict=True))
        results.append(ys + [*torch.autograd.grad(loss, leaves)])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, **EXACT)


def test_gradcheck():
    values = [x.requires_grad_() for n in (4, 2) for x in stream(n, batch=1, d=2)]
    steps = [torch.arange(4)[None], torch.tensor([[0, 2]])]

    def call(*x):
        return tuple(coupled_scan([ScanInputs(*x[:7]), ScanInputs(*x[7:])], steps, 4))

    assert torch.autograd.gradcheck(call, values)


def test_one_stream_alone_is_a_selective_scan():
    one = stream(20)
    expected = selective_scan(
        one.u, one.delta, *one[2:6], delta_bias=one.delta_bias, delta_softplus=True,
        backend="reference",
    )  # fmt: skip
    gaps = torch.arange(20).expand(2, -1) * 3  # steps without any token change nothing
    torch.testing.assert_close(coupled_scan([one], [gaps], 60)[0], expected, **EXACT)


def test_errors():
    with pytest.raises(ValueError, match="1 streams and 0 steps"):
        coupled_scan([stream(3)], [], 3)
    with pytest.raises(ValueError, match="steps has shape"):
        coupled_scan([stream(3)], [torch.arange(3)], 3)
    with pytest.raises(ValueError, match="u has shape"):
        coupled_scan([stream(3), stream(3, d=4)], [torch.zeros(2, 3).long()] * 2, 3)
