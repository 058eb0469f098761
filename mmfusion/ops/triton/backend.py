"""The backend ``triton``: own GPU kernels, both directions in one launch, no atomics.

With ``TRITON_INTERPRET=1`` in the environment, Triton runs the kernels in Python: for
tests of correctness on a CPU, at tiny sizes. Nothing here needs triton to import.
"""

import importlib.util
import os

import torch
from torch import Tensor

from mmfusion.ops.backends import Backend, Call, ConvCall, ScanCall, ScanInputs

_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_MAX_STATES = 256
_MAX_BATCH = 32767  # a grid has at most 65535 rows: directions x batch
_MAX_WIDTH = 8  # the loops over a filter are unrolled, in the backward w x w times
_INSTALL = "pip install triton==3.8.0 (it comes with a CUDA build of torch)"


class TritonBackend(Backend):
    """Sequential in time by segments, a lane a channel; see ``scan_kernels.py``."""

    name = "triton"

    def missing(self) -> str | None:
        if importlib.util.find_spec("triton") is None:
            return f"triton is not installed; {_INSTALL}"
        if not (torch.cuda.is_available() or _interpreted()):
            return (
                "there is no CUDA device; on a CPU Triton's interpreter runs its"
                " kernels, slowly: set TRITON_INTERPRET=1 before Python starts"
            )
        return None

    def refuses(self, call: Call) -> str | None:
        if isinstance(call, ConvCall):
            if call.weight.shape[1] > _MAX_WIDTH:
                return f"the filter is wider than {_MAX_WIDTH}"
            return _refuses_tensor(call.x)
        if not isinstance(call, ScanCall):
            return "it has kernels for scans and convolutions alone"
        one = call.directions[0]
        tensors = [x for d in call.directions for x in (d.u, d.delta, d.B, d.C)]
        for tensor in tensors if call.z is None else [*tensors, call.z]:
            reason = _refuses_tensor(tensor)
            if reason is not None:
                return reason
        if one.A.shape[1] > _MAX_STATES:
            return f"n is {one.A.shape[1]}, its kernels take at most {_MAX_STATES}"
        return None

    def scan(self, call: ScanCall) -> tuple[Tensor, Tensor | None]:
        from mmfusion.ops.triton.scan import forward_op

        pairs = [
            _same_dtype(x) for x in zip(*(d[:5] for d in call.directions), strict=True)
        ]
        u, delta, A, B, C = pairs
        B, C = ([x.unsqueeze(2) for x in both] for both in (B, C))  # (b, l, 1, n)
        D, delta_bias = _by_direction(call.directions)
        initial = call.initial_state
        if initial is not None:
            initial = initial.unsqueeze(1).transpose(2, 3).contiguous()  # (b, 1, n, d)
        tensors = (*u, *delta, *A, *B, *C, D, delta_bias, call.z, initial)
        save = torch.is_grad_enabled() and any(
            x is not None and x.requires_grad for x in tensors
        )
        y, last, *_ = forward_op(
            u, delta, torch.stack(A), B, C, D, delta_bias, call.z, initial,
            call.delta_softplus, list(call.reverse), [u[0].shape[1]],
            call.return_last_state, save,
        )  # fmt: skip
        if not call.return_last_state:
            return y, None
        return y, last.transpose(2, 3).squeeze(1)  # (b, d, n)

    def conv(self, call: ConvCall) -> Tensor:
        from mmfusion.ops.triton.conv import forward_op

        x, length = call.x, call.x.shape[1]
        return forward_op(x, call.weight, call.bias, call.silu, call.reverse, [length])


def _interpreted() -> bool:
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on", "yes")


def _refuses_tensor(x: Tensor) -> str | None:
    if not (x.is_cuda or _interpreted()):
        return f"the tensors are on {x.device}, it serves CUDA"
    if x.dtype not in _DTYPES:
        return f"the dtype is {x.dtype}, it computes in float32"
    if x.shape[1] * max(x.stride(1), x.shape[2:].numel()) >= 2**31:
        return f"one batch entry {tuple(x.shape[1:])} spans more than 2^31 elements"
    if x.shape[0] > _MAX_BATCH:
        return f"the batch is {x.shape[0]}, a launch takes at most {_MAX_BATCH}"
    return None


def _same_dtype(tensors: tuple[Tensor, ...]) -> list[Tensor]:
    """One input of both directions in one dtype; a mixture becomes float32."""
    if len({x.dtype for x in tensors}) > 1:
        return [x.float() for x in tensors]
    return list(tensors)


def _by_direction(directions: tuple[ScanInputs, ...]) -> list[Tensor | None]:
    """D and delta_bias as (s, 1, d); zeros for a direction without, None for none."""
    zeros = directions[0].A.new_zeros(directions[0].u.shape[2])

    def stacked(values: tuple[Tensor | None, ...]) -> Tensor | None:
        if all(x is None for x in values):
            return None
        filled = [zeros if x is None else x for x in values]
        return torch.stack(filled).unsqueeze(1)

    return [stacked(x) for x in zip(*(d[5:] for d in directions), strict=True)]


BACKEND = TritonBackend()
