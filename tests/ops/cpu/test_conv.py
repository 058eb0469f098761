"""The C++ convolution against PyTorch's in float64."""

import pytest
import torch

from mmfusion.ops import causal_conv1d
from mmfusion.ops.backends import ConvCall
from mmfusion.ops.cpu.backend import BACKEND
from tests.tolerances import FORWARD, GRADIENT

pytestmark = pytest.mark.skipif(
    BACKEND.missing() is not None, reason=f"no cpu backend: {BACKEND.missing()}"
)


def make(length=70, channels=19, width=4, bias=True, dtype=torch.float32):
    """Leaves; x lies in every other channel block of a wider tensor."""
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(2, length, 2 * channels, generator=generator).to(dtype)
    weight = torch.randn(channels, width, generator=generator)
    leaves = [wide, weight]
    if bias:
        leaves.append(torch.randn(channels, generator=generator))
    return leaves


def run(backend, leaves, **options):
    """y and the gradients of the leaves, in float64."""
    leaves = [leaf.detach().clone().requires_grad_() for leaf in leaves]
    x = leaves[0].chunk(2, dim=-1)[1]
    y = causal_conv1d(x, *leaves[1:], backend=backend, **options)
    generator = torch.Generator().manual_seed(1)
    towards = torch.randn(y.shape, generator=generator).to(leaves[0].dtype)
    gradients = torch.autograd.grad(y, leaves, towards.to(y.dtype))
    assert [gradient.dtype for gradient in gradients] == [x.dtype for x in leaves]
    return y.double(), [gradient.double() for gradient in gradients]


def assert_parity(leaves, **options):
    dtype = leaves[0].dtype
    y, gradients = run("cpu", leaves, **options)
    expected, truths = run("torch", [leaf.double() for leaf in leaves], **options)
    torch.testing.assert_close(y, expected, **FORWARD[dtype])
    for gradient, truth in zip(gradients, truths, strict=True):
        scale = truth.abs().max().clamp(min=1.0)
        tolerance = GRADIENT.get(dtype, FORWARD[dtype])
        torch.testing.assert_close(gradient / scale, truth / scale, **tolerance)


@pytest.mark.parametrize("activation", [None, "silu"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("width", range(1, 9))
def test_widths(width, reverse, activation):
    leaves = make(width=width, bias=width % 2 == 0)
    assert_parity(leaves, reverse=reverse, activation=activation)


@pytest.mark.parametrize("length", [1, 2, 3, 63, 64, 65, 129, 1025])
@pytest.mark.parametrize("reverse", [False, True])
def test_lengths(length, reverse):
    assert_parity(make(length=length), reverse=reverse, activation="silu")


@pytest.mark.parametrize("channels", [1, 3, 4, 8, 15, 16, 17, 256, 257, 530])
def test_channels(channels):
    assert_parity(make(length=5, channels=channels), activation="silu")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("width", [3, 4])
def test_half_precision(dtype, width):
    assert_parity(make(dtype=dtype, width=width), activation="silu")


def test_extremes():
    x, weight, bias = make()
    y, gradients = run("cpu", [1e4 * x, weight, bias], activation="silu")
    expected, truths = run(
        "torch", [1e4 * x.double(), weight.double(), bias.double()], activation="silu"
    )
    for value, truth in zip([y, *gradients], [expected, *truths], strict=True):
        scale = truth.abs().max()
        torch.testing.assert_close(value / scale, truth / scale, rtol=0, atol=1e-5)


def test_last_axis_may_be_strided():
    x, weight, bias = make()
    turned = x.transpose(1, 2).contiguous().transpose(1, 2)
    assert turned.stride(-1) != 1
    y = causal_conv1d(turned, weight.repeat(2, 1), bias.repeat(2), backend="cpu")
    expected = causal_conv1d(x, weight.repeat(2, 1), bias.repeat(2), backend="cpu")
    assert torch.equal(y, expected)


def test_threads_do_not_change_the_result():
    leaves = make(length=1025, channels=70)
    results = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        try:
            results.append(run("cpu", leaves, activation="silu"))
        finally:
            torch.set_num_threads(1)
    for y, gradients in results[1:]:
        assert torch.equal(y, results[0][0])
        assert all(map(torch.equal, gradients, results[0][1]))


def test_float64_and_wide_filters_are_left_to_torch():
    x, weight = torch.randn(1, 5, 3), torch.randn(3, 4)
    wide = ConvCall(x, torch.randn(3, 9), None, True, False)
    assert "9 taps" in BACKEND.refuses(wide)
    double = ConvCall(x.double(), weight.double(), None, True, False)
    assert "float64" in BACKEND.refuses(double)
    assert BACKEND.refuses(ConvCall(x, weight, None, True, False)) is None
