import pytest
import torch

from mmfusion.ops import InnerParameters, available_backends, mamba_inner
from tests.ops.scan_cases import TOLERANCES

every_backend = pytest.mark.parametrize("backend", available_backends())


def parameters(seed, inner=6, states=4, rank=3, width=4, bias=True):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(shape, generator=generator)

    return InnerParameters(
        draw(inner, width) / 2,
        draw(inner) if bias else None,
        draw(rank + 2 * states, inner) / inner**0.5,
        draw(inner, rank) / 2,
        draw(inner) - 2,
        draw(inner, states) / 2,
        draw(inner),
    )


def run(xz, directions, cast=lambda x: x, frozen=(), **options):
    """y and the gradients of xz and of every parameter that is not frozen."""
    leaves, given = [cast(xz).detach().requires_grad_()], []
    for one in directions:
        own = {name: x for name, x in one._asdict().items() if x is not None}
        own = {name: cast(x).detach().clone() for name, x in own.items()}
        leaves += [x.requires_grad_() for name, x in own.items() if name not in frozen]
        given.append(InnerParameters(**dict(conv_bias=None) | own))
    y = mamba_inner(leaves[0], *given, **options)
    generator = torch.Generator().manual_seed(9)
    towards = torch.randn(y.shape, generator=generator).to(y.dtype)
    return [y, *torch.autograd.grad(y, leaves, towards)]


def assert_same(results, truths, dtype):
    assert len(results) == len(truths)
    for index, (value, truth) in enumerate(zip(results, truths, strict=True)):
        limit = TOLERANCES[dtype][index > 0]
        assert (value.double() - truth).abs().max() <= limit * truth.abs().max(), index


@every_backend
@pytest.mark.parametrize("gated", [True, False], ids=["gate", "bare"])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize(
    "sizes",
    [
        dict(length=1),
        dict(length=33, bias=False),
        dict(length=70, inner=19, states=5, rank=1, width=2),
        dict(length=64, inner=32, states=16, width=7),
    ],
    ids=lambda sizes: "-".join(f"{k}{v}" for k, v in sizes.items()),
)
def test_equals_the_reference_in_float64(backend, sizes, directions, gated):
    sizes = dict(sizes)
    length, inner = sizes.pop("length"), sizes.get("inner", 6)
    both = [parameters(seed, **sizes) for seed in range(directions)]
    generator = torch.Generator().manual_seed(length)
    xz = torch.randn(2, length, (1 + gated) * inner, generator=generator)
    results = run(xz, both, gated=gated, backend=backend)
    double = run(xz, both, torch.Tensor.double, gated=gated, backend="reference")
    assert results[0].dtype == torch.float32
    assert_same(results, double, torch.float32)


@every_backend
def test_autocast_lowers_the_tokens_and_x_proj_alone(backend):
    both = [parameters(seed, inner=16) for seed in range(2)]
    xz = torch.randn(2, 40, 32, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        results = run(xz, both, backend=backend)
    assert results[0].dtype == torch.bfloat16
    assert {x.dtype for x in results[1:]} == {torch.float32}
    truths = run(xz, both, torch.Tensor.double, backend="reference")
    for value, truth in zip(results, truths, strict=True):
        assert (value.double() - truth).abs().max() <= 0.05 * truth.abs().max()


@every_backend
@pytest.mark.parametrize("axis", ["last", "batch", "tokens"])
def test_strided_inputs(backend, axis):
    both = [parameters(seed, inner=8) for seed in range(2)]
    turned = [
        one._replace(
            A_log=one.A_log.t().contiguous().t(),
            x_proj=one.x_proj.t().contiguous().t(),
            dt_proj=torch.stack([one.dt_proj] * 2, -1)[..., 0],
            D=torch.stack([one.D] * 2, -1)[:, 0],
        )
        for one in both
    ]
    xz = torch.randn(2, 35, 16, generator=torch.Generator().manual_seed(0))
    views = dict(
        last=xz.transpose(1, 2).contiguous().transpose(1, 2),
        batch=xz.transpose(0, 1).contiguous().transpose(0, 1),
        tokens=torch.cat([xz, xz], dim=1)[:, :35],
    )
    result = mamba_inner(views[axis], *turned, backend=backend)
    expected = mamba_inner(xz, *both, backend="reference")
    assert_same([result], [expected], torch.float32)


@every_backend
@pytest.mark.parametrize("frozen", [("A_log", "D", "x_proj"), InnerParameters._fields])
def test_frozen_parameters_leave_the_other_gradients(backend, frozen):
    both = [parameters(seed) for seed in range(2)]
    xz = torch.randn(1, 40, 12, generator=torch.Generator().manual_seed(0))
    results = run(xz, both, frozen=frozen, backend=backend)
    truths = run(xz, both, torch.Tensor.double, frozen=frozen, backend="reference")
    assert_same(results, truths, torch.float32)


def test_parameters_alone_get_gradients_where_the_input_needs_none():
    one = parameters(0)
    one.x_proj.requires_grad_()
    mamba_inner(torch.randn(1, 40, 12), one).sum().backward()
    assert one.x_proj.grad.isfinite().all() and one.x_proj.grad.any()


def test_threads_do_not_change_the_gradients():
    both = [parameters(seed, inner=48) for seed in range(2)]
    xz = torch.randn(2, 300, 96, generator=torch.Generator().manual_seed(0))
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            results.append(run(xz, both))
        finally:
            torch.set_num_threads(1)
    # the projections are products of MKL, which sums by threads in another order
    assert_same(*results, torch.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(xz=torch.zeros(1, 3, 6)), r"expected \(b, l, 2e=12\), none 0"),
        (dict(xz=torch.zeros(1, 0, 12)), "none 0"),
        (dict(forward=None), "forward is a NoneType, expected an InnerParameters"),
        (dict(forward=parameters(0)._replace(D=torch.ones(5))), "forward.D has shape"),
        (dict(backward=parameters(0, states=5)), "backward.A_log has shape"),
        (
            dict(forward=parameters(0)._replace(dt_proj=torch.ones(6))),
            r"forward.dt_proj has shape \(6,\), expected \(e=6, r\)",
        ),
        (dict(xz=torch.zeros(1, 3, 12).double()), "every tensor is float64 or none"),
        (dict(backend="cuda"), "expected 'auto' or one of"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_wrong_inputs_raise(change, message):
    inputs = dict(xz=torch.zeros(1, 3, 12), forward=parameters(0))
    with pytest.raises(ValueError, match=message):
        mamba_inner(**inputs | change)
