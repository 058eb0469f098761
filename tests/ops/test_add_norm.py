import pytest
import torch
import torch.nn.functional as F

from mmfusion.ops import add_rms_norm, available_backends
from tests.ops.scan_cases import TOLERANCES

every_backend = pytest.mark.parametrize("backend", available_backends())


def make(shape, dtype=torch.float32, is_view=False):
    """x (a part of a wider tensor as a view), residual and weight."""
    generator = torch.Generator().manual_seed(shape[-1])
    wide = torch.randn(*shape[:-1], 2 * shape[-1], generator=generator).to(dtype)
    x = wide.chunk(2, dim=-1)[1]
    residual = 3 * torch.randn(shape, generator=generator)
    weight = 1 + torch.randn(shape[-1:], generator=generator)
    return x if is_view else x.contiguous(), residual, weight


def run(leaves, use=(1.0, 1.0), **options):
    """y, the sum and the gradients, of which y and the sum count as ``use`` says."""
    leaves = [leaf.detach().requires_grad_() for leaf in leaves]
    y, total = add_rms_norm(*leaves, 1e-5, **options)
    generator = torch.Generator().manual_seed(1)
    towards = torch.randn(y.shape, generator=generator)
    loss = y.new_zeros(()).to(total.dtype)
    for value, weight in zip((y, total), use, strict=True):
        if weight:
            loss = loss + (value.to(total.dtype) * towards.to(total.dtype)).sum()
    return [y, total, *torch.autograd.grad(loss, leaves, allow_unused=True)]


@every_backend
@pytest.mark.parametrize("use", [(1, 1), (1, 0), (0, 1)], ids=["both", "y", "sum"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    "shape", [(1, 1, 3), (2, 3, 5), (1, 70, 16), (3, 65, 33), (1, 129, 192)], ids=str
)
def test_equals_torch_in_float64(backend, shape, dtype, use):
    leaves = make(shape, dtype, is_view=True)
    results = run(leaves, use, backend=backend)
    assert [x.dtype for x in results[:2]] == [dtype, torch.float32]
    truths = run([leaf.double() for leaf in leaves], use)
    for index, (value, truth) in enumerate(zip(results, truths, strict=True)):
        if truth is None or value is None:  # the sum does not depend on the weight
            assert value is None or not value.any()
            continue
        limit = TOLERANCES[dtype][index > 1]
        assert (value.double() - truth).abs().max() <= limit * truth.abs().max()


def test_by_hand_and_without_a_residual():
    x, weight = torch.tensor([[[3.0, 4.0]]]), torch.tensor([1.0, 2.0])
    y, total = add_rms_norm(x, torch.tensor([[[0.0, 0.0]]]), weight, 1e-12)
    expected = torch.tensor([[[3.0, 8.0]]]) / 12.5**0.5
    torch.testing.assert_close(y, expected)
    alone = add_rms_norm(x, None, weight, 1e-12)
    torch.testing.assert_close(alone[0], expected)
    assert torch.equal(alone[1], x) and torch.equal(total, x)


@every_backend
def test_one_token_of_a_stream(backend):
    x, residual, weight = make((2, 6))
    y, total = add_rms_norm(x, residual, weight, 1e-5, backend=backend)
    assert torch.equal(total, x + residual)
    expected = F.rms_norm(total, (6,), weight, 1e-5)
    torch.testing.assert_close(y, expected)


@every_backend
@pytest.mark.parametrize("shape", [(0, 5, 6), (2, 0, 6)], ids=str)
def test_without_any_token(backend, shape):
    x, weight = torch.zeros(shape, requires_grad=True), torch.ones(6)
    y, total = add_rms_norm(x, torch.zeros(shape), weight, 1e-5, backend=backend)
    (y.sum() + total.sum()).backward()
    assert y.shape == total.shape == x.grad.shape == shape


@pytest.mark.skipif("cpu" not in available_backends(), reason="no cpu backend")
def test_threads_do_not_change_the_result():
    leaves, results = make((2, 300, 96)), []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        try:
            results.append(run(leaves, backend="cpu"))
        finally:
            torch.set_num_threads(1)
    for other in results[1:]:
        assert all(map(torch.equal, other, results[0]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(weight=torch.ones(3)), "weight has shape"),
        (dict(residual=torch.zeros(1, 3, 4)), "residual has shape"),
        (dict(x=torch.zeros(1, 2, 4).double()), "every tensor is float64 or none"),
        (dict(backend="cuda"), "expected 'auto' or one of"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_wrong_inputs_raise(change, message):
    inputs = dict(
        x=torch.zeros(1, 2, 4),
        residual=torch.zeros(1, 2, 4),
        weight=torch.ones(4),
        eps=1e-5,
    )
    with pytest.raises(ValueError, match=message):
        add_rms_norm(**inputs | change)
