"""The ``cpu`` backend: the C++ kernels as PyTorch operators, a file for each.

``mmfusion::cpu_scan``, ``cpu_conv``, ``cpu_inner`` and ``cpu_add_norm`` are opaque to
torch.compile; their gradients are operators too.
"""

import torch
from torch import Tensor

from mmfusion.ops.backends import Backend, Call, ConvCall, InnerCall, NormCall, ScanCall
from mmfusion.ops.cpu import conv, inner, library, norm, scan  # noqa: F401  registers
from mmfusion.ops.precision import full_precision


class CpuBackend(Backend):
    """Kernels in C++; float32, bfloat16 and float16 on a CPU."""

    name = "cpu"

    def missing(self) -> str | None:
        """Builds the kernels where they are not built yet."""
        return library.missing_reason()

    def refuses(self, call: Call) -> str | None:
        if isinstance(call, ScanCall):
            scanned = call.directions[0]
            return _refuses(scanned.u, states=scanned.A.shape[1])
        if isinstance(call, ConvCall):
            return _refuses(call.x, call.weight)
        if isinstance(call, NormCall):
            x, weight = call.x, call.weight
            if x.dim() != 3 or 0 in x.shape or weight.dtype != torch.float32:
                return "it serves (b, l, d), none 0, and a float32 weight"
            return _refuses(x)
        one = call.directions[0]
        return _refuses(call.xz, one.conv_weight, one.A_log.shape[1])

    def scan(self, call: ScanCall) -> tuple[Tensor, Tensor | None]:
        second = call.directions[1] if len(call.directions) == 2 else [None] * 7
        y, last, _ = torch.ops.mmfusion.cpu_scan(
            *call.directions[0],
            *second,
            call.z,
            call.initial_state,
            call.reverse,
            call.delta_softplus,
            call.return_last_state,
            False,
        )
        return y, last if call.return_last_state else None

    def conv(self, call: ConvCall) -> Tensor:
        return torch.ops.mmfusion.cpu_conv(
            call.x, call.weight, call.bias, call.silu, call.reverse
        )

    def inner(self, call: InnerCall) -> Tensor:
        first, *rest = call.directions
        second = rest[0] if rest else [None] * len(first)
        with full_precision(call.xz):
            return torch.ops.mmfusion.cpu_inner(
                call.xz, *first, *second, call.gated, False
            )[0]

    def add_norm(self, call: NormCall) -> tuple[Tensor, Tensor]:
        return torch.ops.mmfusion.cpu_add_norm(
            call.x, call.residual, call.weight, call.eps
        )[:2]


def _refuses(x: Tensor, weight: Tensor | None = None, states: int = 1) -> str | None:
    """x: the tokens. weight: (d, w), a filter. states: n."""
    if x.device.type != "cpu":
        return f"the tensors are on {x.device}, it serves the CPU"
    if x.dtype not in library.DTYPES:
        served = ", ".join(str(dtype) for dtype in library.DTYPES)
        return f"the dtype is {x.dtype}, it serves {served}"
    if states > library.MAX_STATES:
        return f"n is {states}, it serves up to {library.MAX_STATES}"
    if weight is not None and weight.shape[1] > library.MAX_WIDTH:
        return f"the filter has {weight.shape[1]} taps, it serves {library.MAX_WIDTH}"
    return None


BACKEND = CpuBackend()
