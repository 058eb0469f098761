"""Every backend that runs here against the reference in float64."""

import dataclasses

import pytest
import torch

from mmfusion.ops import (
    available_backends,
    bidirectional_scan,
    selective_scan,
    selective_scan_with_state,
)
from mmfusion.ops.backends import ScanInputs
from tests.ops.scan_cases import (
    DIRECTIONS,
    OPTIONS,
    Case,
    assert_right,
    device_of,
    make_inputs,
    random_case,
    run,
)

LENGTHS = (1, 2, 63, 64, 65, 100, 1025, 1569)
NUM_RANDOM = {"cpu": 500}  # shapes; PART for the others
PART = 50

# mamba_ssm refuses half of these calls; tests/ops/test_gpu.py has what it serves
BACKENDS = [name for name in available_backends() if name != "mamba_ssm"]
FAST = [name for name in BACKENDS if name != "reference"]
RANDOM_PARTS = [
    (name, first)
    for name in FAST
    for first in range(0, NUM_RANDOM.get(name, PART), PART)
]
every_backend = pytest.mark.parametrize("backend", BACKENDS)
fast_backends = pytest.mark.parametrize("backend", FAST)
every_direction = pytest.mark.parametrize("direction", DIRECTIONS)


@fast_backends
@every_direction
@pytest.mark.parametrize("length", LENGTHS)
def test_lengths(backend, length, direction):
    assert_right(Case(length, 1, 3, 3, direction=direction), backend)


@every_backend
@every_direction
@pytest.mark.parametrize("without", [*OPTIONS, "all"])
def test_without_an_option(backend, without, direction):
    names = frozenset(OPTIONS if without == "all" else (without,))
    assert_right(Case(without=names, direction=direction), backend)


@every_backend
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("states", [1, 8, 16, 64])
def test_sizes(backend, states, batch):
    for channels, direction in ((1, "forward"), (17, "reverse"), (17, "both")):
        case = Case(37, batch, channels, states, direction)
        assert_right(case, backend)


@every_backend
@every_direction
@pytest.mark.parametrize(
    "delta",
    [(-30.0, 5.0), (-8.0, 1.0), (3.0, 3.0), (30.0, 10.0), (0.0, 25.0)],
    ids=["vanishing", "small", "large", "huge", "all"],
)
def test_small_and_large_delta(backend, delta, direction):
    assert_right(Case(40, 1, 6, 8, delta=delta, direction=direction), backend)


@every_backend
@every_direction
def test_strided_views(backend, direction):
    case = Case(70, 2, 9, 5, views=True, direction=direction)
    assert_right(case, backend)
    assert_right(dataclasses.replace(case, dtype=torch.bfloat16), backend)


@every_backend
@every_direction
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision(backend, dtype, direction):
    case = Case(65, 2, 9, 8, dtype=dtype, direction=direction)
    assert_right(case, backend)
    results = run(case, make_inputs(case), backend)
    assert results["y"].dtype == results["du"].dtype == dtype
    assert results["dA"].dtype == torch.float32
    if direction != "both":
        assert results["last"].dtype == torch.float32


@pytest.mark.parametrize(("backend", "first"), RANDOM_PARTS)
def test_random_calls(backend, first):
    for seed in range(first, first + PART):
        assert_right(random_case(seed), backend, seed)


@every_backend
def test_bidirectional_equals_two_scans(backend):
    case = Case(50, 2, 6, 4, direction="both")
    inputs = {k: x.to(device_of(backend)) for k, x in make_inputs(case).items()}
    both = scan(inputs, "both", backend)
    ahead = scan(inputs, "forward", backend)
    second = {k.removesuffix("_b"): x for k, x in inputs.items() if k.endswith("_b")}
    back = scan(second | {"z": inputs["z"]}, "reverse", backend)
    torch.testing.assert_close(both, ahead + back, rtol=1e-5, atol=1e-5)


