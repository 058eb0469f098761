"""The kernels as PyTorch operators; that the numbers are right is test_parity's."""

import pytest
import torch

from mmfusion.models.layers import build_blocks, forward_blocks
from mmfusion.ops import (
    InnerParameters,
    ScanInputs,
    add_rms_norm,
    backends,
    bidirectional_scan,
    causal_conv1d,
    mamba_inner,
    scan_backend,
    selective_scan,
    selective_scan_with_state,
)
from mmfusion.ops.backends import ScanCall
from mmfusion.ops.cpu.backend import BACKEND

pytestmark = pytest.mark.skipif(
    BACKEND.missing() is not None, reason=f"no cpu backend: {BACKEND.missing()}"
)

B, L, D, N = 2, 40, 6, 3


def direction(requires_grad: bool = True, length: int = L) -> ScanInputs:
    generator = torch.Generator().manual_seed(length)
    shapes = [(B, length, D), (B, length, D), (D, N), (B, length, N)]
    shapes += [(B, length, N), (D,), (D,)]
    tensors = [torch.randn(shape, generator=generator) for shape in shapes]
    tensors[2] = -tensors[2].exp()
    return ScanInputs(*(x.requires_grad_(requires_grad) for x in tensors))


def operator_arguments(kind: str) -> tuple:
    z = torch.randn(B, L, D, requires_grad=True)
    none = [None] * 7
    if kind == "both":
        scans = (*direction(), *direction(), z, None, (False, True), True)
        return (*scans, False, False)
    state = torch.randn(B, D, N, requires_grad=True)
    if kind == "reverse":
        return (*direction(), *none, None, state, (True,), True, True, False)
    bare = [*direction()[:5], None, None]
    return (*bare, *none, z, state, (False,), False, True, False)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["one", "both", "reverse"])
def test_the_scan_is_a_sound_operator(kind):
    torch.library.opcheck(torch.ops.mmfusion.cpu_scan, operator_arguments(kind))


def test_the_convolution_is_a_sound_operator():
    x, weight = torch.randn(B, L, D), torch.randn(D, 4)
    arguments = (x.requires_grad_(), weight.requires_grad_(), None)
    operator = torch.ops.mmfusion.cpu_conv
    torch.library.opcheck(operator, (*arguments, True, True))


@pytest.mark.slow
@pytest.mark.parametrize("directions", [1, 2])
def test_the_inner_layer_is_a_sound_operator(directions):
    one = [torch.randn(D, 4), None, torch.randn(2 + 2 * N, D), torch.randn(D, 2)]
    one += [torch.randn(D), torch.randn(D, N), torch.randn(D)]
    one = [x if x is None else x.requires_grad_() for x in one]
    second = one if directions == 2 else [None] * 7
    arguments = (torch.randn(B, L, 2 * D, requires_grad=True), *one, *second)
    operator = torch.ops.mmfusion.cpu_inner
    torch.library.opcheck(operator, (*arguments, True, False))


def test_the_norm_is_a_sound_operator():
    x, residual, weight = torch.randn(B, L, D), torch.randn(B, L, D), torch.randn(D)
    leaves = (x.requires_grad_(), residual.requires_grad_(), weight.requires_grad_())
    torch.library.opcheck(torch.ops.mmfusion.cpu_add_norm, (*leaves, 1e-5))


def test_compiled_scan_has_no_graph_break():
    z = torch.randn(B, L, D)

    def function(*tensors):
        both = ScanInputs(*tensors[:7]), ScanInputs(*tensors[7:14])
        y = bidirectional_scan(*both, z, delta_softplus=True, backend="cpu")
        one = selective_scan_with_state(ScanInputs(*tensors[:5]), backend="cpu")
        return y + one[0], one[1]

    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    results = []
    for run in (function, compiled):
        leaves = [*direction(), *direction()]
        y, state = run(*leaves)
        gradients = torch.autograd.grad(y.sum() + state.sum(), leaves)
        results.append([y, state, *gradients])
    for value, truth in zip(*results, strict=True):
        torch.testing.assert_close(value, truth)


@pytest.mark.slow
@pytest.mark.parametrize("bidirectional", [False, True])
def test_compiled_blocks_have_no_graph_break(bidirectional):
    torch.manual_seed(0)
    blocks, last = build_blocks(8, 2, bidirectional=bidirectional, d_state=4)
    mixer = torch.nn.ModuleList(blocks)
    norm = torch.nn.RMSNorm(8, eps=1e-5)

    def model(x):
        return forward_blocks(x, mixer, norm, last)

    compiled = torch.compile(model, fullgraph=True, backend="aot_eager", dynamic=True)
    with scan_backend("cpu"):
        for length in (5, 40):
            x = torch.randn(2, length, 8)
            mixer.zero_grad()
            compiled(x).sum().backward()
            gradients = [x.grad.clone() for x in mixer.parameters()]
            mixer.zero_grad()
            model(x).sum().backward()
            torch.testing.assert_close(gradients, [x.grad for x in mixer.parameters()])


def test_compiled_as_the_first_use_of_all(monkeypatch):
    monkeypatch.setattr(backends, "_loaded", {})
    monkeypatch.setattr(backends, "_reasons", {})
    u, *rest = direction(requires_grad=False)
    compiled = torch.compile(selective_scan, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(u, *rest[:4]), selective_scan(u, *rest[:4]))


