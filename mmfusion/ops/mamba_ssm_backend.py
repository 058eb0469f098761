"""The backend ``mamba_ssm``: the CUDA kernels of mamba-ssm and causal-conv1d, no fork.

Stock kernels know one direction and the layout (b, d, l). They treat channels
independently, so a second direction becomes further channels of the same call: its
tokens are flipped, B and C are the groups of their channels, A, D and delta_bias are
concatenated.

The kernels' backward adds with atomics: gradients of A, B, C differ in the last digits
from run to run.
"""

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor

from mmfusion.ops.backends import Backend, Call, ConvCall, ScanCall

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

    def refuses(self, call: Call) -> str | None:
        if isinstance(call, ConvCall):
            return _refuses_conv(call)
        if not isinstance(call, ScanCall):
            return "it has kernels for scans and convolutions alone"
        u = call.directions[0].u
        if not _on_cuda(u):
            return f"the tensors are on {u.device}, it serves CUDA"
        return _refuses_numbers(call) or _refuses_gradients(call)

    def scan(self, call: ScanCall) -> tuple[Tensor, Tensor | None]:
        scan = _probe_scan()[0]
        assert scan is not None  # missing() was asked
        dtype, count = _common_dtype(call), len(call.directions)
        u, delta, A, B, C, D, delta_bias = zip(*call.directions, strict=True)

        def side_by_side(tensors: tuple[Tensor, ...]) -> Tensor:
            """(b, l, x) of each direction -> (b, directions, x, l) in scan order."""
            parts = [
                (x.flip(1) if reverse else x).to(dtype).transpose(1, 2)
                for x, reverse in zip(tensors, call.reverse, strict=True)
            ]
            return torch.stack(parts, 1)

        # one direction: the kernel gates as well
        z, gate = call.z, None
        if count == 1 and z is not None:
            gate = side_by_side((z,)).flatten(1, 2)  # (b, d, l)
        rates = torch.cat(A)  # (directions d, n)
        out = scan(
            u=side_by_side(u).flatten(1, 2),
            delta=side_by_side(delta).flatten(1, 2),
            A=rates,
            B=side_by_side(B),
            C=side_by_side(C),
            D=_cat_optional(D, rates),
            z=gate,
            delta_bias=_cat_optional(delta_bias, rates),
            delta_softplus=call.delta_softplus,
            return_last_state=call.return_last_state,
        )
        y, last = out if call.return_last_state else (out, None)
        y = y.unflatten(1, (count, -1)).transpose(2, 3)  # (b, directions, l, d)
        first, *others = (
            part.flip(1) if reverse else part
            for part, reverse in zip(y.unbind(1), call.reverse, strict=True)
        )
        y = sum(others, start=first)
        if z is not None and gate is None:
            y = y * F.silu(z.to(y.dtype))
        y = y.to(call.directions[0].u.dtype)
        return y, None if last is None else last.detach()

    def conv(self, call: ConvCall) -> Tensor:
        convolve = _probe_conv()
        assert convolve is not None  # refuses() was asked
        x = (call.x.flip(1) if call.reverse else call.x).transpose(1, 2)  # (b, d, l)
        if not _is_channel_last(x):
            # not contiguous(): it leaves any stride to an axis of one token
            x = x.clone(memory_format=torch.contiguous_format)
        bias = None if call.bias is None else call.bias.to(call.weight.dtype)
        activation = "silu" if call.silu else None
        y = convolve(x=x, weight=call.weight, bias=bias, activation=activation)
        y = y.transpose(1, 2)  # (b, l, d)
        return y.flip(1) if call.reverse else y


def _cat_optional(parts: tuple[Tensor | None, ...], A: Tensor) -> Tensor | None:
    """(d,) of each direction -> (directions d,); None is zeros beside another."""
    if all(x is None for x in parts):
        return None
    zeros = A.new_zeros(len(A) // len(parts))
    return torch.cat([zeros if x is None else x for x in parts])


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


def _refuses_conv(call: ConvCall) -> str | None:
    x, width = call.x, call.weight.shape[1]
    if not _on_cuda(x) or x.dtype not in _DTYPES or width not in _WIDTHS:
        return f"x is {x.dtype} on {x.device}, with {width} taps"
    return None if _probe_conv() is not None else "causal-conv1d is not available"


def _is_channel_last(x: Tensor) -> bool:
    """Tell whether causal-conv1d's channel-last kernel takes x (b, d, l) as it lies.

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
    """Arguments, of those passed by keyword, that a function does not have."""
    if function is None:
        return "does not exist"
    names = inspect.signature(function).parameters
    lacking = [name for name in wanted if name not in names]
    return f"lacks the arguments {', '.join(lacking)}" if lacking else ""


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"


BACKEND = MambaSsmBackend()
