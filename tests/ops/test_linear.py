"""``linear``: equal to F.linear by either library, and F.linear for whoever watches."""

import importlib

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import forward_ad
from torch.utils.flop_counter import FlopCounterMode

from mmfusion.models.layers.mamba import MambaMixer
from mmfusion.ops import linear

MODULE = importlib.import_module("mmfusion.ops.linear")  # not the function
SHAPE, OUT = (2, 700, 96), 128  # enough multiply-adds to be worth the choice

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="PyTorch has no oneDNN"
)


@pytest.fixture
def by_onednn(monkeypatch):
    """As if on a CPU where MKL is slow; a list of the shapes that went to oneDNN."""
    served, product = [], MODULE._product

    def recorded(x, weight):
        served.append((*x.shape, weight.shape[0]))
        return product(x, weight)

    monkeypatch.setattr(MODULE, "_has_slow_mkl", lambda: True)
    monkeypatch.setattr(MODULE, "_product", recorded)
    return served


def tokens_and_weight(**options):
    x = torch.randn(SHAPE, **options)
    return x, torch.randn(OUT, SHAPE[-1], **options)


def test_values_and_gradients_equal_those_of_pytorch(by_onednn):
    x, weight = tokens_and_weight(requires_grad=True)
    upstream = torch.randn(*SHAPE[:2], OUT)
    found = torch.autograd.grad(linear(x, weight), (x, weight), upstream)
    expected = torch.autograd.grad(F.linear(x, weight), (x, weight), upstream)
    assert by_onednn == [(1400, SHAPE[-1], OUT), (1400, OUT, SHAPE[-1])]
    with torch.no_grad():
        torch.testing.assert_close(linear(x, weight), F.linear(x, weight))
    for one, other in zip(found, expected, strict=True):
        assert (one - other).abs().max() < 1e-5 * other.abs().max()


@pytest.mark.parametrize("wanted", [0, 1])
def test_one_gradient_alone(by_onednn, wanted):
    given = tokens_and_weight()
    given[wanted].requires_grad_()
    (found,) = torch.autograd.grad(linear(*given).square().sum(), given[wanted])
    (expected,) = torch.autograd.grad(F.linear(*given).square().sum(), given[wanted])
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


def test_gradients_are_differentiable_again(by_onednn):
    x, weight = tokens_and_weight(requires_grad=True)
    second = []
    for function in (linear, F.linear):
        y = function(x, weight).square().mean()
        (grad,) = torch.autograd.grad(y, x, create_graph=True)
        second.append(torch.autograd.grad(grad.square().sum(), weight)[0])
    assert (second[0] - second[1]).abs().max() < 1e-5 * second[1].abs().max()


@pytest.mark.parametrize(
    "change",
    [
        dict(x=lambda x: x.double(), weight=lambda w: w.double()),
        dict(x=lambda x: x.bfloat16(), weight=lambda w: w.bfloat16()),
        dict(x=lambda x: x[:, :4]),  # small
        dict(x=lambda x: x[0, 0]),  # one token
        dict(x=lambda x: x.to("meta"), weight=lambda w: w.to("meta")),
    ],
    ids=["float64", "bfloat16", "small", "one token", "meta"],
)
def test_what_onednn_does_not_serve_is_pytorchs(by_onednn, change):
    x, weight = tokens_and_weight()
    x, weight = change["x"](x), change.get("weight", lambda w: w)(weight)
    y, expected = linear(x, weight), F.linear(x, weight)
    assert not by_onednn
    assert y.dtype == expected.dtype and y.shape == expected.shape
    assert y.is_meta or torch.equal(y, expected)


def test_autocast_lowers_it(by_onednn):
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(*tokens_and_weight()).dtype == torch.bfloat16
    assert not by_onednn


def test_counters_of_operations_see_it(by_onednn):
    x, weight = tokens_and_weight()
    with FlopCounterMode(display=False) as counter:
        linear(x, weight)
    assert counter.get_total_flops() == 2 * x.numel() * OUT
    assert not by_onednn


