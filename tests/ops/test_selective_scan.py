import pytest
import torch

from mmfusion.ops import (
    ScanInputs,
    available_backends,
    bidirectional_scan,
    scan_backend,
    selective_scan,
)
from tests.tolerances import FORWARD, GRADIENT

LENGTHS = (1, 2, 63, 64, 65, 100, 1025)


def make_inputs(length, channels=6, states=4, groups=1, batch=2, dtype=torch.float64):
    """Inputs like Mamba's: A in -(1..n), B and C by group, every option present."""
    generator = torch.Generator().manual_seed(length)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    A = -torch.arange(1.0, states + 1, dtype=dtype).repeat(channels, 1)
    tokens = (batch, length, channels)
    by_group = (
        (batch, length, groups, states) if groups > 1 else (batch, length, states)
    )
    inputs = dict(
        u=draw(*tokens),
        delta=draw(*tokens),
        A=A * draw(channels, states).exp(),
        B=draw(*by_group),
        C=draw(*by_group),
        D=draw(channels),
        z=draw(*tokens),
        delta_bias=draw(channels) - 3,
        initial_state=draw(batch, channels, states),
    )
    return {name: value.requires_grad_() for name, value in inputs.items()}


def run(inputs, backend, **options):
    out = selective_scan(
        **inputs,
        delta_softplus=True,
        return_last_state=True,
        backend=backend,
        **options,
    )
    grads = torch.autograd.grad(sum(x.sin().sum() for x in out), list(inputs.values()))
    return out, grads


def assert_same(left, right, dtype=torch.float64):
    for one, other in zip(left[0], right[0], strict=True):
        torch.testing.assert_close(one, other, **FORWARD[dtype])
    for one, other in zip(left[1], right[1], strict=True):
        torch.testing.assert_close(one, other, **GRADIENT[dtype])


def test_first_steps_by_hand():
    u, delta = torch.tensor([[[2.0], [3.0]]]), torch.tensor([[[0.5], [1.0]]])
    A = torch.tensor([[-1.0]])
    B, C = torch.tensor([[[4.0], [1.0]]]), torch.tensor([[[1.0], [2.0]]])
    # h1 = 0.5*4*2 = 4, y1 = 4; h2 = exp(-1)*4 + 1*1*3, y2 = 2*h2
    h2 = 4 * torch.tensor(-1.0).exp() + 3
    for backend in available_backends():
        y = selective_scan(u, delta, A, B, C, backend=backend)
        torch.testing.assert_close(
            y.flatten(), torch.stack([torch.tensor(4.0), 2 * h2])
        )


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("length", LENGTHS)
def test_torch_equals_reference(length, reverse):
    inputs = make_inputs(length)
    assert_same(
        run(inputs, "torch", reverse=reverse), run(inputs, "reference", reverse=reverse)
    )


@pytest.mark.parametrize("groups", [2, 3])
def test_groups_equal_reference(groups):
    inputs = make_inputs(20, groups=groups)
    assert_same(run(inputs, "torch"), run(inputs, "reference"))


def test_float32_equals_reference():
    inputs = make_inputs(65, dtype=torch.float32)
    both = run(inputs, "torch"), run(inputs, "reference")
    assert_same(*both, dtype=torch.float32)


def test_gradcheck():
    inputs = make_inputs(9, channels=3, states=2, batch=1)
    names = list(inputs)

    def scan(*values):
        return selective_scan(
            **dict(zip(names, values, strict=True)),
            delta_softplus=True,
            return_last_state=True,
        )

    assert torch.autograd.gradcheck(scan, tuple(inputs.values()))


def test_reverse_is_a_flipped_scan():
    inputs = make_inputs(33)
    flipped = {k: v.flip(1) if k in "u delta B C z" else v for k, v in inputs.items()}
    y = selective_scan(**inputs, reverse=True)
    torch.testing.assert_close(y, selective_scan(**flipped).flip(1))


def test_state_carries_over():
    inputs = make_inputs(30)
    whole, last = selective_scan(**inputs, return_last_state=True)
    parts, state = [], inputs["initial_state"]
    for cut in (slice(0, 11), slice(11, 30)):
        piece = {k: v[:, cut] if k in "u delta B C z" else v for k, v in inputs.items()}
        piece["initial_state"] = state
        y, state = selective_scan(**piece, return_last_state=True)
        parts.append(y)
    torch.testing.assert_close(torch.cat(parts, 1), whole, **FORWARD[torch.float64])
    torch.testing.assert_close(state, last, **FORWARD[torch.float64])


@pytest.mark.parametrize("groups", [1, 2])
def test_bidirectional_equals_two_scans(groups):
    one, two = make_inputs(50, groups=groups), make_inputs(51, groups=groups)
    two = {k: v[:, 1:] if k in "u delta B C z" else v for k, v in two.items()}
    ahead, back = (
        ScanInputs(**{k: x[k] for k in ScanInputs._fields}) for x in (one, two)
    )
    z = one["z"]
    y = bidirectional_scan(ahead, back, z, delta_softplus=True)
    expected = sum(
        selective_scan(*x[:6], z, x.delta_bias, delta_softplus=True, reverse=r)
        for x, r in ((ahead, False), (back, True))
    )
    torch.testing.assert_close(y, expected, **FORWARD[torch.float64])


def test_bfloat16_keeps_a_float32_state():
    inputs = make_inputs(40, dtype=torch.float32)
    low = {
        k: v.bfloat16() if k in "u delta B C z" else v.detach()
        for k, v in inputs.items()
    }
    with torch.autocast("cpu", torch.bfloat16):
        y, state = selective_scan(**low, delta_softplus=True, return_last_state=True)
    exact = {k: v.float() for k, v in low.items()}
    expected = selective_scan(**exact, delta_softplus=True)
    assert y.dtype == torch.bfloat16 and state.dtype == torch.float32
    torch.testing.assert_close(y.float(), expected, **FORWARD[torch.bfloat16])


def test_strided_views_and_large_delta():
    inputs = make_inputs(70)
    views = dict(inputs)
    for name in ("u", "delta", "z"):
        views[name] = inputs[name].transpose(0, 1).contiguous().transpose(0, 1)
    views["delta"] = views["delta"] * 50
    assert_same(run(views, "torch"), run(views, "reference"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(delta=torch.zeros(2, 5, 5)), "delta has shape"),
        (dict(A=torch.zeros(5, 4)), "A has shape"),
        (dict(C=torch.zeros(2, 5, 7)), "C has shape"),
        (dict(u=torch.zeros(2, 0, 6), delta=torch.zeros(2, 0, 6)), "none 0"),
        (dict(z=torch.zeros(1, 5, 6)), "z has shape"),
        (dict(backend="cuda"), "expected 'auto' or one of"),
    ],
    ids=["delta", "A", "C", "empty", "gate", "backend"],
)
def test_wrong_inputs_raise(change, message):
    inputs = make_inputs(5, dtype=torch.float32)
    with pytest.raises(ValueError, match=message):
        selective_scan(**{**inputs, **change})


def test_backend_by_environment_and_context(monkeypatch):
    inputs = make_inputs(3)
    monkeypatch.setenv("MMFUSION_SCAN_BACKEND", "nonsense")
    with pytest.raises(ValueError, match="nonsense"):
        selective_scan(**inputs)
    with scan_backend("reference"):
        selective_scan(**inputs)
