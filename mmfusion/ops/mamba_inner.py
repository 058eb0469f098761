"""A Mamba layer between its two outer projections.

Shapes: b batch, l tokens, e inner channels, n state, r rank of delta, w filter width.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmfusion.ops.backends import InnerCall, InnerParameters, ScanInputs, own_kernel
from mmfusion.ops.causal_conv1d import causal_conv1d
from mmfusion.ops.checks import check_axes
from mmfusion.ops.precision import autocast_dtype, full_dtype, full_precision
from mmfusion.ops.selective_scan import bidirectional_scan, selective_scan
from mmfusion.utils.errors import InputError

# of InnerParameters: those that say the sizes, and the others
_FIRST_AXES = dict(A_log="e n", dt_proj="e r", conv_weight="e w")
_OTHER_AXES = dict(x_proj="r+2n e", dt_bias="e", D="e", conv_bias="e?")


def mamba_inner(
    xz: Tensor,
    forward: InnerParameters,
    backward: InnerParameters | None = None,
    gated: bool = True,
    backend: str = "auto",
) -> Tensor:
    """Convolve, project and scan (Gu and Dao, 2023, figure 3; VideoMamba's both ways).

    u = silu(conv(x)); delta, B, C are projections of u; y = silu(z) (scan(u)), and with
    ``backward`` the scans of both directions are summed before the gate. Equals
    :func:`causal_conv1d`, :func:`project` and a scan one after the other, but goes to
    the backend as one call.

    Args:
        xz: (b, l, 2e), x and the gate z side by side; (b, l, e) without a gate.
        forward: parameters of the scan from first to last token.
        backward: of the other, of the same shapes; None: one direction.
        gated: whether xz holds a gate. backend: as in :func:`selective_scan`.

    Returns:
        (b, l, e) in the dtype of xz; under autocast in autocast's.

    Raises:
        ValueError: a shape, dtype or device does not fit; the backend is unknown, not
            available here, or cannot serve this call.
    """
    sizes: dict[str, int] = {}
    directions = [_check("forward", forward, xz, gated, sizes)]
    if backward is not None:
        directions.append(_check("backward", backward, xz, gated, sizes))
    dtype = autocast_dtype(xz)
    call = InnerCall(
        xz.to(dtype), tuple(_precise(one, dtype) for one in directions), gated
    )
    choice = own_kernel(call, xz.device, backend)
    return _compose(call, backend) if choice is None else choice.inner(call)


def project(u: Tensor, one: InnerParameters) -> ScanInputs:
    """Project (..., e) after the convolution to the inputs of one direction's scan.

    delta, A and D are in at least float32, whatever autocast says.
    """
    rank, states = one.dt_proj.shape[1], one.A_log.shape[1]
    dt_B_C = F.linear(u, one.x_proj)  # (..., r + 2n)
    dt, B, C = dt_B_C.split([rank, states, states], dim=-1)
    with full_precision(dt):
        weight = _full(one.dt_proj)
        delta = F.linear(dt.to(weight.dtype), weight)  # (..., e); bias: in the scan
    A = -torch.exp(_full(one.A_log))  # (e, n)
    return ScanInputs(u, delta, A, B, C, _full(one.D), _full(one.dt_bias))


def _compose(call: InnerCall, backend: str) -> Tensor:
    """The parts, each by its own door."""
    x, z = call.xz.chunk(2, dim=-1) if call.gated else (call.xz, None)
    scans = []
    for one, reverse in zip(call.directions, (False, True), strict=False):
        weight, bias = one.conv_weight, one.conv_bias
        u = causal_conv1d(x, weight, bias, "silu", reverse=reverse, backend=backend)
        scans.append(project(u, one))
    if len(scans) == 2:
        both = scans[0], scans[1]
        return bidirectional_scan(*both, z, delta_softplus=True, backend=backend)
    u, delta, A, B, C, D, bias = scans[0]
    return selective_scan(
        u, delta, A, B, C, D, z, bias, delta_softplus=True, backend=backend
    )


def _precise(one: InnerParameters, dtype: torch.dtype) -> InnerParameters:
    """x_proj in the tokens' dtype, the others in at least float32."""
    full: list[Any] = [None if x is None else _full(x) for x in one]
    return InnerParameters(*full)._replace(x_proj=one.x_proj.to(dtype))


def _full(x: Tensor) -> Tensor:
    return x.to(full_dtype(x))


def _check(
    name: str, one: InnerParameters, xz: Tensor, gated: bool, sizes: dict[str, int]
) -> InnerParameters:
    """Check one direction and the tokens, also against ``sizes``."""
    if not isinstance(one, InnerParameters):
        raise InputError(
            f"{name} is a {type(one).__name__}, expected an InnerParameters"
        )
    given = {f"{name}.{field}": x for field, x in one._asdict().items()}
    first = {f"{name}.{field}": x for field, x in _FIRST_AXES.items()}
    check_axes({key: given[key] for key in first}, first, sizes)
    sizes["2e"], sizes["r+2n"] = 2 * sizes["e"], sizes["r"] + 2 * sizes["n"]
    axes = {f"{name}.{field}": x for field, x in _OTHER_AXES.items()}
    axes["xz"] = "b l 2e" if gated else "b l e"
    check_axes({"xz": xz, **given}, axes, sizes)
    return one