def test_transforms_of_functions_go_through_it(by_onednn):
    x, weight = tokens_and_weight()
    together = torch.func.vmap(linear, in_dims=(0, None))(x, weight)
    torch.testing.assert_close(together, F.linear(x, weight))
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, torch.ones_like(x))
        tangent = forward_ad.unpack_dual(linear(dual, weight)).tangent
    torch.testing.assert_close(tangent, F.linear(torch.ones_like(x), weight))
    assert not by_onednn


def test_an_exported_layer_has_pytorchs_product(by_onednn):
    class Layer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.mixer = MambaMixer(32)

        def forward(self, x):
            return self.mixer(x)

    graph = torch.export.export(Layer().eval(), (torch.randn(1, 512, 32),)).graph
    names = {str(node.target) for node in graph.nodes}
    assert "aten.linear.default" in names
    assert not any("mkldnn" in name for name in names)


def test_a_compiler_sees_one_graph_and_no_condition_on_sizes():
    mixer, dynamic = MambaMixer(96).in_proj, torch.export.Dim.DYNAMIC
    x = torch.randn(SHAPE)
    compiled = torch.compile(mixer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), mixer(x))
    exported = torch.export.export(mixer, (x,), dynamic_shapes=[{1: dynamic}])
    assert exported.module()(x[:, :5]).shape == (2, 5, 384)


@pytest.mark.parametrize("shape", [(OUT, 95), (OUT, 97), (OUT, 96, 1), ()])
def test_shapes_that_do_not_fit_get_pytorchs_words(by_onednn, shape):
    x, weight = torch.randn(SHAPE), torch.randn(shape)
    with pytest.raises(RuntimeError) as expected:
        F.linear(x, weight)
    with pytest.raises(RuntimeError) as found:
        linear(x, weight)
    assert str(found.value) == str(expected.value)


def test_the_output_may_be_changed_in_place(by_onednn):
    x, weight = tokens_and_weight(requires_grad=True)
    found = torch.autograd.grad(linear(x, weight).mul_(2).sum(), (x, weight))
    expected = torch.autograd.grad(2 * F.linear(x, weight).sum(), (x, weight))
    assert by_onednn
    torch.testing.assert_close(found, expected)


def test_many_gradients_at_once(by_onednn):
    x, weight = tokens_and_weight(requires_grad=True)
    upstream = torch.randn(2, *SHAPE[:2], OUT)
    found, expected = (
        torch.autograd.grad(f(x, weight), (x, weight), upstream, is_grads_batched=True)
        for f in (linear, F.linear)
    )
    assert by_onednn
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


class Quantised(torch.Tensor):
    """A weight whose one operator is F.linear, as torchao's are."""

    @staticmethod
    def __new__(cls, stored):
        return torch.Tensor._make_wrapper_subclass(cls, stored.shape)

    def __init__(self, stored):
        self.stored = stored

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function is F.linear:
            return F.linear(args[0], args[1].stored)
        with torch._C.DisableTorchFunctionSubclass():
            return function(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        raise NotImplementedError(str(function))


@pytest.mark.parametrize("kind", [Quantised, torch.Tensor.to_sparse])
def test_weights_of_other_kinds(by_onednn, kind):
    x, weight = tokens_and_weight()
    torch.testing.assert_close(linear(x, kind(weight)), F.linear(x, weight))
    assert not by_onednn


def test_who_turned_onednn_off_does_not_get_it(by_onednn, monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    linear(*tokens_and_weight())
    assert not by_onednn


def test_a_layer_is_the_same_by_either(by_onednn):
    torch.manual_seed(0)
    mixer, x = MambaMixer(96, bidirectional=True), torch.randn(SHAPE)
    found = mixer(x)
    assert by_onednn == [(1400, 96, 384), (1400, 192, 96)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "_has_slow_mkl", lambda: False)
        expected = mixer(x)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize(
    ("vendor", "capability", "slow"),
    [
        ("AuthenticAMD", "AVX512", True),
        ("AuthenticAMD", "AVX2", False),
        ("GenuineIntel", "AVX512", False),
        ("", "AVX512", False),  # unknown: PyTorch's own choice
    ],
)
def test_where_mkl_is_slow(monkeypatch, vendor, capability, slow):
    monkeypatch.setattr("mmfusion.ops.cpu.build.cpu_fact", lambda name: vendor)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    assert MODULE._has_slow_mkl.__wrapped__() is slow
