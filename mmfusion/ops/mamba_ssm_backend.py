"""The backend ``mamba_ssm``: the CUDA kernels of mamba-ssm and causal-conv1d, no fork.

Stock kernels know one direction, one sequence length, and the layout (b, d, l). All of
them treat channels independently, so every (direction, sequence) pair becomes a block
of channels of one call: reversed ones are flipped, B and C are the groups of their
block, A, D and delta_bias are repeated or stacked. Sequences of different length are
padded in front with u = 0, which leaves the state at exactly 0 for any A and delta, and
the last state where it belongs. (The alternative, a separator with a delta so large
that the state decays to 0, is exact only where A is far enough from 0.) So that padding
at most doubles the work, sequences of half the length or less go into another call.

The kernels' backward adds with atomics: gradients of A, B, C differ in the last digits
from run to run.
"""

import inspect
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor

from mmfusion.ops.backends import Backend, ScanCall, ScanInputs

_INSTALL = (
    "MAMBA_KEEP_CUDA_BUILD=TRUE pip install --no-build-isolation"
    " -r requirements/gpu.txt, with nvcc and a CUDA build of torch"
)
_SCAN_ARGUMENTS = (
    "u", "delta", "A", "B", "C", "D", "z", "delta_bias", "delta_softplus",
    "return_last_state",
)  # fmt: skip
_CONV_ARGUMENTS = ("x", "weight", "bias", "activation")
_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_MAX_STATES = 256  # of its kernel
_WIDTHS = (2, 3, 4)  # of causal-conv1d's


class MambaSsmBackend(Backend):
    """Stock ``selective_scan_fn`` and ``causal_conv1d_fn``, called by keyword."""

    name = "mamba_ssm"

    def missing(self) -> str | None:
        if not torch.cuda.is_available():
            return "there is no CUDA device, and mamba-ssm has CUDA kernels only"
        return _probe_scan()[1]

    def refuses(self, call: ScanCall) -> str | None:
        u = call.directions[0].u
        if not _on_cuda(u):
            return f"the tensors are on {u.device}, it serves CUDA"
        return _refuses_numbers(call) or _refuses_gradients(call)

    def scan(self, call: ScanCall) -> tuple[Tensor, Tensor | None]:
        lengths = call.lengths or (call.directions[0].u.shape[1],)
        dtype = _common_dtype(call)
        ends = [sum(lengths[: i + 1]) for i in range(len(lengths))]
        outputs: dict[int, Tensor] = {}  # by sequence
        states: dict[int, Tensor] = {}
        # one sequence in one direction: the kernel gates as well
        gated = len(lengths) == len(call.directions) == 1
        for bucket in _buckets(lengths):
            blocks = [
                _Block(one, reverse, k, slice(ends[k] - lengths[k], ends[k]), dtype)
                for k in bucket
                for one, reverse in zip(call.directions, call.reverse, strict=True)
            ]
            done = zip(blocks, *_run(blocks, call, gated), strict=True)
            for block, out, last in done:
                k = block.sequence
                outputs[k] = outputs[k] + out if k in outputs else out
                states[k] = last
        parts = [outputs[k] for k in range(len(lengths))]
        y = torch.cat(parts, 1) if len(parts) > 1 else parts[0]  # (b, l, d)
        if call.z is not None and not gated:
            y = y * F.silu(call.z.to(y.dtype))
        y = y.to(call.directions[0].u.dtype)
        if not call.return_last_state:
            return y, None
        last_states = torch.stack([states[k] for k in range(len(lengths))], 1)
        return y, last_states if call.lengths else last_states.squeeze(1)

    def conv(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        silu: bool,
        reverse: bool,
        lengths: tuple[int, ...] | None,
    ) -> Tensor:
        convolve = _probe_conv()
        fits = _on_cuda(x) and x.dtype in _DTYPES and weight.shape[1] in _WIDTHS
        if convolve is None or not fits:
            return NotImplemented
        return _convolve(convolve, x, weight, bias, silu, reverse, lengths)


