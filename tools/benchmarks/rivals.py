"""One scan by every road that a user could take, and what each of them reads.

Shapes: b batch, l tokens, d channels, n state. A road has its own layout: ours and
mamba.py's are (b, l, d), mamba-ssm's and Hugging Face's (b, d, l); each gets its inputs
as it likes them, so no road pays for a transposition.
"""

import importlib.util
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib import metadata

import ggml_scan
import torch
import torch.nn.functional as F
from torch import Tensor

from mmfusion.ops import selective_scan
from mmfusion.ops.backends import missing_reason
from mmfusion.ops.cpu import library
from mmfusion.ops.cpu.build import supported_isas

Inputs = dict[str, Tensor]
TOKENS = ("u", "delta", "B", "C", "z")  # what has an axis of tokens


@dataclass(frozen=True)
class Road:
    """One way to compute y (b, l, d) = silu(z) (scan(u) + D u).

    Attributes:
        name: in tables. run: inputs in its layout -> y in its layout.
        layout: ``bld`` or ``bdl``. ours: whether it is a backend of mmfusion.
        backward: whether it has gradients.
        around: entered for each call, its backward included.
    """

    name: str
    run: Callable[[Inputs], Tensor]
    layout: str = "bld"
    ours: bool = False
    backward: bool = True
    around: Callable[[], AbstractContextManager[None]] = nullcontext

    def prepare(self, inputs: Inputs) -> Inputs:
        """(b, l, d) inputs as leaves in this road's layout."""
        return {
            name: self.transposed(name, x).contiguous().detach().requires_grad_()
            for name, x in inputs.items()
        }

    def transposed(self, name: str, x: Tensor) -> Tensor:
        """From our layout to this road's, or back."""
        swaps = self.layout == "bdl" and name in (*TOKENS, "y")
        return x.transpose(1, 2) if swaps else x


