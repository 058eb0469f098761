"""VideoMamba's and MambaVL's layers in the arrangement of the authors' code.

Written anew on mamba-ssm's and causal-conv1d's kernels, with the same weights as ours:
tokens last, (b, d, l); the second direction reads a flipped copy of x and z and its
output is flipped back; one launch a direction; the add and norm are mamba-ssm's Triton
kernel. The authors recompute the convolution and delta in the backward, which saves
memory and costs a little time; this does not.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmfusion.models.layers import MambaMixer
from mmfusion.models.layers.mamba import MambaBlock
from mmfusion.ops import add_rms_norm, causal_conv1d, selective_scan


class Kernels(NamedTuple):
    """Kernels that the arrangement is made of.

    Attributes:
        conv: x (b, d, l), weight (d, w), bias -> silu of the causal convolution.
        scan: u, delta, A, B, C, D, z, delta_bias, (b, d, l) and (b, n, l) -> (b, d, l).
        norm: hidden, residual or None, weight, eps -> normed sum, sum.
        note: what is not the authors', for a table.
    """

    conv: Callable[..., Tensor]
    scan: Callable[..., Tensor]
    norm: Callable[..., tuple[Tensor, Tensor]]
    note: str = ""


def stock_kernels() -> Kernels:
    """mamba-ssm's, and causal-conv1d's or else our convolution.

    Raises:
        ImportError: mamba-ssm is not installed.
    """
    from mamba_ssm.ops.triton.layer_norm import rms_norm_fn

    conv, note = _stock_conv()

    def norm(hidden, residual, weight, eps):
        return rms_norm_fn(
            hidden, weight, None, residual=residual, eps=eps, prenorm=True,
            residual_in_fp32=True,
        )  # fmt: skip

    return Kernels(conv, stock_scan(), norm, note)


def stock_scan() -> Callable[..., Tensor]:
    """mamba-ssm's scan, which needs nothing of causal-conv1d's."""
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    return partial(selective_scan_fn, delta_softplus=True)


def _stock_conv() -> tuple[Callable[..., Tensor], str]:
    try:
        from causal_conv1d import causal_conv1d_fn
    except ImportError:
        return stand_in_kernels().conv, ", our convolution for causal-conv1d's"
    return partial(causal_conv1d_fn, activation="silu"), ""


def stand_in_kernels() -> Kernels:
    """Ours in their layout, to see on any machine that the arrangement is right."""

    def turned(x: Tensor) -> Tensor:
        return x.transpose(1, 2)

    def conv(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return turned(causal_conv1d(turned(x), weight, bias, "silu"))

    def scan(u, delta, A, B, C, D, z, delta_bias) -> Tensor:
        u, delta, B, C = (turned(x) for x in (u, delta, B, C))
        z = None if z is None else turned(z)
        y = selective_scan(u, delta, A, B, C, D, z, delta_bias, delta_softplus=True)
        return turned(y)

    return Kernels(conv, scan, add_rms_norm)


@contextmanager
def published(model: nn.Module, kernels: Kernels) -> Iterator[None]:
    """Inside the block, the model's Mamba layers compute as the authors' do."""
    patched: list[nn.Module] = []
    for module in model.modules():
        if isinstance(module, MambaMixer):
            module.forward = _mixer_forward(module, kernels)  # type: ignore[method-assign]
        elif isinstance(module, MambaBlock):
            module.forward = _block_forward(module, kernels)  # type: ignore[method-assign]
        else:
            continue
        patched.append(module)
    try:
        yield
    finally:
        for module in patched:
            del module.forward  # the class's again


def _block_forward(block: MambaBlock, kernels: Kernels) -> Callable:
    def forward(hidden: Tensor, residual: Tensor | None) -> tuple[Tensor, Tensor]:
        hidden, residual = kernels.norm(
            block.drop_path(hidden), residual, block.norm.weight, block.norm.eps
        )
        return block.mixer(hidden), residual

    return forward


def _mixer_forward(mixer: MambaMixer, kernels: Kernels) -> Callable:
    def forward(x: Tensor, A_log: Tensor | None = None) -> Tensor:
        batch, length, _ = x.shape
        flat = mixer.in_proj.weight @ x.flatten(0, 1).t()  # (2e, b l)
        xz = flat.unflatten(1, (batch, length)).transpose(0, 1)  # (b, 2e, l)
        y = _one_direction(mixer, "", xz, A_log, kernels)  # (b, e, l)
        if mixer.bidirectional:
            back = _one_direction(mixer, "_b", xz.flip(-1), A_log, kernels)
            y = y + back.flip(-1)
        y = y / 2 if mixer.divide_out else y
        return F.linear(y.transpose(1, 2), mixer.out_proj.weight)

    return forward


def _one_direction(
    mixer: MambaMixer, suffix: str, xz: Tensor, A_log: Tensor | None, kernels: Kernels
) -> Tensor:
    """xz (b, 2e, l) or (b, e, l) -> (b, e, l)."""
    x, z = xz.chunk(2, 1) if mixer.with_gate else (xz, None)
    conv1d, x_proj, dt_proj = (
        getattr(mixer, name + suffix) for name in ("conv1d", "x_proj", "dt_proj")
    )
    if A_log is None:
        A_log = getattr(mixer, f"A{suffix}_log")
    x = kernels.conv(x, conv1d.weight.squeeze(1), conv1d.bias)
    batch, _, length = x.shape
    x_dbl = F.linear(x.transpose(1, 2).flatten(0, 1), x_proj.weight)  # (b l, r + 2n)
    rank, states = mixer.dt_rank, mixer.d_state
    dt, B, C = x_dbl.split([rank, states, states], dim=1)
    delta = (dt_proj.weight @ dt.t()).unflatten(1, (batch, length)).transpose(0, 1)
    B, C = (
        t.unflatten(0, (batch, length)).transpose(1, 2).contiguous() for t in (B, C)
    )  # (b, n, l)
    A = -torch.exp(A_log.float())
    D = getattr(mixer, f"D{suffix}").float()
    return kernels.scan(x, delta, A, B, C, D, z, dt_proj.bias.float())