class _Block:
    """One sequence in one direction as the kernel takes it, in scan order.

    Attributes:
        sequence: its index. ordered: brings any tokens (b, l, ...) into scan order.
        u, delta: (b, d, l). B, C: (b, g, n, l). A: (d, n). D, delta_bias: (d,) or None.
    """

    def __init__(
        self, one: ScanInputs, reverse: bool, k: int, tokens: slice, dtype: torch.dtype
    ) -> None:
        def ordered(x: Tensor) -> Tensor:
            x = x[:, tokens].to(dtype)
            return x.flip(1) if reverse else x

        self.sequence, self.reverse, self.ordered = k, reverse, ordered
        self.u, self.delta = (ordered(x).transpose(1, 2) for x in one[:2])
        self.B, self.C = (ordered(x).permute(0, 2, 3, 1) for x in one[3:5])
        self.A = one.A
        self.D, self.delta_bias = (
            x if x is None or x.dim() == 1 else x[k] for x in (one.D, one.delta_bias)
        )

    def in_tokens_order(self, y: Tensor) -> Tensor:
        """(b, d, l or longer) in scan order -> (b, l, d); padding is in front."""
        y = y[..., y.shape[-1] - self.u.shape[-1] :].transpose(1, 2)
        return y.flip(1) if self.reverse else y


def _run(
    blocks: list[_Block], call: ScanCall, gated: bool
) -> tuple[list[Tensor], list[Tensor]]:
    """One call of the kernel: for each block y (b, l, d) and last state (b, d, n).

    The last states are empty where the call does not want them.
    """
    scan = _probe_scan()[0]
    assert scan is not None  # missing() was asked
    z = (
        blocks[0].ordered(call.z).transpose(1, 2)
        if gated and call.z is not None
        else None
    )
    out = scan(
        u=_side_by_side([x.u for x in blocks]),
        delta=_side_by_side([x.delta for x in blocks]),
        A=torch.cat([x.A for x in blocks]),
        B=_side_by_side([x.B for x in blocks]),
        C=_side_by_side([x.C for x in blocks]),
        D=_cat_optional([x.D for x in blocks], blocks[0].A),
        z=None if z is None else z.contiguous(),
        delta_bias=_cat_optional([x.delta_bias for x in blocks], blocks[0].A),
        delta_softplus=call.delta_softplus,
        return_last_state=call.return_last_state,
    )
    y, last = out if call.return_last_state else (out, None)
    ys = y.chunk(len(blocks), 1)  # (b, d, l) each
    outputs = [x.in_tokens_order(part) for x, part in zip(blocks, ys, strict=True)]
    last = y.new_empty(0, len(blocks)) if last is None else last.detach()
    return outputs, list(last.chunk(len(blocks), 1))


def _side_by_side(parts: list[Tensor]) -> Tensor:
    """(b, d, l) or (b, g, n, l) of several lengths, on axis 1; zeros come in front."""
    longest = max(x.shape[-1] for x in parts)
    padded = [F.pad(x, (longest - x.shape[-1], 0)) for x in parts]
    return torch.cat(padded, 1) if len(padded) > 1 else padded[0].contiguous()


def _cat_optional(parts: list[Tensor | None], A: Tensor) -> Tensor | None:
    """(d,) of each block -> (blocks d,); zeros for a block without, None for none."""
    if all(x is None for x in parts):
        return None
    return torch.cat([A.new_zeros(len(A)) if x is None else x for x in parts])


def _buckets(lengths: tuple[int, ...]) -> list[list[int]]:
    """Indices of sequences that go into one call: more than half the longest's length.

    >>> _buckets((1569, 20, 900, 15))
    [[0, 2], [1, 3]]
    """
    order = sorted(range(len(lengths)), key=lambda k: -lengths[k])
    buckets: list[list[int]] = []
    for k in order:
        if buckets and 2 * lengths[k] > lengths[buckets[-1][0]]:
            buckets[-1].append(k)
        else:
            buckets.append([k])
    return buckets


def _common_dtype(call: ScanCall) -> torch.dtype:
    """The kernel wants one dtype for u, delta, B, C, z: a mixture becomes float32.

    A float32 delta beside half-precision u is not rounded: its errors add up in time.
    """
    tensors = [x for d in call.directions for x in (d.u, d.delta, d.B, d.C)]
    dtypes = {x.dtype for x in (*tensors, call.z) if x is not None}
    return dtypes.pop() if len(dtypes) == 1 else torch.float32


def _on_cuda(x: Tensor) -> bool:
    return x.is_cuda