def make_inputs(
    length: int,
    *,
    batch: int = 1,
    channels: int = 384,
    states: int = 16,
    seed: int = 0,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Inputs:
    """Numbers like those of a Mamba layer: delta between 0.001 and 0.1 for most tokens.

    Returns:
        u, delta, z (b, l, d); B, C (b, l, n); A (d, n); D, delta_bias (d,).
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    tokens = (batch, length)
    rates = torch.arange(1.0, states + 1).repeat(channels, 1)
    low, high = math.log(1e-3), math.log(1e-1)
    step = torch.empty(channels).uniform_(low, high, generator=generator).exp()
    inputs = dict(
        u=draw(*tokens, channels).to(dtype),
        delta=(0.5 * draw(*tokens, channels)).to(dtype),
        A=-rates * (0.2 * draw(channels, states)).exp(),
        B=draw(*tokens, states).to(dtype),
        C=draw(*tokens, states).to(dtype),
        D=draw(channels),
        z=draw(*tokens, channels).to(dtype),
        delta_bias=step + torch.log(-torch.expm1(-step)),
    )
    return {name: x.to(device) for name, x in inputs.items()}


def roads(device: str) -> tuple[list[Road], dict[str, str]]:
    """Roads that can run here, and the reasons why the rest cannot."""
    absent: dict[str, str] = {}
    found = []
    ours = ("triton", "torch") if device == "cuda" else ("cpu", "torch", "reference")
    for name in ours:
        reason = missing_reason(name)
        if reason is None:
            label = "loop, unbind" if name == "reference" else name
            found.append(Road(label, partial(_ours, name), ours=name != "reference"))
        else:
            absent[name] = reason
    if device == "cpu" and "cpu" not in absent:
        lesser = [x for x in supported_isas() if x == "avx2"]
        if lesser and library.instruction_set() != "avx2":
            avx2 = partial(library.forced_instruction_set, "avx2")
            run = partial(_ours, "cpu")
            found.insert(1, Road("cpu, avx2", run, ours=True, around=avx2))
    if device == "cpu":
        reason = ggml_scan.missing()
        if reason is None:
            label = f"ggml, {ggml_scan.instruction_set()}"
            place = sum(road.name.startswith("cpu") for road in found)  # beside them
            found.insert(place, Road(label, ggml_scan.scan, backward=False))
        else:
            absent["ggml"] = reason
    if device == "cuda":
        reason = missing_reason("mamba_ssm")
        if reason is None:
            found.append(Road("mamba-ssm's kernel", _mamba_ssm_kernel, "bdl"))
        else:
            absent["mamba-ssm's kernel"] = reason
    found.append(Road("mamba-ssm's formula", mamba_ssm_formula, "bdl"))
    if importlib.util.find_spec("transformers"):
        found.append(Road("Hugging Face", _hugging_face, "bdl"))
    else:
        absent["Hugging Face"] = "`pip install transformers`"
    if importlib.util.find_spec("mambapy"):
        found.append(Road("mamba.py's pscan", _pscan))
    else:
        absent["mamba.py's pscan"] = "`pip install mambapy`"
    return found, absent


def versions(device: str) -> dict[str, str]:
    """Of the rivals' packages that are here."""
    names = [x for x in ("transformers", "mambapy") if importlib.util.find_spec(x)]
    found = {name: metadata.version(name) for name in names}
    if device == "cpu" and ggml_scan.missing() is None:
        found["ggml"] = ggml_scan.version()
    return found


def _ours(backend: str, inputs: Inputs) -> Tensor:
    return selective_scan(**inputs, delta_softplus=True, backend=backend)


def mamba_ssm_formula(x: Inputs) -> Tensor:
    """The formula that mamba-ssm documents as its kernel's meaning, by its semantics.

    Discretised for all tokens at once, then one step a token with ``[:, :, i]``, as its
    ``selective_scan_ref`` indexes. The gradient of each such index is a tensor of the
    whole size, so the backward is quadratic in l. Written anew for this comparison.

    Args:
        x: u, delta, z (b, d, l); B, C (b, n, l); A (d, n); D, delta_bias (d,).

    Returns:
        (b, d, l).
    """
    delta = F.softplus(x["delta"] + x["delta_bias"][:, None])
    decay = torch.exp(torch.einsum("bdl,dn->bdln", delta, x["A"]))
    drive = torch.einsum("bdl,bnl,bdl->bdln", delta, x["B"], x["u"])
    state = decay.new_zeros(decay[:, :, 0].shape)  # (b, d, n)
    outputs = []
    for i in range(decay.shape[2]):
        state = decay[:, :, i] * state + drive[:, :, i]
        outputs.append(torch.einsum("bdn,bn->bd", state, x["C"][:, :, i]))
    y = torch.stack(outputs, dim=2) + x["u"] * x["D"][:, None]
    return y * F.silu(x["z"])


def _hugging_face(inputs: Inputs) -> Tensor:
    from transformers.models.mamba.modeling_mamba import mamba_selective_scan

    names = dict(inputs)
    u, delta = names.pop("u"), names.pop("delta")
    return mamba_selective_scan(u, delta, **names, delta_softplus=True)


def _pscan(x: Inputs) -> Tensor:
    """mamba.py's ``selective_scan``, around its parallel scan."""
    from mambapy.pscan import pscan

    delta = F.softplus(x["delta"] + x["delta_bias"])
    decay = torch.exp(delta.unsqueeze(-1) * x["A"])  # (b, l, d, n)
    drive = (delta * x["u"]).unsqueeze(-1) * x["B"].unsqueeze(2)
    states = pscan(decay, drive)
    y = (states @ x["C"].unsqueeze(-1)).squeeze(3) + x["u"] * x["D"]
    return y * F.silu(x["z"])


def _mamba_ssm_kernel(inputs: Inputs) -> Tensor:
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    return selective_scan_fn(**inputs, delta_softplus=True)


def forward(road: Road, leaves: Inputs) -> Tensor:
    with torch.no_grad(), road.around():
        return road.run(leaves)


def forward_backward(road: Road, leaves: Inputs, grad: Tensor) -> tuple[Tensor, ...]:
    """Gradients of every input, in their order; ``grad`` has the road's layout."""
    with road.around():
        return torch.autograd.grad(road.run(leaves), list(leaves.values()), grad)


def errors(road: Road, inputs: Inputs, truth: dict[str, Tensor]) -> dict[str, float]:
    """Largest error of what ``truth`` has, each against its largest value.

    Args:
        truth: float64 tensors in our layout: ``y``, and gradients by input, which a
            road without a backward is not asked for.
    """
    leaves = road.prepare(inputs)
    values = {"y": forward(road, leaves)}
    if len(truth) > 1 and road.backward:
        grad = road.transposed("y", torch.ones_like(inputs["u"]))
        grads = forward_backward(road, leaves, grad)
        values |= dict(zip(leaves, grads, strict=True))
    found = {}
    for name in values.keys() & truth.keys():
        expected = truth[name]
        value = road.transposed(name, values[name].detach()).double()
        if not bool(value.isfinite().all()):
            found[name] = math.inf
            continue
        error = (value - expected).abs().max() / expected.abs().max()
        found[name] = float(error)
    return found


def truth_of(inputs: Inputs, *, backward: bool) -> dict[str, Tensor]:
    """float64: with gradients (of the sum) by ``reference``, else y alone by ``torch``,
    which needs no memory for all states."""
    leaves = {
        k: x.double().detach().requires_grad_(backward) for k, x in inputs.items()
    }
    with torch.set_grad_enabled(backward):
        y = _ours("reference" if backward else "torch", leaves)
    found = {"y": y.detach()}
    if backward:
        grads = torch.autograd.grad(y.sum(), list(leaves.values()))
        found |= dict(zip(leaves, grads, strict=True))
    return found
