"""The kernels of x_proj and dt_proj against their formulae in float64."""

import pytest
import torch

from mmfusion.ops.backends import InnerParameters
from mmfusion.ops.cpu import inner, library

pytestmark = pytest.mark.skipif(
    library.missing_reason() is not None, reason="no kernels here"
)
SHAPES = [  # tokens, e, r, n: whole vectors and what is left of them, one slab and more
    (1, 1, 1, 1),
    (33, 48, 3, 16),
    (70, 37, 5, 3),
    (600, 64, 4, 16),  # two slabs
    (1569, 100, 12, 16),  # six, and lanes that stay empty
]


def parameters(e, r, n, kind=torch.randn):
    none = torch.empty(0)
    x_proj, dt_proj = kind(r + 2 * n, e), kind(e, r)
    return InnerParameters(none, None, x_proj, dt_proj, none, kind(e, n), none)


def run(directions, wanted, u, projected, grad_u, grad_delta, grad_projected):
    inner._project(directions, u, projected)
    into = [
        InnerParameters(*[torch.empty_like(x) if x is not None else x for x in one])
        for one in directions
    ]
    if not wanted:
        into = [one._replace(x_proj=None, dt_proj=None) for one in into]
    parts = u, projected, grad_u, grad_delta, grad_projected
    inner._project_backward(directions, into, *parts)
    return into


def tensors(tokens, e, r, n, count=2):
    shape = count, 1, tokens
    sizes = e, r + 2 * n, e, e, r + 2 * n
    return [torch.randn(*shape, size) for size in sizes]


def close(found, expected):
    scale = expected.abs().max()
    assert (found.double() - expected).abs().max() <= 1e-5 * scale


@pytest.mark.parametrize(("tokens", "e", "r", "n"), SHAPES)
def test_values_and_gradients(tokens, e, r, n):
    torch.manual_seed(0)
    directions = [parameters(e, r, n) for _ in range(2)]
    u, projected, grad_u, grad_delta, grad_projected = tensors(tokens, e, r, n)
    before = grad_u.double(), grad_projected.double()
    into = run(directions, True, u, projected, grad_u, grad_delta, grad_projected)
    for index, (one, grad) in enumerate(zip(directions, into, strict=True)):
        x_proj, dt_proj = one.x_proj.double(), one.dt_proj.double()
        tokens_, steps = u[index, 0].double(), grad_delta[index, 0].double()
        outputs = before[1][index, 0].clone()
        outputs[:, :r] = steps @ dt_proj
        close(projected[index, 0], tokens_ @ x_proj.t())
        close(grad_projected[index, 0], outputs)
        close(grad_u[index, 0], before[0][index, 0] + outputs @ x_proj)
        close(grad.x_proj, outputs.t() @ tokens_)
        close(grad.dt_proj, steps.t() @ projected[index, 0, :, :r].double())


def test_weights_without_a_gradient():
    directions = [parameters(40, 3, 8)]
    given = tensors(600, 40, 3, 8, count=1)
    expected = [x.clone() for x in given]
    run(directions, True, *expected)
    run(directions, False, *given)
    assert all(map(torch.equal, given, expected))


def test_any_number_of_threads_gives_the_same_bits(monkeypatch):
    directions = [parameters(64, 4, 16) for _ in range(2)]
    given = tensors(1600, 64, 4, 16)
    found = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(library, "num_threads", lambda threads=threads: threads)
        one = [x.clone() for x in given]
        grads = run(directions, True, *one)
        found.append(
            [*one, *(x for grad in grads for x in (grad.x_proj, grad.dt_proj))]
        )
    for others in found[1:]:
        assert all(map(torch.equal, found[0], others))
