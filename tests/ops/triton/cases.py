"""Parity of the Triton kernels; test_kernels.py runs this file in its own process.

Whether Triton interprets is decided when it is imported, so not in the tests' process.
"""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from mmfusion.ops import causal_conv1d, selective_scan
from mmfusion.ops.backends import ConvCall, ScanCall, ScanInputs, get_backend
from mmfusion.ops.triton import plan
from tests.tolerances import FORWARD, GRADIENT

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ON_GPU = DEVICE == "cuda"

# short chunks, so that lengths that an interpreter can afford have several, and a tail
SHORT = dataclasses.replace(
    plan.TUNING, chunk=4, block=2, ahead=2, programs=1, conv_tokens=8, conv_channels=8
)
SEGMENTED = dataclasses.replace(SHORT, programs=64)


@dataclasses.dataclass(frozen=True)
class Case:
    """One call; what is not named is Mamba's usual: softplus, D, z, bias, state."""

    length: int = 7
    reverse: tuple[bool, ...] = (False,)
    batch: int = 1
    channels: int = 5
    states: int = 3
    plain: bool = False  # neither D, z, bias, softplus nor states
    delta_shift: float = 0.0
    dtypes: tuple[torch.dtype, torch.dtype] = (torch.float32, torch.float32)
    tuning: plan.Tuning = SHORT


BOTH = (False, True)
BF16 = torch.bfloat16
CASES = {
    "forward": Case(),
    "reverse": Case(reverse=(True,)),
    "one token": Case(length=1),
    "plain reverse, one state": Case(6, plain=True, reverse=(True,), states=1),
    "two directions": Case(reverse=BOTH, batch=2),
    "two directions, plain": Case(5, reverse=BOTH, plain=True),
    "two blocks of channels": Case(5, channels=35),
    "wide state": Case(5, states=20, channels=2),
    "segments": Case(11, batch=2, tuning=SEGMENTED),
    "segments, two directions": Case(10, reverse=BOTH, tuning=SEGMENTED),
    "large delta": Case(5, delta_shift=30.0),
    "tiny delta": Case(10, reverse=(True,), delta_shift=-12.0, tuning=SEGMENTED),
    "bfloat16": Case(dtypes=(BF16, BF16), reverse=BOTH),
    "float16 with float32 delta": Case(5, dtypes=(torch.float16, torch.float32)),
}
if ON_GPU:  # real sizes, with the tuning that users get
    CASES |= {
        "VideoMamba": Case(1569, BOTH, 2, 384, 16, tuning=plan.TUNING),
        "full GPU": Case(1025, BOTH, 64, 384, 16, tuning=plan.TUNING),
        "64 states": Case(1025, (True,), 2, 100, 64, tuning=plan.TUNING),
    }  # fmt: skip


def make_call(case: Case) -> ScanCall:
    """Inputs like Mamba's, strided like slices of a projection."""
    generator = torch.Generator().manual_seed(case.length)

    def draw(*shape, dtype=torch.float32):
        values = torch.randn(*shape, generator=generator)
        return values.to(DEVICE, dtype).requires_grad_()

    def tokens(dtype, shift=0.0):
        wide = draw(case.batch, case.length, 2 * case.channels)
        part = (wide[..., case.channels :].detach() + shift).to(dtype)
        return part.requires_grad_()

    dtype, delta_dtype = case.dtypes
    rows = (case.batch, case.length, case.states)
    A = torch.arange(1.0, case.states + 1).repeat(case.channels, 1)
    directions = [
        ScanInputs(
            u=tokens(dtype),
            delta=tokens(delta_dtype, case.delta_shift - (0 if case.plain else 1)),
            A=(-A * torch.rand(A.shape, generator=generator))
            .to(DEVICE)
            .requires_grad_(),
            B=draw(*rows, dtype=dtype),
            C=draw(*rows, dtype=dtype),
            D=None if case.plain else draw(case.channels),
            delta_bias=None if case.plain else draw(case.channels),
        )
        for _ in case.reverse
    ]
    with_state = not case.plain and len(directions) == 1
    if case.plain:  # without softplus delta must be positive by itself
        directions = [
            one._replace(delta=one.delta.detach().abs().requires_grad_())
            for one in directions
        ]
    state = (case.batch, case.channels, case.states)
    return ScanCall(
        directions=tuple(directions),
        reverse=case.reverse,
        z=None if case.plain else tokens(dtype),
        delta_softplus=not case.plain,
        initial_state=draw(*state) if with_state else None,
        return_last_state=with_state,
    )


def in_float64(call: ScanCall) -> ScanCall:
    def raised(x):
        return None if x is None else x.detach().double().requires_grad_()

    return dataclasses.replace(
        call,
        directions=tuple(ScanInputs(*map(raised, one)) for one in call.directions),
        z=raised(call.z),
        initial_state=raised(call.initial_state),
    )


def run(call: ScanCall, backend: str) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Output (and last state), and the gradient of every tensor of the call."""
    served = get_backend(backend)
    assert served.refuses(call) is None
    out = [x for x in served.scan(call) if x is not None]
    leaves = [x for one in call.directions for x in one]
    leaves = [x for x in (*leaves, call.z, call.initial_state) if x is not None]
    loss = sum((x.double() * weights_like(x)).sum() for x in out)
    return out, list(torch.autograd.grad(loss, leaves))


def weights_like(x: torch.Tensor) -> torch.Tensor:
    """Weights of a sum of x: numbers that no dtype rounds, as gradients have x's."""
    return (torch.arange(x.numel(), device=x.device) % 11 - 5.0).view(x.shape) / 4


