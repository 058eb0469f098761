import pytest
import torch

from mmfusion.ops import available_backends, causal_conv1d, causal_conv1d_update
from tests.ops.scan_cases import TOLERANCES

every_backend = pytest.mark.parametrize("backend", available_backends())


@every_backend
def test_by_hand(backend):
    x = torch.tensor([[[1.0], [2.0], [3.0]]])
    weight = torch.tensor([[10.0, 1.0]])  # ten times the token before, plus itself
    y = causal_conv1d(x, weight, torch.tensor([0.5]), backend=backend)
    assert y.flatten().tolist() == [1.5, 12.5, 23.5]
    y = causal_conv1d(x, weight, reverse=True, backend=backend)
    assert y.flatten().tolist() == [21.0, 32.0, 3.0]


def by_definition(x, weight, bias, silu, reverse):
    """y_t = sum_i weight_i x_{t - w + 1 + i} by shifted products, (b, l, d)."""
    x = x.flip(1) if reverse else x
    y, width = torch.zeros_like(x) + bias, weight.shape[1]
    for back in range(min(width, x.shape[1])):
        shifted = x[:, : x.shape[1] - back] * weight[:, width - 1 - back]
        y = y + torch.nn.functional.pad(shifted, (0, 0, back, 0))
    y = y.flip(1) if reverse else y
    return y * y.sigmoid() if silu else y


@every_backend
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("width", [1, 2, 4, 7])
def test_equals_its_definition(backend, width, reverse, dtype):
    generator = torch.Generator().manual_seed(width)
    wide = torch.randn(2, 33, 22, generator=generator).to(dtype)
    x = wide.chunk(2, dim=-1)[1]  # (2, 33, 11), a view as of in_proj's output
    weight, bias = torch.randn(11, width), torch.randn(11)
    cotangent = torch.randn(2, 33, 11, generator=generator).to(dtype)
    results = []
    for raised in (False, True):
        leaves = [v.double() if raised else v for v in (x, weight, bias)]
        leaves = [v.detach().requires_grad_() for v in leaves]
        if raised:
            y = by_definition(*leaves, True, reverse)
        else:
            options = dict(reverse=reverse, backend=backend)
            y = causal_conv1d(*leaves, "silu", **options)
            assert y.dtype == dtype
        results.append((y, *torch.autograd.grad(y, leaves, cotangent.to(y.dtype))))
    for is_gradient, (one, other) in enumerate(zip(*results, strict=True)):
        limit = TOLERANCES[dtype][is_gradient > 0]
        assert (one.double() - other).abs().max() <= limit * other.abs().max()


@pytest.mark.parametrize("activation", [None, "silu"])
def test_steps_equal_the_whole(activation):
    x, weight, bias = torch.randn(2, 9, 5), torch.randn(5, 4), torch.randn(5)
    state, outputs = torch.zeros(2, 5, 3), []
    for token in x.unbind(1):
        y, state = causal_conv1d_update(token, state, weight, bias, activation)
        outputs.append(y)
    expected = causal_conv1d(x, weight, bias, activation)
    torch.testing.assert_close(torch.stack(outputs, 1), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(state, x[:, -3:].transpose(1, 2))


def test_autocast_gives_its_dtype():
    x, weight = torch.randn(1, 6, 4), torch.randn(4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert causal_conv1d(x, weight).dtype == torch.bfloat16
        assert causal_conv1d(x.double(), weight.double()).dtype == torch.float64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(weight=torch.zeros(5, 4)), r"expected \(d=4, w\), none 0"),
        (dict(x=torch.zeros(1, 0, 4)), "none 0"),
        (dict(x=torch.zeros(3, 4)), r"expected \(b, l, d\), none 0"),
        (dict(bias=torch.zeros(3)), "bias has shape"),
        (dict(weight=torch.zeros(4, 4).double()), "every tensor is float64 or none"),
        (dict(x=torch.zeros(1, 3, 4, dtype=torch.int32)), "x has dtype torch.int32"),
        (dict(activation="relu"), "activation is 'relu'"),
        (dict(backend="cuda"), "expected 'auto' or one of"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_wrong_inputs_raise(change, message):
    inputs = dict(x=torch.zeros(1, 3, 4), weight=torch.zeros(4, 4))
    with pytest.raises(ValueError, match=message):
        causal_conv1d(**inputs | change)


def test_a_wrong_state_raises():
    with pytest.raises(ValueError, match="conv_state has shape"):
        causal_conv1d_update(torch.zeros(1, 4), torch.zeros(1, 4, 4), torch.zeros(4, 4))