@pytest.mark.parametrize("index", range(7))
def test_one_gradient_alone_equals_that_among_all(index):
    everything = direction()
    y = selective_scan(*everything[:6], None, everything[6], True, backend="cpu")
    truth = torch.autograd.grad(y.square().sum(), everything[index])[0]
    alone = direction(requires_grad=False)
    alone[index].requires_grad_()
    y = selective_scan(*alone[:6], None, alone[6], True, backend="cpu")
    y.square().sum().backward()
    torch.testing.assert_close(alone[index].grad, truth)
    assert [x.grad is not None for x in alone].count(True) == 1


def test_what_has_gaps_in_memory_is_read_right():
    one, state = direction(requires_grad=False), torch.randn(B, D, N)
    options = dict(delta_softplus=True, backend="cpu")
    dense, _ = selective_scan_with_state(one, state, **options)
    wide = torch.cat([one.A, one.A], dim=1)
    gaps = one._replace(A=wide[:, :N], D=torch.stack([one.D, one.D], 1)[:, 0])
    states = torch.cat([state, state], dim=2)[..., :N]
    y, _ = selective_scan_with_state(gaps, states, **options)
    assert torch.equal(y, dense)


def test_a_gradient_through_the_last_state_alone():
    leaves = direction()
    results = []
    for backend in ("cpu", "reference"):
        inputs = ScanInputs(*leaves[:5])
        _, last = selective_scan_with_state(inputs, backend=backend)
        results.append(torch.autograd.grad(last.sum(), leaves[:4]))
    for value, truth in zip(*results, strict=True):
        torch.testing.assert_close(value, truth, rtol=1e-4, atol=1e-4)


def inner_parameters() -> InnerParameters:
    one = [torch.randn(D, 4), None, torch.randn(2 + 2 * N, D), torch.randn(D, 2)]
    one += [torch.randn(D), torch.randn(D, N), torch.randn(D)]
    return InnerParameters(*(x if x is None else x.requires_grad_() for x in one))


def operators(options: dict) -> dict:
    """Each with a result (B, L, ...) of u (B, L, D)."""
    own, (_, delta, A, B_, C, *_) = inner_parameters(), direction(requires_grad=False)
    weight = torch.randn(D, 4, requires_grad=True)
    return dict(
        conv=lambda u: causal_conv1d(u, weight, activation="silu", **options),
        inner=lambda u: mamba_inner(u, own, gated=False, **options),
        norm=lambda u: add_rms_norm(u, delta, weight[:, 0], 1e-5, **options)[0],
        scan=lambda u: selective_scan(u, delta, A, B_, C, **options),
    )


every_operator = pytest.mark.parametrize("name", ["conv", "inner", "norm", "scan"])


@every_operator
def test_gradients_of_a_graph_are_right_but_a_second_backward_is_refused(name):
    u, function = direction().u, operators(dict(backend="cpu"))[name]
    y = function(u)
    (gradient,) = torch.autograd.grad(y.sum(), u, create_graph=True)
    (plain,) = torch.autograd.grad(function(u).sum(), u)
    assert torch.equal(gradient, plain)
    with pytest.raises(RuntimeError, match="cannot be differentiated again; use"):
        gradient.sum().backward()


class _Drop(torch.autograd.Function):
    """Passes no gradient on, not even zeros."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return None


@every_operator
def test_no_gradient_at_all_from_behind(name):
    u = direction().u
    y = _Drop.apply(operators(dict(backend="cpu"))[name](u))
    (y.sum() + u.sum()).backward()
    assert torch.equal(u.grad, torch.ones_like(u))


@every_operator
@pytest.mark.parametrize("requires_grad", [False, True])
def test_forward_mode_is_refused(name, requires_grad):
    u, function = direction(requires_grad).u, operators(dict(backend="cpu"))[name]
    with (
        torch.autograd.forward_ad.dual_level(),
        pytest.raises(RuntimeError, match="no derivatives in forward mode; use"),
    ):
        function(torch.autograd.forward_ad.make_dual(u, torch.ones_like(u)))


def test_nothing_is_kept_without_a_backward():
    arguments = (*direction(), *[None] * 7, None, None, (False,), True)
    with torch.no_grad():
        y, last, kept = torch.ops.mmfusion.cpu_scan(*arguments, False, False)
    assert [y.shape, last.numel(), kept.numel()] == [(B, L, D), 0, 0]
    y, _, kept = torch.ops.mmfusion.cpu_scan(*arguments, False, False)
    assert [y.requires_grad, kept.requires_grad] == [True, False]
    assert kept.shape == (1, B, 1, D, N)  # the state before the 33rd token


@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda one: one._replace(u=one.u.double()), "float64"),
        (lambda one: one._replace(u=one.u.to("meta")), "on meta"),
        (lambda one: one._replace(A=torch.zeros(D, 257)), "n is 257"),
    ],
    ids=["float64", "device", "states"],
)
def test_refuses_what_it_cannot_serve(change, reason):
    call = ScanCall(directions=(change(direction()),), reverse=(False,))
    assert reason in BACKEND.refuses(call)
    assert BACKEND.refuses(ScanCall((direction(),), (False,))) is None
