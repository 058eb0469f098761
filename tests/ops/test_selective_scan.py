import logging

import pytest
import torch

from mmfusion.ops import (
    available_backends,
    bidirectional_scan,
    scan_backend,
    selective_scan,
    selective_scan_with_state,
    selective_state_update,
)
from mmfusion.ops import backends as registry
from mmfusion.ops.backends import ScanInputs
from tests.ops.scan_cases import Case, make_inputs
from tests.tolerances import FORWARD

OVER_TOKENS = ("u", "delta", "B", "C", "z")


def inputs_of(length=5, **options):
    """Inputs of :func:`selective_scan` by name, (2, length, 6) with 4 states."""
    inputs = make_inputs(Case(length, 2, 6, 4, **options))
    return {k: x for k, x in inputs.items() if k not in ("w", "v", "initial_state")}


def with_state(inputs, state=None):
    """y and the last state of inputs by name; softplus on."""
    inputs = dict(inputs)
    z = inputs.pop("z")
    return selective_scan_with_state(ScanInputs(**inputs), state, z, True)


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


def test_reverse_is_a_flipped_scan():
    inputs = inputs_of(33)
    flipped = {k: v.flip(1) if k in OVER_TOKENS else v for k, v in inputs.items()}
    y = selective_scan(**inputs, delta_softplus=True, reverse=True)
    expected = selective_scan(**flipped, delta_softplus=True).flip(1)
    torch.testing.assert_close(y, expected, **FORWARD[torch.float32])


def test_state_carries_over():
    inputs = inputs_of(30)
    state, parts = torch.randn(2, 6, 4), []
    whole, last = with_state(inputs, state)
    for cut in (slice(0, 11), slice(11, 30)):
        piece = {k: v[:, cut] if k in OVER_TOKENS else v for k, v in inputs.items()}
        y, state = with_state(piece, state)
        parts.append(y)
    torch.testing.assert_close(torch.cat(parts, 1), whole, **FORWARD[torch.float32])
    torch.testing.assert_close(state, last, **FORWARD[torch.float32])


def test_steps_equal_the_whole_scan():
    inputs = inputs_of(40)
    state, outputs = torch.randn(2, 6, 4), []
    whole, last = with_state(inputs, state)
    for t in range(40):
        token = {k: v[:, t] if k in OVER_TOKENS else v for k, v in inputs.items()}
        y, state = selective_state_update(state, **token, delta_softplus=True)
        outputs.append(y)
    torch.testing.assert_close(torch.stack(outputs, 1), whole, **FORWARD[torch.float32])
    torch.testing.assert_close(state, last, **FORWARD[torch.float32])


@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_forward_mode_is_right_or_refused(backend):
    u, ones = torch.randn(1, 3, 2), torch.ones(1, 3, 2)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(u, ones)
        call = dual, ones, -torch.ones(2, 2), ones, ones
        if backend == "torch":
            with pytest.raises(RuntimeError, match="no derivatives in forward mode"):
                selective_scan(*call, backend=backend)
            return
        y = selective_scan(*call, backend=backend)
        tangent = torch.autograd.forward_ad.unpack_dual(y).tangent
    torch.testing.assert_close(tangent, selective_scan(ones, *call[1:]))  # it is linear


def test_autocast_does_not_reach_the_scan():
    inputs = inputs_of(40, dtype=torch.bfloat16)
    expected, _ = with_state(inputs)
    with torch.autocast("cpu", torch.bfloat16):
        y, state = with_state(inputs)
    assert y.dtype == torch.bfloat16 and state.dtype == torch.float32
    assert torch.equal(y, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(u=torch.zeros(5, 6)), r"u has shape \(5, 6\), expected \(b, l, d\)"),
        (dict(u=torch.zeros(2, 0, 6)), "none 0"),
        (dict(delta=torch.zeros(2, 5, 5)), "delta has shape"),
        (dict(A=torch.zeros(5, 4)), "A has shape"),
        (dict(B=torch.zeros(2, 5, 3)), "B has shape"),
        (dict(C=torch.zeros(2, 5, 2, 4)), "C has shape"),
        (dict(D=torch.zeros(7)), "D has shape"),
        (dict(D=torch.zeros(1, 6)), "D has shape"),
        (dict(delta_bias=torch.zeros(3, 6)), "delta_bias has shape"),
        (dict(z=torch.zeros(1, 5, 6)), "z has shape"),
        (dict(B=None), "B is a NoneType, expected a tensor"),
        (dict(u=[[0.0]]), "u is a list, expected a tensor"),
        (dict(D=[0.0] * 6), "D is a list, expected a tensor"),
        (dict(u=torch.zeros(2, 5, 6, dtype=torch.int64)), "u has dtype torch.int64"),
        (dict(A=torch.zeros(6, 4, dtype=torch.complex64)), "A has dtype"),
        (dict(A=torch.zeros(6, 4).double()), "every tensor is float64 or none"),
        (dict(z=torch.zeros(2, 5, 6).double()), "every tensor is float64 or none"),
        (dict(D=torch.zeros(6, device="meta")), "D is on meta and u on cpu"),
        (dict(backend="cuda"), "expected 'auto' or one of cpu, triton"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "-".join(value),
)
def test_wrong_inputs_raise(change, message):
    with pytest.raises(ValueError, match=message):
        selective_scan(**{**inputs_of(), **change})


