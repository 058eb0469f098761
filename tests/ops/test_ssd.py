"""Mamba-2's scan: by chunks, token by token, and by the selective scan of Mamba-1."""

import pytest
import torch

from mmfusion.ops import selective_scan, ssd, ssd_reference, ssd_state_update

EXACT = dict(rtol=0, atol=1e-10)


def inputs(length, heads=4, groups=2, dtype=torch.float64, batch=2):
    torch.manual_seed(length)
    return dict(
        u=torch.randn(batch, length, heads, 3, dtype=dtype),
        delta=torch.rand(batch, length, heads, dtype=dtype) * 2,
        A=-torch.rand(heads, dtype=dtype) * 4,
        B=torch.randn(batch, length, groups, 5, dtype=dtype),
        C=torch.randn(batch, length, groups, 5, dtype=dtype),
        D=torch.randn(heads, dtype=dtype),
        initial_state=torch.randn(batch, heads, 3, 5, dtype=dtype),
    )


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("length", [1, 8, 13, 25])
def test_chunks_equal_the_loop_with_every_gradient(length, reverse):
    given = {n: x.requires_grad_() for n, x in inputs(length).items()}
    weights = torch.randn(2, length, 4, 3, dtype=torch.float64)
    results = []
    for road in (lambda **x: ssd(chunk=8, **x), ssd_reference):
        y, state = road(**given, reverse=reverse)
        loss = (y * weights).sum() + state.square().sum()
        results.append([y, state, *torch.autograd.grad(loss, [*given.values()])])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, **EXACT)


def test_gradcheck():
    given = inputs(5, heads=2, groups=1, batch=1)
    names, values = [*given], [x.requires_grad_() for x in given.values()]
    assert torch.autograd.gradcheck(
        lambda *x: ssd(**dict(zip(names, x, strict=True)), chunk=2), values
    )


def test_equals_a_selective_scan_with_one_decay_a_head():
    given = inputs(9, groups=1)
    u, delta, A, B, C, D, _ = given.values()
    y, _ = ssd(u, delta, A, B, C, D)
    wide = selective_scan(
        u.flatten(2),
        delta.repeat_interleave(3, 2),
        A.repeat_interleave(3).unsqueeze(1).expand(-1, 5).contiguous(),
        B.squeeze(2),
        C.squeeze(2),
        D.repeat_interleave(3),
        backend="reference",
    )
    torch.testing.assert_close(y.flatten(2), wide, **EXACT)


def test_a_stream_token_by_token():
    given = inputs(6)
    state, parts = given.pop("initial_state"), []
    whole, last = ssd(**given, initial_state=state)
    for t in range(6):
        one = {n: x[:, t] if x.dim() > 1 else x for n, x in given.items()}
        y, state = ssd_state_update(state, **one)
        parts.append(y)
    torch.testing.assert_close(torch.stack(parts, 1), whole, **EXACT)
    torch.testing.assert_close(state, last, **EXACT)


def test_float32_and_huge_decays():
    """A thousand tokens whose running sum of decays is large lose nothing."""
    given = inputs(1025, dtype=torch.float32, batch=1)
    exact, _ = ssd_reference(**{n: x.double() for n, x in given.items()})
    y, _ = ssd(**given)
    assert (y - exact).abs().max() / exact.abs().max() < 1e-5


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (dict(delta=torch.rand(2, 4, 4).double()), "delta has shape"),
        (dict.fromkeys("BC", torch.rand(2, 5, 3, 5).double()), "divisor"),
        (dict(chunk=0), "chunk=0"),
    ],
    ids=["length", "groups", "chunk"],
)  # fmt: skip
def test_errors(wrong, said):
    with pytest.raises(ValueError, match=said):
        ssd(**(inputs(5) | wrong))