@every_backend
def test_the_same_each_time(backend):
    case = random_case(3)
    first, second = (run(case, make_inputs(case), backend) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@every_backend
def test_only_some_inputs_need_a_gradient(backend):
    """A frozen A, as where only the text tower is trained."""
    case = Case(40)
    inputs = make_inputs(case)
    expected = run(case, inputs, backend)
    inputs = {k: x.to(device_of(backend)) for k, x in inputs.items()}
    for name in ("u", "A", "D", "initial_state"):
        leaf = inputs[name].clone().requires_grad_()
        given = inputs | {name: leaf}
        given.pop("v")
        w = given.pop("w")
        y, _ = with_state(given, backend=backend)
        (grad,) = torch.autograd.grad((y * w).sum(), leaf)
        assert grad.isfinite().all() and grad.shape == expected[f"d{name}"].shape


@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_gradcheck(backend):
    inputs = make_inputs(Case(9, 1, 4, 2))
    names = [name for name in inputs if name not in ("w", "v")]

    def forward(*values):
        named = dict(zip(names, values, strict=True))
        return with_state(named, reverse=True, backend=backend)

    leaves = tuple(inputs[name].double().requires_grad_() for name in names)
    assert torch.autograd.gradcheck(forward, leaves)


def test_second_gradients_of_the_reference():
    inputs = make_inputs(Case(3, 1, 2, 1))
    names = [name for name in inputs if name not in ("w", "v")]

    def forward(*values):
        named = dict(zip(names, values, strict=True))
        return with_state(named, backend="reference")

    leaves = tuple(inputs[name].double().requires_grad_() for name in names)
    assert torch.autograd.gradgradcheck(forward, leaves)


@fast_backends
def test_second_gradients_are_refused(backend):
    inputs = {
        k: x.to(device_of(backend)).requires_grad_()
        for k, x in make_inputs(Case(40)).items()
    }
    del inputs["w"], inputs["v"]
    y, _ = with_state(inputs, backend=backend)
    for name in ("u", "A", "initial_state"):
        (gradient,) = torch.autograd.grad(y.sum(), inputs[name], create_graph=True)
        loss = y.sum() + gradient.square().sum()  # B is reached without it, too
        with pytest.raises(RuntimeError, match=f"{backend} .*cannot be differentiated"):
            torch.autograd.grad(loss, inputs["B"], retain_graph=True)


@every_backend
@pytest.mark.parametrize("states", [1, 4, 5])
def test_infinite_delta_and_huge_A_are_nan_only_where_the_reference_is(backend, states):
    """Values before an infinite delta, and every gradient of an A of -3e38."""
    case = Case(50, 1, 3, states, without=frozenset(("initial_state", "last_state")))
    for name, value in (("delta", torch.inf), ("A", -3e38)):
        inputs = make_inputs(case)
        inputs[name].flatten()[-1] = value  # of the last token, or of the last channel
        truth = run(case, inputs, "reference")
        for key, result in run(case, inputs, backend).items():
            assert not (result.isnan() & truth[key].isfinite()).any(), (name, key)


def with_state(inputs, **options):
    """y and the last state of inputs by name; softplus on."""
    inputs = dict(inputs)
    state, z = inputs.pop("initial_state"), inputs.pop("z")
    options |= dict(delta_softplus=True, z=z)
    return selective_scan_with_state(ScanInputs(**inputs), state, **options)


def scan(inputs, direction, backend):
    """y of inputs by name; softplus on."""
    ahead = ScanInputs(*(inputs.get(name) for name in ScanInputs._fields))
    options = dict(delta_softplus=True, backend=backend)
    if direction == "both":
        back = ScanInputs(*(inputs.get(f"{name}_b") for name in ScanInputs._fields))
        return bidirectional_scan(ahead, back, inputs["z"], **options)
    reverse = direction == "reverse"
    return selective_scan(**ahead._asdict(), z=inputs["z"], reverse=reverse, **options)
