"""The causal convolution with SiLU: kernels, launches and the PyTorch operator.

y_i = silu(bias + sum_j weight_j x_{i - w + 1 + j}), i in the order of the scan; what
lies before a sequence counts as zero. A program has a few tokens of a block of
channels. It reads all of them before it computes, each once.
"""

# Triton unrolls tuples that grow in a loop; mypy takes them for fixed ones
# mypy: disable-error-code="assignment, var-annotated"

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from mmfusion.ops.gradients import differentiable_once
from mmfusion.ops.triton import plan as plans
from mmfusion.ops.triton.plan import ceil_div, make_plan, table

LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit
def _sequence(tiles, BACKWARD: tl.constexpr):
    """Origin and sign of the tokens of this program's sequence, begin, end, length."""
    entry = tiles + tl.program_id(1) * 6
    first, last = tl.load(entry), tl.load(entry + 1)
    origin, sign = first, 1
    if BACKWARD:
        origin, sign = last, -1
    return origin, sign, tl.load(entry + 2), tl.load(entry + 3), last - first + 1


@triton.jit
def _token(pointer, stride, origin, sign, i, length, d, live):
    """x at offset i of the sequence as it lies in memory; 0 outside."""
    ok = live & (i >= 0) & (i < length)
    return tl.load(pointer + (origin + sign * i) * stride + d, mask=ok, other=0.0)


@triton.jit
def _filter(weight, bias, d, live, WIDTH: tl.constexpr):
    """The taps, (channels,) each, and the bias."""
    taps = ()
    for j in tl.static_range(WIDTH):
        tap = tl.load(weight + d * WIDTH + j, mask=live, other=0.0)
        taps = taps + (tap.to(tl.float32),)
    start = tl.zeros(d.shape, tl.float32)
    if bias is not None:
        start += tl.load(bias + d, mask=live, other=0.0).to(tl.float32)
    return taps, start


