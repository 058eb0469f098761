"""The adapter against stand-ins of mamba-ssm and causal-conv1d.

The stand-ins have the real signatures, refuse what the real kernels refuse, and compute
what those publish, so that what is tested is ours: layout, flips, padding, stacking.
"""

import dataclasses
import sys
from pathlib import Path

import pytest
import torch

from mmfusion.ops import mamba_ssm_backend
from mmfusion.ops.backends import ConvCall, ScanCall, ScanInputs
from mmfusion.ops.reference import BACKEND as REFERENCE
from tests.tolerances import FORWARD, GRADIENT

BACKEND = mamba_ssm_backend.BACKEND
ROOT = Path(__file__).parents[2]

SCAN = """
import torch
import torch.nn.functional as F

selective_scan_cuda = object()
SHAPES = []


def selective_scan_fn(u, delta, A, B, C, D=None, z=None, delta_bias=None,
                      delta_softplus=False, return_last_state=False):
    SHAPES.append(tuple(u.shape))
    dim, groups = u.shape[1], B.shape[1]
    for x in (delta, B, C, *([] if z is None else [z])):
        assert x.dtype == u.dtype != torch.float64
    assert A.dtype == torch.float32 and A.shape[0] == dim and A.shape[1] <= 256
    for x in (D, delta_bias):
        assert x is None or (x.dtype == torch.float32 and x.shape == (dim,))
        assert x is None or x.stride(-1) == 1
    assert B.shape == C.shape == (u.shape[0], groups, A.shape[1], u.shape[2])
    out_dtype = u.dtype
    u, delta, B, C = (x.float() for x in (u, delta, B, C))
    if delta_bias is not None:
        delta = delta + delta_bias[:, None]
    delta = F.softplus(delta) if delta_softplus else delta
    B, C = (x.repeat_interleave(dim // groups, 1) for x in (B, C))
    h, ys = torch.zeros(u.shape[0], *A.shape), []
    for u_t, delta_t, B_t, C_t in zip(*(x.unbind(-1) for x in (u, delta, B, C))):
        h = torch.exp(delta_t[..., None] * A) * h + (delta_t * u_t)[..., None] * B_t
        ys.append((h * C_t).sum(-1))
    y = torch.stack(ys, -1)
    y = y if D is None else y + D[:, None] * u
    y = (y if z is None else y * F.silu(z.float())).to(out_dtype)
    return (y, h.detach()) if return_last_state else y
"""
CONV = """
import torch.nn.functional as F

__version__ = "1.7.0"


def causal_conv1d_fn(x, weight, bias=None, seq_idx=None, initial_states=None,
                     return_final_states=False, final_states_out=None, activation=None):
    assert 1 in (x.stride(1), x.stride(2))
    if x.stride(1) == 1 and x.stride(2) > 1:
        assert x.shape[1] % 8 == x.stride(0) % 8 == x.stride(2) % 8 == 0
    dim, width = weight.shape
    assert 2 <= width <= 4
    y = F.conv1d(x, weight[:, None], bias, padding=width - 1, groups=dim)
    y = y[..., : x.shape[-1]]
    return y if activation is None else F.silu(y)
"""


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Writes the stand-ins, as changed by the test, and makes them the ones found."""

    def write(scan: str = SCAN, conv: str = CONV, version: str = "2.3.2.post1"):
        ops = tmp_path / "mamba_ssm" / "ops"
        ops.mkdir(parents=True)
        (tmp_path / "causal_conv1d").mkdir()
        (ops.parent / "__init__.py").write_text(f"__version__ = {version!r}\n")
        (ops / "__init__.py").write_text("")
        (ops / "selective_scan_interface.py").write_text(scan)
        (tmp_path / "causal_conv1d" / "__init__.py").write_text(conv)

    def forget():
        for name in list(sys.modules):
            if name.split(".")[0] in ("mamba_ssm", "causal_conv1d"):
                del sys.modules[name]
        mamba_ssm_backend._probe_scan.cache_clear()
        mamba_ssm_backend._probe_conv.cache_clear()

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(mamba_ssm_backend, "_on_cuda", lambda x: True)
    forget()
    yield write
    forget()


CASES = {
    "one": dict(),
    "reverse": dict(reverse=(True,)),
    "plain": dict(plain=True, reverse=(True,)),
    "two directions, plain": dict(plain=True, reverse=(False, True)),
    "two directions": dict(reverse=(False, True)),
    "bfloat16": dict(dtype=torch.bfloat16, reverse=(False, True)),
    "mixed": dict(dtype=torch.bfloat16, delta_dtype=torch.float32),
}


def make_call(
    reverse=(False,), plain=False, dtype=torch.float32, delta_dtype=None, last=False,
):  # fmt: skip
    generator = torch.Generator().manual_seed(len(reverse))
    batch, length, channels, states = 2, 11, 4, 3

    def draw(*shape, dtype=torch.float32):
        x = torch.randn(*shape, generator=generator).to(dtype)
        return x.requires_grad_()

    directions = tuple(
        ScanInputs(
            u=draw(batch, length, channels, dtype=dtype),
            delta=draw(batch, length, channels, dtype=delta_dtype or dtype),
            A=(-torch.rand(channels, states, generator=generator)).requires_grad_(),
            B=draw(batch, length, states, dtype=dtype),
            C=draw(batch, length, states, dtype=dtype),
            D=None if plain else draw(channels),
            delta_bias=None if plain else draw(channels),
        )
        for _ in reverse
    )
    z = None if plain else draw(batch, length, channels, dtype=dtype)
    return ScanCall(directions, reverse, z, not plain, return_last_state=last)


def in_float64(call):
    def raised(x):
        return None if x is None else x.detach().double().requires_grad_()

    directions = tuple(ScanInputs(*map(raised, one)) for one in call.directions)
    return dataclasses.replace(call, directions=directions, z=raised(call.z))


def gradients(y, call):
    """Of every tensor, for weights that no dtype rounds."""
    tensors = [x for one in call.directions for x in one]
    leaves = [x for x in (*tensors, call.z) if x is not None]
    weights = (torch.arange(y.numel()) % 11 - 5.0).view(y.shape) / 4
    return torch.autograd.grad((y.double() * weights).sum(), leaves)


@pytest.mark.parametrize("name", CASES)
def test_like_the_reference(name, packages):
    packages()
    call = make_call(**CASES[name])
    exact = in_float64(call)
    assert BACKEND.refuses(call) is None
    y, _ = BACKEND.scan(call)
    expected, _ = REFERENCE.scan(exact)
    dtype = call.directions[0].u.dtype
    assert y.dtype == dtype
    torch.testing.assert_close(y.double(), expected, **FORWARD[dtype])
    tolerance = GRADIENT[dtype] if dtype == torch.float32 else FORWARD[dtype]
    pairs = zip(gradients(y, call), gradients(expected, exact), strict=True)
    for ours, theirs in pairs:
        scale = max(1.0, float(theirs.abs().max()))
        torch.testing.assert_close(ours.double() / scale, theirs / scale, **tolerance)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_last_state(reverse, packages):
    packages()
    call = make_call((reverse,), last=True)
    with torch.no_grad():
        assert BACKEND.refuses(call) is None
        _, last = BACKEND.scan(call)
        _, expected = REFERENCE.scan(in_float64(call))
    assert last.dtype == torch.float32
    torch.testing.assert_close(last.double(), expected, **FORWARD[torch.float32])


def test_two_directions_are_stacked_into_one_call(packages):
    packages()
    BACKEND.scan(make_call(**CASES["two directions"]))
    seen = sys.modules["mamba_ssm.ops.selective_scan_interface"].SHAPES
    assert seen == [(2, 8, 11)]


@pytest.mark.parametrize("channels", [5, 8])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_convolution(channels, reverse, packages):
    packages()
    x = torch.randn(2, 10, 2 * channels)[..., channels:]
    weight, bias = torch.randn(channels, 4), torch.randn(channels)
    call = ConvCall(x, weight, bias, True, reverse)
    assert BACKEND.refuses(call) is None
    turned = x.flip(1) if reverse else x
    padded = torch.nn.functional.pad(turned, (0, 0, 3, 0))
    total = sum(padded[:, j : j + 10] * weight[:, j] for j in range(4))
    total = torch.nn.functional.silu(total + bias)
    total = total.flip(1) if reverse else total
    torch.testing.assert_close(BACKEND.conv(call), total, **FORWARD[torch.float32])


def test_convolution_leaves_the_rest_to_pytorch(packages):
    packages(conv="raise ImportError('libcudart.so is not there')\n")
    x, weight = torch.zeros(1, 4, 8), torch.zeros(8, 4)
    call = ConvCall(x, weight, None, False, False)
    assert "causal-conv1d is not available" in BACKEND.refuses(call)
    wide = ConvCall(x, torch.zeros(8, 5), None, False, False)
    assert "5 taps" in BACKEND.refuses(wide)


MISSING = {
    "import": ("import nothing_of_this_name\n", "ModuleNotFoundError"),
    "without the op": (SCAN.replace("= object()", "= None"), "without the CUDA op"),
    "too new": (SCAN.replace("delta_softplus=False", "softplus=False"), "2.3.2.post1"),
    "other arguments": (SCAN.replace("D=None", "skip=None"), "lacks the arguments D;"),
    "no function": (SCAN.replace("selective_scan_fn", "scan"), "does not exist"),
}


@pytest.fixture
def gpu_is_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.mark.parametrize("name", MISSING)
def test_missing(name, packages, gpu_is_there):
    scan, said = MISSING[name]
    packages(scan=scan)
    reason = BACKEND.missing()
    assert said in reason
    assert "MAMBA_KEEP_CUDA_BUILD=TRUE pip install --no-build-isolation" in reason


def test_nothing_is_missing(packages, gpu_is_there):
    packages()
    assert BACKEND.missing() is None


def test_missing_without_a_gpu(packages, monkeypatch):
    packages()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "no CUDA device" in BACKEND.missing()


def test_the_command_installs_what_requirements_pin():
    lines = (ROOT / "requirements" / "gpu.txt").read_text()
    assert "mamba-ssm==" in lines and "causal-conv1d==" in lines
    assert "-r requirements/gpu.txt" in mamba_ssm_backend._INSTALL


def test_refuses(packages, monkeypatch):
    packages()
    call = make_call()
    initial = dataclasses.replace(call, initial_state=torch.zeros(2, 4, 3))
    assert "initial state" in BACKEND.refuses(initial)
    assert "float64" in BACKEND.refuses(in_float64(call))
    wide = call.directions[0]._replace(A=torch.zeros(4, 300))
    assert "at most 256" in BACKEND.refuses(ScanCall((wide,), (False,)))
    complex_A = call.directions[0]._replace(A=torch.zeros(4, 3, dtype=torch.complex64))
    assert "complex" in BACKEND.refuses(ScanCall((complex_A,), (False,)))
    last = dataclasses.replace(call, return_last_state=True)
    assert "no gradient" in BACKEND.refuses(last)
    monkeypatch.setattr(mamba_ssm_backend, "_on_cuda", lambda x: x.is_cuda)
    assert "cpu" in BACKEND.refuses(call)


def test_refuses_what_must_be_deterministic(packages):
    packages()
    torch.use_deterministic_algorithms(True)
    try:
        assert "atomics" in BACKEND.refuses(make_call())
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.gpu
@pytest.mark.skipif(
    not torch.cuda.is_available() or BACKEND.missing() is not None,
    reason="needs a CUDA device and mamba-ssm",
)
@pytest.mark.parametrize("name", [*CASES])
def test_on_the_gpu(name):
    call = make_call(**CASES[name])

    def moved(x):
        return None if x is None else x.detach().cuda().requires_grad_()

    there = dataclasses.replace(
        call,
        directions=tuple(ScanInputs(*map(moved, one)) for one in call.directions),
        z=moved(call.z),
    )
    exact = in_float64(call)
    y, expected = BACKEND.scan(there)[0].cpu(), REFERENCE.scan(exact)[0]
    dtype = y.dtype
    torch.testing.assert_close(y.double(), expected, **FORWARD[dtype])
    tolerance = GRADIENT[dtype] if dtype == torch.float32 else FORWARD[dtype]
    pairs = zip(gradients(y, there), gradients(expected, exact), strict=True)
    for ours, theirs in pairs:
        scale = max(1.0, float(theirs.abs().max()))
        ours = ours.cpu().double() / scale
        torch.testing.assert_close(ours, theirs / scale, **tolerance)
