"""The short depthwise convolution in front of a selective scan."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmfusion.ops.backends import ConvCall, own_kernel
from mmfusion.ops.checks import check_axes, check_shape, check_tensors
from mmfusion.ops.precision import autocast_dtype
from mmfusion.utils.errors import InputError


def causal_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: str | None = None,
    reverse: bool = False,
    backend: str = "auto",
) -> Tensor:
    """Convolve each channel over its own past (or its future, with ``reverse``).

    y_t = sum_i weight_i x_{t - w + 1 + i}; what lies before the first token counts as
    zero. With ``reverse`` the same filter runs over the flipped sequence and the result
    is flipped back: y_t = sum_i weight_i x_{t + w - 1 - i}.

    Args:
        x: (b, l, d). weight: (d, w), the last entry meets the token itself. bias: (d,).
        activation: ``silu`` or None.
        reverse: whether tokens look at the future instead of the past.
        backend: as in :func:`mmfusion.ops.selective_scan`; where the backend has no
            convolution of its own for these arguments, PyTorch's is used.

    Returns:
        (b, l, d) in the dtype of x; under autocast in autocast's.

    Raises:
        ValueError: a shape, dtype, device or the activation does not fit; the backend
            is unknown or not available here.
    """
    _check("b l d", x, weight, bias, activation)
    x = x.to(autocast_dtype(x))
    call = ConvCall(x, weight, bias, activation == "silu", reverse)
    choice = own_kernel(call, x.device, backend)
    return _conv(call) if choice is None else choice.conv(call)


def causal_conv1d_update(
    x: Tensor,
    conv_state: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: str | None = None,
) -> tuple[Tensor, Tensor]:
    """One token of :func:`causal_conv1d`, given the w - 1 tokens before it.

    Args:
        x: (b, d), the new token. conv_state: (b, d, w - 1), the tokens before it, the
            latest last; zeros before the first token. weight: (d, w). bias: (d,).
        activation: ``silu`` or None.

    Returns:
        y (b, d) and the new state (b, d, w - 1).

    Raises:
        ValueError: a shape, dtype, device or the activation does not fit.
    """
    _check("b d", x, weight, bias, activation)
    check_shape("conv_state", conv_state, (*x.shape, weight.shape[1] - 1))
    check_tensors(x=x, conv_state=conv_state)
    window = torch.cat([conv_state, x.unsqueeze(-1).to(conv_state.dtype)], dim=-1)
    y = (window * weight).sum(-1)  # (b, d)
    y = y if bias is None else y + bias
    y = F.silu(y) if activation else y
    return y.to(x.dtype), window[..., 1:]


def _check(
    axes: str, x: Tensor, weight: Tensor, bias: Tensor | None, activation: str | None
) -> None:
    given = dict(x=x, weight=weight, bias=bias)
    check_axes(given, dict(x=axes, weight="d w", bias="d?"), {})
    if activation not in (None, "silu"):
        raise InputError(f"activation is {activation!r}, expected 'silu' or None")


def _conv(call: ConvCall) -> Tensor:
    """PyTorch's convolution."""
    x, weight, bias = call.x, call.weight, call.bias
    width = weight.shape[1]
    padding = (0, width - 1) if call.reverse else (width - 1, 0)
    filters = (weight.flip(1) if call.reverse else weight).unsqueeze(1).to(x.dtype)
    bias = None if bias is None else bias.to(x.dtype)
    padded = F.pad(x.transpose(1, 2), padding)  # (b, d, l + w - 1)
    y = F.conv1d(padded, filters, bias, groups=x.shape[-1]).transpose(1, 2)  # (b, l, d)
    return F.silu(y) if call.silu else y