def _refuses_numbers(call: ScanCall) -> str | None:
    one = call.directions[0]
    if one.u.dtype not in _DTYPES:
        return f"the dtype is {one.u.dtype}, its kernels keep the state in float32"
    if one.A.is_complex():
        return "A is complex, which only the kernels of mamba-ssm know, not this door"
    if one.A.shape[1] > _MAX_STATES:
        return f"n is {one.A.shape[1]}, its kernels take at most {_MAX_STATES}"
    if call.initial_state is not None:
        return "an initial state is given, its kernels start from zero"
    return None


def _refuses_gradients(call: ScanCall) -> str | None:
    tensors = [x for d in call.directions for x in d] + [call.z]
    learns = torch.is_grad_enabled() and any(
        x is not None and x.requires_grad for x in tensors
    )
    if learns and call.return_last_state:
        return "its last state has no gradient; ask for it under torch.no_grad()"
    if learns and torch.are_deterministic_algorithms_enabled():
        return "its backward adds with atomics, and deterministic results are asked for"
    return None


def _convolve(
    convolve: Callable[..., Tensor],
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    silu: bool,
    reverse: bool,
    lengths: tuple[int, ...] | None,
) -> Tensor:
    """x (b, l, d) -> (b, l, d), one call for each sequence."""
    if lengths is not None and len(lengths) > 1:
        one = partial(_convolve, convolve, lengths=None)
        parts = [one(part, weight, bias, silu, reverse) for part in x.split(lengths, 1)]
        return torch.cat(parts, 1)
    x = (x.flip(1) if reverse else x).transpose(1, 2)  # (b, d, l)
    if not _is_channel_last(x):
        # not contiguous(): it leaves any stride to an axis of one token
        x = x.clone(memory_format=torch.contiguous_format)
    bias = None if bias is None else bias.to(weight.dtype)
    y = convolve(x=x, weight=weight, bias=bias, activation="silu" if silu else None)
    y = y.transpose(1, 2)  # (b, l, d)
    return y.flip(1) if reverse else y


def _is_channel_last(x: Tensor) -> bool:
    """Whether causal-conv1d's channel-last kernel takes x (b, d, l) as it lies.

    It loads 16 bytes at a time, so sizes, strides and the start are multiples of 8.
    """
    multiples = (x.shape[1], x.stride(0), x.stride(2), x.storage_offset())
    return x.stride(1) == 1 and not any(value % 8 for value in multiples)


@lru_cache(maxsize=1)
def _probe_scan() -> tuple[Callable[..., Any] | None, str | None]:
    """``selective_scan_fn``, or why it cannot be used."""
    try:
        import mamba_ssm
        from mamba_ssm.ops import selective_scan_interface as interface
    except (
        Exception
    ) as error:  # its __init__ loads CUDA libraries, which fail variously
        return None, f"import mamba_ssm: {_said(error)}; {_INSTALL}"
    version = getattr(mamba_ssm, "__version__", "of unknown version")
    if getattr(interface, "selective_scan_cuda", None) is None:
        return None, (
            f"mamba-ssm {version} was built without the CUDA op of Mamba-1"
            f" (selective_scan_cuda); {_INSTALL}"
        )
    lacking = _lacking(getattr(interface, "selective_scan_fn", None), _SCAN_ARGUMENTS)
    if lacking:
        return None, f"selective_scan_fn of mamba-ssm {version} {lacking}; {_INSTALL}"
    return interface.selective_scan_fn, None


@lru_cache(maxsize=1)
def _probe_conv() -> Callable[..., Tensor] | None:
    """``causal_conv1d_fn``; None, and one line in the log, where it cannot be used."""
    try:
        import causal_conv1d
    except Exception as error:
        reason = f"import causal_conv1d: {_said(error)}"
    else:
        function = getattr(causal_conv1d, "causal_conv1d_fn", None)
        lacking = _lacking(function, _CONV_ARGUMENTS)
        if not lacking:
            return function
        version = getattr(causal_conv1d, "__version__", "of unknown version")
        reason = f"causal_conv1d_fn of causal-conv1d {version} {lacking}"
    print_log(f"PyTorch's convolution is used: {reason}; {_INSTALL}", logger="current")
    return None


def _lacking(function: Callable[..., Any] | None, wanted: tuple[str, ...]) -> str:
    """What a function is missing of the arguments that are passed by keyword."""
    if function is None:
        return "does not exist"
    names = inspect.signature(function).parameters
    lacking = [name for name in wanted if name not in names]
    return f"lacks the arguments {', '.join(lacking)}" if lacking else ""


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


BACKEND = MambaSsmBackend()
