"""Calls of the scans, run by a backend and, in float64, by the reference."""

import random
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from mmfusion.ops import (
    ScanInputs,
    bidirectional_scan,
    selective_scan,
    selective_scan_with_state,
)

TOLERANCES = {  # forward and gradients, relative to the maximum of each tensor
    torch.float64: (1e-10, 1e-9),
    torch.float32: (1e-5, 1e-4),
    torch.bfloat16: (2e-2, 2e-2),
    torch.float16: (3e-3, 3e-3),
}
DIRECTIONS = ("forward", "reverse", "both")
ON_GPU_ALONE = ("triton", "mamba_ssm")  # but for triton's interpreter
OPTIONS = ("D", "z", "delta_bias", "softplus", "initial_state", "last_state")


@dataclass(frozen=True)
class Case:
    """One call; without arguments it is Mamba's usual, in one direction.

    Attributes:
        without: options that are off, of OPTIONS.
        delta: what the raw delta is drawn around, and its spread.
        dtype: of u, delta, B, C and z. views: make them strided views of wider tensors.
    """

    length: int = 20
    batch: int = 2
    channels: int = 5
    states: int = 4
    direction: str = "forward"
    without: frozenset[str] = frozenset()
    delta: tuple[float, float] = (-3.0, 1.0)
    dtype: torch.dtype = torch.float32
    views: bool = False

    @property
    def both(self) -> bool:
        return self.direction == "both"

    def has(self, option: str) -> bool:
        alone = option in ("initial_state", "last_state")
        return option not in self.without and not (alone and self.both)


def random_case(seed: int) -> Case:
    """Any sizes up to 70 tokens, 40 channels and 20 states, any options."""
    draw = random.Random(seed)
    length = draw.choice([draw.randint(1, 12), draw.randint(13, 70)])
    return Case(
        length=length,
        batch=draw.randint(1, 3),
        channels=draw.randint(1, 40),
        states=draw.choice([1, 2, 3, 4, 7, 8, 15, 16, 17, 20]),
        direction=draw.choice(DIRECTIONS),
        without=frozenset(x for x in OPTIONS if draw.random() < 0.3),
        delta=(draw.uniform(-6, 2), draw.uniform(0.1, 2)),
        views=draw.random() < 0.3,
    )


