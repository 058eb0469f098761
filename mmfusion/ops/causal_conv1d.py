"""The short depthwise convolution in front of a selective scan."""

import torch.nn.functional as F
from torch import Tensor


def causal_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: str | None = None,
    reverse: bool = False,
) -> Tensor:
    """Convolve each channel over its own past (or its future, with ``reverse``).

    y_t = sum_i weight_i x_{t - w + 1 + i}; what lies before the first token counts as
    zero. With ``reverse`` the same filter runs over the flipped sequence and the result
    is flipped back: y_t = sum_i weight_i x_{t + w - 1 - i}.

    Args:
        x: (b, l, d). weight: (d, w), the last entry meets the token itself. bias: (d,).
        activation: ``silu`` or None.
        reverse: whether tokens look at the future instead of the past.

    Returns:
        (b, l, d).

    Raises:
        ValueError: a shape or the activation does not fit.
    """
    if x.dim() != 3 or weight.dim() != 2 or weight.shape[0] != x.shape[-1]:
        raise ValueError(
            f"x has shape {tuple(x.shape)} and weight {tuple(weight.shape)}, expected"
            " (b, l, d) and (d, w)"
        )
    if activation not in (None, "silu"):
        raise ValueError(f"activation is {activation!r}, expected 'silu' or None")
    width = weight.shape[1]
    padding = (0, width - 1) if reverse else (width - 1, 0)
    filters = (weight.flip(1) if reverse else weight).unsqueeze(1)  # (d, 1, w)
    padded = F.pad(x.transpose(1, 2), padding)  # (b, d, l + w - 1)
    y = F.conv1d(padded, filters, bias, groups=x.shape[-1]).transpose(1, 2)  # (b, l, d)
    return F.silu(y) if activation else y