def test_wrong_states_raise():
    inputs = inputs_of()
    for state, message in (
        (
            torch.zeros(2, 6, 3),
            r"initial_state has shape .* expected \(b=2, d=6, n=4\)",
        ),
        (torch.zeros(2, 6, 4).double(), "every tensor is float64 or none"),
        ([0.0], "initial_state is a list, expected a tensor"),
    ):
        with pytest.raises(ValueError, match=message):
            with_state(inputs, state)
    with pytest.raises(ValueError, match="inputs is a Tensor, expected a ScanInputs"):
        selective_scan_with_state(inputs["u"])


def test_wrong_directions_raise():
    one, two = (
        ScanInputs(*(inputs_of(n).get(name) for name in ScanInputs._fields))
        for n in (5, 6)
    )
    with pytest.raises(ValueError, match="backward.u has shape"):
        bidirectional_scan(one, two)
    with pytest.raises(ValueError, match="backward.delta has shape"):
        bidirectional_scan(one, one._replace(delta=two.delta))
    with pytest.raises(ValueError, match="backward is a tuple, expected a ScanInputs"):
        bidirectional_scan(one, tuple(one))
    with pytest.raises(ValueError, match="backward.u is a NoneType, expected a tensor"):
        bidirectional_scan(one, one._replace(u=None))


def test_wrong_steps_raise():
    state, u = torch.zeros(2, 6, 4), torch.zeros(2, 6)
    A, B = torch.zeros(6, 4), torch.zeros(2, 4)
    with pytest.raises(ValueError, match="state has shape"):
        selective_state_update(state[:1], u, u, A, B, B)
    with pytest.raises(ValueError, match="C has shape"):
        selective_state_update(state, u, u, A, B, B[:, :3])
    with pytest.raises(ValueError, match="state is a NoneType, expected a tensor"):
        selective_state_update(None, u, u, A, B, B)
    with pytest.raises(ValueError, match="expected .d=6, n., none 0"):
        selective_state_update(state[..., :0], u, u, A[:, :0], B[:, :0], B[:, :0])


def test_backend_by_environment_and_context(monkeypatch):
    inputs = inputs_of(3)
    monkeypatch.setenv("MMFUSION_SCAN_BACKEND", "nonsense")
    with pytest.raises(ValueError, match="nonsense"):
        selective_scan(**inputs)
    with scan_backend("reference"):
        selective_scan(**inputs)
    with pytest.raises(ValueError, match="unknown"), scan_backend("nonsense"):
        pass


class Picky:
    """A backend for one state only, and one that is not there."""

    name = "cpu"

    def __init__(self, missing=None):
        self._missing = missing

    def missing(self):
        return self._missing

    def refuses(self, call):
        return "it has one state only" if call.directions[0].A.shape[1] > 1 else None


@pytest.fixture
def replace_cpu(monkeypatch):
    """Put another backend in the place of ``cpu``; collect what is logged."""
    lines = []
    monkeypatch.setattr(registry, "_logged", set())
    monkeypatch.setattr(
        registry, "print_log", lambda line, logger, level: lines.append((line, level))
    )

    def replace(backend):
        monkeypatch.setitem(registry._loaded, "cpu", backend)
        monkeypatch.setitem(registry._reasons, "cpu", backend.missing())
        return lines

    return replace


def test_a_refused_call_raises_or_goes_on_with_one_line(replace_cpu):
    lines = replace_cpu(Picky())
    with pytest.raises(ValueError, match="'cpu' cannot serve this call: it has one"):
        selective_scan(**inputs_of(), backend="cpu")
    for _ in range(2):
        selective_scan(**inputs_of())
    assert len(lines) == 1 and lines[0][1] == logging.WARNING
    assert "'torch' is used" in lines[0][0] and "it has one state only" in lines[0][0]


def test_a_missing_backend_raises_or_goes_on_with_one_line(replace_cpu):
    lines = replace_cpu(Picky("no compiler; install g++"))
    assert "cpu" not in available_backends()
    with pytest.raises(ValueError, match="'cpu' is not available here: no compiler"):
        selective_scan(**inputs_of(), backend="cpu")
    for _ in range(2):
        selective_scan(**inputs_of())
    assert len(lines) == 1 and "install g++" in lines[0][0]