def make_inputs(case: Case, seed: int = 0) -> dict[str, Tensor]:
    """Tensors by name, the second direction's with ``_b``; w, v weigh the outputs."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    tokens = (case.batch, case.length, case.channels)
    row, state = (case.channels,), (case.batch, case.channels, case.states)
    rates = torch.arange(1.0, case.states + 1).repeat(case.channels, 1)
    inputs = {}
    for suffix in ("", "_b") if case.both else ("",):
        delta = case.delta[0] + case.delta[1] * draw(*tokens)
        # without softplus delta has to be positive by itself
        inputs[f"delta{suffix}"] = delta if case.has("softplus") else delta.exp()
        inputs[f"u{suffix}"] = draw(*tokens)
        inputs[f"A{suffix}"] = -rates * (0.3 * draw(case.channels, case.states)).exp()
        for name in ("B", "C"):
            inputs[name + suffix] = draw(*tokens[:2], case.states)
        if case.has("D"):
            inputs[f"D{suffix}"] = draw(*row)
        if case.has("delta_bias"):
            bias = draw(*row)
            inputs[f"delta_bias{suffix}"] = bias if case.has("softplus") else bias.abs()
    if case.has("z"):
        inputs["z"] = draw(*tokens)
    if case.has("initial_state"):
        inputs["initial_state"] = draw(*state)
    for name in inputs:
        if name.split("_")[0] in ("u", "delta", "B", "C", "z") and "bias" not in name:
            inputs[name] = inputs[name].to(case.dtype)
            if case.views:
                inputs[name] = as_view(inputs[name], name)
    inputs["w"], inputs["v"] = draw(*tokens), draw(*state)
    return inputs


def as_view(x: Tensor, name: str) -> Tensor:
    """The same values with other strides: a part of wider rows, or transposed."""
    if name.startswith(("u", "delta")):
        return x.transpose(1, 2).contiguous().transpose(1, 2)
    wide = torch.cat([x.flip(-1), x, x], dim=-1)
    return wide[..., x.shape[-1] : 2 * x.shape[-1]]


def device_of(backend: str) -> str:
    """Device that a backend is tested on: the CPU if it can."""
    on_gpu = backend in ON_GPU_ALONE and torch.cuda.is_available()
    return "cuda" if on_gpu else "cpu"


def run(
    case: Case,
    inputs: dict[str, Tensor],
    backend: str,
    dtype: torch.dtype | None = None,
    device: str | None = None,
) -> dict[str, Tensor]:
    """Outputs ``y`` and ``last`` and the gradients ``d<name>`` of a weighted sum.

    Args:
        dtype: what every tensor is turned into first; None leaves them as they are.
        device: where the backend computes; its usual one if left. Results are on the
            CPU.
    """
    device = device or device_of(backend)
    inputs = {name: x.to(device) for name, x in inputs.items()}
    weights = {name: inputs[name] for name in ("w", "v")}
    leaves = {name: x for name, x in inputs.items() if name not in weights}
    if dtype is not None:
        weights = {name: x.to(dtype) for name, x in weights.items()}
        leaves = {name: x.to(dtype) for name, x in leaves.items()}
    leaves = {name: x.detach().requires_grad_() for name, x in leaves.items()}
    outputs = call(case, leaves, backend)
    loss = (outputs["y"] * weights["w"]).sum()
    if "last" in outputs:
        loss = loss + (outputs["last"] * weights["v"]).sum()
    grads = torch.autograd.grad(loss, list(leaves.values()))
    named = {f"d{name}": grad for name, grad in zip(leaves, grads, strict=True)}
    outputs = {name: x.detach() for name, x in outputs.items()}
    return {name: x.cpu() for name, x in (outputs | named).items()}


def call(case: Case, inputs: dict[str, Tensor], backend: str) -> dict[str, Tensor]:
    """The door, with a case's options."""
    options = dict(
        z=inputs.get("z"),
        delta_softplus=case.has("softplus"),
        backend=backend,
    )
    ahead = ScanInputs(**{k: inputs.get(k) for k in ScanInputs._fields})
    if case.both:
        back = ScanInputs(**{k: inputs.get(f"{k}_b") for k in ScanInputs._fields})
        return {"y": bidirectional_scan(ahead, back, **options)}
    options["reverse"] = case.direction == "reverse"
    if not (case.has("initial_state") or case.has("last_state")):
        return {"y": selective_scan(**ahead._asdict(), **options)}
    state = inputs.get("initial_state")
    y, last = selective_scan_with_state(ahead, state, **options)
    return {"y": y, "last": last} if case.has("last_state") else {"y": y}


@lru_cache(maxsize=1024)  # the random calls of every backend
def truth(case: Case, seed: int = 0) -> dict[str, Tensor]:
    """Output of the reference for the same numbers in float64."""
    return run(case, make_inputs(case, seed), "reference", torch.float64)


def assert_right(
    case: Case, backend: str, seed: int = 0, device: str | None = None
) -> None:
    """Every output and gradient of a backend against :func:`truth`."""
    results = run(case, make_inputs(case, seed), backend, device=device)
    expected = truth(case, seed)
    assert results.keys() == expected.keys()
    for name, value in results.items():
        assert_close(name, value, expected[name], case)


def assert_close(name: str, value: Tensor, expected: Tensor, case: Case) -> None:
    """The largest error against the largest value, by the dtype of the call."""
    assert value.shape == expected.shape, name
    assert expected.isfinite().all() and value.isfinite().all(), f"{name} of {case}"
    limit = TOLERANCES[case.dtype][name.startswith("d")]
    error = (value.double() - expected).abs().max() / expected.abs().max().clamp(1e-30)
    assert error <= limit, f"{name} is off by {error:.1e} of its maximum in {case}"
