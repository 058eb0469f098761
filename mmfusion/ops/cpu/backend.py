"""The ``cpu`` backend: the C++ kernels as PyTorch operators, a file for each.

``mmfusion::cpu_scan``, ``cpu_conv``, ``cpu_inner`` and ``cpu_add_norm`` are opaque to
torch.compile; their gradients are operators too.
"""

import torch
from torch import Tensor

from mmfusion.ops.backends import Backend, InnerCall, ScanCall
from mmfusion.ops.cpu import conv, inner, library, norm, scan  # noqa: F401  registers
from mmfusion.ops.precision import full_precision


class CpuBackend(Backend):
    """The kernels in C++; float32, bfloat16 and float16 on a CPU."""

    name = "cpu"

    def missing(self) -> str | None:
        """Builds the kernels where they are not built yet."""
        return library.missing_reason()

    def refuses(self, call: ScanCall) -> str | None:
        one = call.directions[0]
        if one.u.device.type != "cpu":
            return f"the tensors are on {one.u.device}, it serves the CPU"
        if one.u.dtype not in library.DTYPES:
            served = ", ".join(str(dtype) for dtype in library.DTYPES)
            return f"u is {one.u.dtype}, it serves {served}"
        if one.A.shape[1] > library.MAX_STATES:
            return f"n is {one.A.shape[1]}, it serves up to {library.MAX_STATES}"
        return None

    def scan(self, call: ScanCall) -> tuple[Tensor, Tensor | None]:
        second = call.directions[1] if len(call.directions) == 2 else [None] * 7
        y, last, _ = torch.ops.mmfusion.cpu_scan(
            *call.directions[0],
            *second,
            call.z,
            call.initial_state,
            call.reverse,
            call.delta_softplus,
            call.lengths or (),
            call.return_last_state,
            False,
        )
        return y, last if call.return_last_state else None

    def conv(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        silu: bool,
        reverse: bool,
        lengths: tuple[int, ...] | None,
    ) -> Tensor:
        if not _serves(x):
            return NotImplemented
        if weight.dtype == torch.float64 or weight.shape[1] > library.MAX_WIDTH:
            return NotImplemented
        return torch.ops.mmfusion.cpu_conv(
            x, weight, bias, silu, reverse, lengths or ()
        )

    def inner(self, call: InnerCall) -> Tensor:
        first, *rest = call.directions
        if not _serves(call.xz) or first.A_log.shape[1] > library.MAX_STATES:
            return NotImplemented
        if any(x.conv_weight.shape[1] > library.MAX_WIDTH for x in call.directions):
            return NotImplemented
        second = rest[0] if rest else [None] * len(first)
        with full_precision(call.xz):
            return torch.ops.mmfusion.cpu_inner(
                call.xz, *first, *second, call.gated, False
            )[0]

    def add_norm(
        self, x: Tensor, residual: Tensor, weight: Tensor, eps: float
    ) -> tuple[Tensor, Tensor]:
        if x.dim() != 3 or 0 in x.shape:
            return NotImplemented
        if not _serves(x) or weight.dtype != torch.float32:
            return NotImplemented
        return torch.ops.mmfusion.cpu_add_norm(x, residual, weight, eps)[:2]


def _serves(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype in library.DTYPES


BACKEND = CpuBackend()
