"""A Mamba layer between its two outer projections.

Shapes: b batch, l tokens, e inner channels, n state, r rank of delta, w filter width.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmfusion.ops.backends import InnerCall, InnerParameters, ScanInputs, own_kernel
from mmfusion.ops.causal_conv1d import causal_conv1d
from mmfusion.ops.checks import check_given, check_shape, check_tensors
from mmfusion.ops.precision import autocast_dtype, full_precision
from mmfusion.ops.selective_scan import bidirectional_scan, selective_scan
from mmfusion.utils.errors import InputError


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
    check_given(xz=xz)
    given = [("forward", forward)]
    if backward is not None:
        given.append(("backward", backward))
    for name, one in given:
        _check(name, one, xz, gated)
        for field, value, like in zip(one._fields, one, forward, strict=True):
            if like is not None:
                check_shape(f"{name}.{field}", value, like.shape)
    dtype = autocast_dtype(xz)
    call = InnerCall(
        xz.to(dtype), tuple(_precise(one, dtype) for _, one in given), gated
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
    return x if x.dtype == torch.float64 else x.float()


def _check(name: str, one: InnerParameters, xz: Tensor, gated: bool) -> None:
    if not isinstance(one, InnerParameters):
        raise InputError(
            f"{name} is a {type(one).__name__}, expected an InnerParameters"
        )
    optional = one._asdict()
    required = {f"{name}.{k}": x for k, x in optional.items() if k != "conv_bias"}
    check_given(**required)
    if one.A_log.dim() != 2 or one.dt_proj.dim() != 2 or one.conv_weight.dim() != 2:
        raise InputError(
            f"{name} has A_log {tuple(one.A_log.shape)}, dt_proj"
            f" {tuple(one.dt_proj.shape)} and conv_weight"
            f" {tuple(one.conv_weight.shape)}, expected (e, n), (e, r) and (e, w)"
        )
    (inner, states), rank = one.A_log.shape, one.dt_proj.shape[1]
    if xz.dim() != 3 or 0 in xz.shape or xz.shape[-1] != (1 + gated) * inner:
        raise InputError(
            f"xz has shape {tuple(xz.shape)}, expected (b, l, {(1 + gated) * inner}),"
            f" none 0, for e={inner}{' and a gate' if gated else ''}"
        )
    check_shape(f"{name}.x_proj", one.x_proj, (rank + 2 * states, inner))
    check_shape(f"{name}.dt_proj", one.dt_proj, (inner, rank))
    check_shape(
        f"{name}.conv_weight", one.conv_weight, (inner, one.conv_weight.shape[1])
    )
    for field in ("dt_bias", "D", "conv_bias"):
        if optional[field] is not None:
            check_shape(f"{name}.{field}", optional[field], (inner,))
    check_tensors(xz=xz, **{f"{name}.{key}": x for key, x in optional.items()})