def assert_like(ours, reference, gradient):
    assert ours.shape == reference.shape
    tolerance = FORWARD[ours.dtype] if ours.dtype in FORWARD else FORWARD[BF16]
    if gradient and ours.dtype in GRADIENT:
        tolerance = GRADIENT[ours.dtype]
    scale = max(1.0, float(reference.detach().abs().max()))  # of sums that cancel
    torch.testing.assert_close(ours.double() / scale, reference / scale, **tolerance)


@pytest.mark.parametrize("name", CASES)
def test_like_the_reference(name, monkeypatch):
    monkeypatch.setattr(plan, "TUNING", CASES[name].tuning)
    call = make_call(CASES[name])
    ours, reference = run(call, "triton"), run(in_float64(call), "reference")
    for gradient in (False, True):
        for one, other in zip(ours[gradient], reference[gradient], strict=True):
            assert_like(one, other, gradient)


def test_cases_have_the_segments_that_they_name():
    case = CASES["segments, two directions"]
    cut = plan.plan_scan((case.length,), 2 * case.batch, 1, case.tuning)
    assert len(cut.segments) == 3 and cut.is_split


@pytest.mark.skipif(not ON_GPU, reason="an interpreter has one order")
def test_the_same_bits_each_time(monkeypatch):
    monkeypatch.setattr(plan, "TUNING", SEGMENTED)
    call = make_call(Case(length=10, reverse=BOTH, batch=32))
    first, second = run(call, "triton"), run(call, "triton")
    for one, other in zip(
        [*first[0], *first[1]], [*second[0], *second[1]], strict=True
    ):
        assert torch.equal(one, other)


def test_without_gradients_nothing_is_saved(monkeypatch):
    monkeypatch.setattr(plan, "TUNING", SEGMENTED)
    call, backend = make_call(Case(length=6)), get_backend("triton")
    with torch.no_grad():
        y, last = backend.scan(call)
    expected = backend.scan(call)
    assert not y.requires_grad
    assert torch.equal(y, expected[0]) and torch.equal(last, expected[1])


CONVOLUTIONS = {
    "silu": (9, 5, 4, False, True, True, torch.float32),
    "reverse, tiles": (12, 10, 4, True, True, True, torch.float32),
    "three taps, bfloat16": (11, 5, 3, False, True, True, BF16),
    "reverse, no bias": (7, 5, 2, True, False, False, torch.float32),
}
if ON_GPU:
    CONVOLUTIONS["tiles as they are"] = (40, 66, 4, True, True, True, BF16)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(name, monkeypatch):
    if name != "tiles as they are":
        monkeypatch.setattr(plan, "TUNING", SHORT)
    length, channels, width, reverse, silu, with_bias, dtype = CONVOLUTIONS[name]
    generator = torch.Generator().manual_seed(length)

    def draw(*shape, dtype=torch.float32):
        x = torch.randn(*shape, generator=generator)
        return x.to(DEVICE, dtype).requires_grad_()

    x = draw(2, length, channels, dtype=dtype)
    weight, bias = draw(channels, width), draw(channels) if with_bias else None
    leaves = [x, weight, bias][: 2 + with_bias]
    y = get_backend("triton").conv(ConvCall(x, weight, bias, silu, reverse))
    raised = [t.detach().double().requires_grad_() for t in leaves]
    expected = convolve(*raised, *[None] * (not with_bias), silu, reverse)
    assert_like(y, expected, gradient=False)
    ours = torch.autograd.grad((y.double() * weights_like(y)).sum(), leaves)
    theirs = torch.autograd.grad((expected * weights_like(y)).sum(), raised)
    for one, other in zip(ours, theirs, strict=True):
        assert_like(one, other, gradient=True)


def convolve(x, weight, bias, silu, reverse):
    """The convolution by its definition."""
    width, x = weight.shape[1], x.flip(1) if reverse else x
    padded = F.pad(x, (0, 0, width - 1, 0))
    y = sum(padded[:, j : j + x.shape[1]] * weight[:, j] for j in range(width))
    y = y if bias is None else y + bias
    y = y.flip(1) if reverse else y
    return F.silu(y) if silu else y


def test_compiles_without_a_break(monkeypatch):
    monkeypatch.setattr(plan, "TUNING", SHORT)
    call = make_call(Case(length=6, channels=2))
    one, backend = call.directions[0], get_backend("triton")

    def mixer(*tensors):
        inputs = ScanInputs(*tensors[:7])
        filtered = ConvCall(tensors[0], tensors[2], tensors[5], True, False)
        x = backend.conv(filtered)
        scan = dataclasses.replace(call, directions=(inputs._replace(u=x),))
        return backend.scan(scan)[0]

    leaves = list(one)
    compiled = torch.compile(mixer, fullgraph=True, backend="aot_eager")
    ours, expected = compiled(*leaves), mixer(*leaves)
    assert torch.equal(ours, expected)
    ours, expected = (torch.autograd.grad(y.sum(), leaves) for y in (ours, expected))
    for one_gradient, other in zip(ours, expected, strict=True):
        assert torch.equal(one_gradient, other)


@pytest.mark.parametrize("function", ["scan", "conv"])
def test_a_second_backward_is_refused(function):
    u, delta = torch.randn(1, 5, 4, device=DEVICE), torch.rand(1, 5, 4, device=DEVICE)
    A, B = -torch.rand(4, 2, device=DEVICE), torch.randn(1, 5, 2, device=DEVICE)
    u.requires_grad_()
    if function == "scan":
        y = selective_scan(u, delta, A, B, B, backend="triton")
    else:
        y = causal_conv1d(u, A, activation="silu", backend="triton")
    (gradient,) = torch.autograd.grad(y.sum(), u, create_graph=True)
    with pytest.raises(RuntimeError, match="triton .*cannot be differentiated"):
        torch.autograd.grad(y.sum() + gradient.sum(), u)