@triton.jit
def conv_forward(
    x, weight, bias, tiles, y, x_batch, x_token, length, channels,
    WIDTH: tl.constexpr, SILU: tl.constexpr, BACKWARD: tl.constexpr,
    TOKENS: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """x (b, l, d), weight (d, w) -> y (b, l, d)."""
    d = tl.program_id(0) * BLOCK_D + tl.arange(0, BLOCK_D)
    live = d < channels
    origin, sign, begin, end, sequence_length = _sequence(tiles, BACKWARD)
    batch = tl.program_id(2).to(tl.int64)
    x_row, y_row = x + batch * x_batch, y + batch * length * channels
    past: tl.constexpr = WIDTH - 1
    xs = ()
    for k in tl.static_range(TOKENS + past):
        i = begin - past + k
        xs = xs + (_token(x_row, x_token, origin, sign, i, sequence_length, d, live),)
    taps, start = _filter(weight, bias, d, live, WIDTH)
    for k in tl.static_range(TOKENS):
        total = start
        for j in tl.static_range(WIDTH):
            total += taps[j] * xs[k + j].to(tl.float32)
        if SILU:
            total = total / (1.0 + tl.exp2(total * -LOG2_E))
        at = (origin + sign * (begin + k)) * channels + d
        tl.store(y_row + at, total, mask=live & (begin + k < end))


@triton.jit
def conv_backward(
    x, weight, bias, dy, tiles, dx, dweight, dbias, x_batch, x_token, dy_batch,
    dy_token, length, channels,
    WIDTH: tl.constexpr, SILU: tl.constexpr, BACKWARD: tl.constexpr,
    TOKENS: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """dx (b, l, d), and by program dweight (b, tiles, w, d), dbias (b, tiles, d).

    The sums before SiLU are computed again, for the tile and the WIDTH - 1 tokens after
    it, from which x gets gradients too.
    """
    d = tl.program_id(0) * BLOCK_D + tl.arange(0, BLOCK_D)
    live = d < channels
    origin, sign, begin, end, sequence_length = _sequence(tiles, BACKWARD)
    batch = tl.program_id(2).to(tl.int64)
    x_row, dy_row = x + batch * x_batch, dy + batch * dy_batch
    dx_row = dx + batch * length * channels
    past: tl.constexpr = WIDTH - 1
    xs, dys = (), ()  # all are asked for before the first is used
    for k in tl.static_range(TOKENS + 2 * past):
        i = begin - past + k
        xs = xs + (_token(x_row, x_token, origin, sign, i, sequence_length, d, live),)
        if k >= past:
            dys = dys + (
                _token(dy_row, dy_token, origin, sign, i, sequence_length, d, live),
            )
    taps, start = _filter(weight, bias, d, live, WIDTH)
    sums = ()  # gradients of what goes into SiLU
    for k in tl.static_range(TOKENS + past):
        ds = dys[k].to(tl.float32)
        if SILU:
            total = start
            for j in tl.static_range(WIDTH):
                total += taps[j] * xs[k + j].to(tl.float32)
            gate = 1.0 / (1.0 + tl.exp2(total * -LOG2_E))
            ds *= gate * (1.0 + total * (1.0 - gate))
        sums = sums + (ds,)
        if k >= past:
            dx_i = tl.zeros([BLOCK_D], tl.float32)
            for j in tl.static_range(WIDTH):
                dx_i += taps[WIDTH - 1 - j] * sums[k - past + j]
            i = begin + k - past
            at = (origin + sign * i) * channels + d
            tl.store(dx_row + at, dx_i, mask=live & (i < end))
    partial = batch * tl.num_programs(1) + tl.program_id(1)
    for j in tl.static_range(WIDTH):
        total = tl.zeros([BLOCK_D], tl.float32)
        for k in tl.static_range(TOKENS):
            total += sums[k] * xs[k + j].to(tl.float32)
        tl.store(dweight + (partial * WIDTH + j) * channels + d, total, mask=live)
    if bias is not None:
        total = tl.zeros([BLOCK_D], tl.float32)
        for k in tl.static_range(TOKENS):
            total += sums[k]
        tl.store(dbias + partial * channels + d, total, mask=live)


def _tiles(lengths: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    tokens = plans.TUNING.conv_tokens
    return make_plan(tuple(map(int, lengths)), tokens, tokens).segments


def _constants(weight: Tensor, silu: bool, reverse: bool) -> dict[str, int]:
    return dict(
        WIDTH=weight.shape[1],
        SILU=silu,
        BACKWARD=reverse,
        TOKENS=plans.TUNING.conv_tokens,
        BLOCK_D=plans.TUNING.conv_channels,
        num_warps=plans.TUNING.conv_warps,
    )


@torch.library.custom_op("mmfusion::triton_conv_forward", mutates_args=())
def forward_op(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    silu: bool,
    reverse: bool,
    lengths: Sequence[int],
) -> Tensor:
    """x (b, l, d), weight (d, w), bias (d,) -> (b, l, d) in the dtype of x."""
    x, weight = x if x.stride(-1) == 1 else x.contiguous(), weight.contiguous()
    y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    tiles = _tiles(lengths)
    blocks = ceil_div(x.shape[2], plans.TUNING.conv_channels)
    with torch.cuda.device_of(x):
        conv_forward[(blocks, len(tiles), x.shape[0])](
            x, weight, bias, table(tiles, x.device), y, *x.stride()[:2], *x.shape[1:],
            **_constants(weight, silu, reverse),
        )  # fmt: skip
    return y


@torch.library.custom_op("mmfusion::triton_conv_backward", mutates_args=())
def backward_op(
    dy: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    silu: bool,
    reverse: bool,
    lengths: Sequence[int],
) -> tuple[Tensor, Tensor, Tensor]:
    """dy (b, l, d) -> dx (b, l, d), dweight (d, w), dbias (d,) or empty."""
    x, dy = (t if t.stride(-1) == 1 else t.contiguous() for t in (x, dy))
    weight = weight.contiguous()
    batch, length, channels = x.shape
    tiles = _tiles(lengths)
    dx = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    partial = (batch * len(tiles), weight.shape[1], channels)
    dweight = torch.empty(partial, dtype=torch.float32, device=x.device)
    dbias = dweight.new_empty(partial[0] if bias is not None else 0, channels)
    blocks = ceil_div(channels, plans.TUNING.conv_channels)
    with torch.cuda.device_of(x):
        conv_backward[(blocks, len(tiles), batch)](
            x, weight, bias, dy, table(tiles, x.device), dx, dweight,
            None if bias is None else dbias, *x.stride()[:2], *dy.stride()[:2],
            length, channels, **_constants(weight, silu, reverse),
        )  # fmt: skip
    if bias is None:
        return dx, dweight.sum(0).t().to(weight.dtype).contiguous(), x.new_empty(0)
    return (
        dx,
        dweight.sum(0).t().to(weight.dtype).contiguous(),
        dbias.sum(0).to(bias.dtype),
    )


@forward_op.register_fake
def _forward_fake(x, weight, bias, silu, reverse, lengths):
    return torch.empty(x.shape, dtype=x.dtype, device=x.device)


@backward_op.register_fake
def _backward_fake(dy, x, weight, bias, silu, reverse, lengths):
    dbias = x.new_empty(0) if bias is None else bias.new_empty(bias.shape)
    dx = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    return dx, weight.new_empty(weight.shape), dbias


def _setup_context(ctx, inputs, output) -> None:
    x, weight, bias, *ctx.options = inputs
    ctx.save_for_backward(x, weight, bias)


def _backward(ctx, dy):
    x, weight, bias = ctx.saved_tensors
    grads = backward_op(dy, x, weight, bias, *ctx.options)
    dx, dweight, dbias = differentiable_once("triton", grads, (dy, x, weight, bias))
    return dx, dweight, None if bias is None else dbias, None, None, None


forward_op.register_autograd(_backward, setup_context=_setup_context)
