"""The scan's kernels as PyTorch operators: allocation, launches, sums of partial sums.

Shapes: s directions, b batch, l tokens, d channels, n state, g groups, k sequences.
Operators, because torch.compile sees through neither launches nor the tables; each has
a fake implementation that gives the shapes only.
"""

import dataclasses
from collections.abc import Sequence

import torch
import triton
from torch import Tensor

from mmfusion.ops.gradients import differentiable_once
from mmfusion.ops.triton import plan as plans
from mmfusion.ops.triton.plan import Plan, ceil_div, plan_scan, table
from mmfusion.ops.triton.scan_backward import (
    gate_gradient,
    scan_backward,
    segment_carries,
)
from mmfusion.ops.triton.scan_kernels import (
    Rows,
    Sizes,
    join_segments,
    merge_directions,
    scan_forward,
    segment_ends,
)


@dataclasses.dataclass(frozen=True)
class _Launch:
    """Sizes, cuts and constants that the kernels of one call share."""

    directions: int
    batch: int
    length: int
    channels: int
    states: int
    groups: int
    plan: Plan
    reverse: tuple[bool, ...]
    softplus: bool
    bias_rows: int

    @property
    def rows(self) -> int:
        return self.directions * self.batch

    @property
    def blocks(self) -> int:
        """Blocks of channels; a block stays inside one group."""
        return self.groups * ceil_div(
            self.channels // self.groups, plans.TUNING.channels
        )

    @property
    def grid(self) -> tuple[int, int, int]:
        return (self.blocks, len(self.plan.segments), self.rows)

    @property
    def sizes(self) -> Sizes:
        return Sizes(
            self.batch, self.length, self.channels,
            len(self.plan.segments), self.plan.num_chunks,
        )  # fmt: skip

    @property
    def tile(self) -> dict[str, int]:
        block_n = max(4, triton.next_power_of_2(self.states))
        return dict(
            N=self.states,
            BLOCK_N=block_n,
            BLOCK_D=plans.TUNING.channels,
            num_warps=max(1, min(8, block_n // plans.TUNING.states_per_warp)),
        )

    @property
    def constants(self) -> dict[str, int]:
        return dict(
            self.tile,
            PER_GROUP=self.channels // self.groups,
            TWO=self.directions == 2,
            BACK_0=self.reverse[0],
            BACK_1=self.reverse[-1],
            ROWS=self.bias_rows,
            SOFTPLUS=self.softplus,
        )


def _launch_of(
    u: Sequence[Tensor],
    B: Sequence[Tensor],
    D: Tensor | None,
    delta_bias: Tensor | None,
    softplus: bool,
    reverse: Sequence[bool],
    lengths: Sequence[int],
) -> _Launch:
    batch, length, channels = map(int, u[0].shape)  # cuts need numbers, not symbols
    groups, states = map(int, B[0].shape[2:])
    either = D if D is not None else delta_bias  # they have equally many rows
    rows = 1 if either is None else either.shape[1]
    launch = _Launch(
        len(u), batch, length, channels, states, groups,
        Plan((), (), 0, 0), tuple(reverse), softplus, rows,
    )  # fmt: skip
    plan = plan_scan(tuple(map(int, lengths)), launch.rows, launch.blocks, plans.TUNING)
    return dataclasses.replace(launch, plan=plan)


def _registers(kernel: str) -> dict[str, int]:
    most = getattr(plans.TUNING, f"{kernel}_registers")
    return dict(maxnreg=most) if most else {}


def _readable(x: Tensor) -> Tensor:
    """The kernels take any strides but the last."""
    return x if x.stride(-1) == 1 else x.contiguous()


def _rows(tensors: Sequence[Tensor]) -> Rows:
    """One or two tensors (b, l, d) or (b, l, g, n), in one pair of strides."""
    tensors = [_readable(x) for x in tensors]
    if any(x.stride() != tensors[0].stride() for x in tensors):
        tensors = [x.contiguous() for x in tensors]
    strides = tensors[0].stride()
    group = strides[2] if tensors[0].dim() == 4 else 0
    return Rows(tensors[0], tensors[-1], strides[0], strides[1], group)


def _optional_rows(x: Tensor | None) -> Rows | None:
    return None if x is None else _rows([x])


def _shapes(
    launch: _Launch, save: bool, want_last: bool
) -> tuple[tuple[int, ...], ...]:
    """Shapes of the last states and of the saved states; (0,) where not wanted."""
    rows, n, d = launch.rows, launch.states, launch.channels
    last = (rows, len(launch.plan.sequences), n, d) if want_last else (0,)
    return last, (rows, launch.plan.num_chunks, n, d) if save else (0,)


@torch.library.custom_op("mmfusion::triton_scan_forward", mutates_args=())
def forward_op(
    u: Sequence[Tensor],
    delta: Sequence[Tensor],
    A: Tensor,
    B: Sequence[Tensor],
    C: Sequence[Tensor],
    D: Tensor | None,
    delta_bias: Tensor | None,
    z: Tensor | None,
    initial: Tensor | None,
    softplus: bool,
    reverse: Sequence[bool],
    lengths: Sequence[int],
    want_last: bool,
    save: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Scan one or two directions over the same tokens; float32 inside.

    Args:
        u, delta: s tensors (b, l, d). A: (s, d, n). B, C: s tensors (b, l, g, n).
        D, delta_bias: (s, 1, d) or (s, k, d). z: (b, l, d).
        initial: (s b, k, n, d). lengths: of the k sequences.
        want_last: whether to give the last states. save: whether a backward follows.

    Returns:
        y (b, l, d) in the dtype of u, last states (s b, k, n, d), and for the backward
        the state before each chunk (s b, chunks, n, d), float32, and y before the gate.
    """
    launch = _launch_of(u, B, D, delta_bias, softplus, reverse, lengths)
    plan, two = launch.plan, launch.directions == 2
    shapes = _shapes(launch, save, want_last)
    device = u[0].device
    last = torch.empty(shapes[0], dtype=torch.float32, device=device)
    y = torch.empty(u[0].shape, dtype=u[0].dtype, device=device)
    parts = y.new_empty(2, *y.shape, dtype=torch.float32) if two else y
    ungated = torch.empty_like(y) if save and z is not None else None
    starts = plan.is_split or initial is not None
    # without a backward only the first chunks are used, where segments start
    states = y.new_empty(_shapes(launch, save or starts, False)[1], dtype=torch.float32)
    segments = table(plan.segments, device)
    A = A.transpose(1, 2).contiguous()  # (s, n, d)
    inputs = _rows(u), _rows(delta), A, _rows(B)
    gate = _optional_rows(z)
    with torch.cuda.device_of(y):
        if plan.is_split:
            sums = y.new_empty(
                launch.rows, len(plan.segments), launch.channels, dtype=torch.float32
            )
            segment_ends[launch.grid](
                *inputs, delta_bias, segments, states, sums, launch.sizes, 0,
                **launch.constants, AHEAD=plans.TUNING.ahead, **_registers("forward"),
            )  # fmt: skip
            _join(launch, A, states, sums, initial, backward=False)
        elif initial is not None:
            first = [plan.segments[i][5] for i, _ in plan.sequences]
            for k, chunk in enumerate(first):
                states[:, chunk].copy_(initial[:, k])
        scan_forward[launch.grid](
            *inputs, _rows(C), D, delta_bias, None if two else gate, segments, states,
            parts, None if two else ungated, last if want_last else None, launch.sizes,
            0, plan.chunk, len(plan.sequences), **launch.constants, STARTS=starts,
            SAVE=save, AHEAD=plans.TUNING.forward_ahead, **_registers("forward"),
        )  # fmt: skip
        if two:
            _merge(parts, gate, y, ungated)
    ungated = y.new_empty(0) if ungated is None else ungated
    return y, last, states if save else states.new_empty(0), ungated


@torch.library.custom_op("mmfusion::triton_scan_backward", mutates_args=())
def backward_op(
    dy: Tensor,
    dlast: Tensor | None,
    u: Sequence[Tensor],
    delta: Sequence[Tensor],
    A: Tensor,
    B: Sequence[Tensor],
    C: Sequence[Tensor],
    D: Tensor | None,
    delta_bias: Tensor | None,
    z: Tensor | None,
    states: Tensor,
    ungated: Tensor,
    softplus: bool,
    reverse: Sequence[bool],
    lengths: Sequence[int],
    want_initial: bool,
) -> list[Tensor]:
    """Gradients for dy (b, l, d) and dlast (s b, k, n, d); inputs as in the forward.

    Returns:
        du, ddelta (s, b, l, d), dA (s, d, n), dB and dC (2, s, b, l, g, n), dD and
        dbias (2, s, 1 or k, d), dz (b, l, d), dinitial (s b, k, n, d); empty where
        there is no such input.
    """
    launch = _launch_of(u, B, D, delta_bias, softplus, reverse, lengths)
    plan, rows, channels = launch.plan, launch.rows, launch.channels
    num_segments = len(plan.segments)
    segments = table(plan.segments, dy.device)

    def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.empty(shape, dtype=dtype, device=dy.device)

    tokens = (launch.directions, *dy.shape)
    per_state = (rows, num_segments, launch.states, channels)
    du, ddelta = empty(*tokens, dtype=u[0].dtype), empty(*tokens, dtype=delta[0].dtype)
    dz = empty(0) if z is None else empty(*z.shape, dtype=z.dtype)
    sums = empty(rows, num_segments, launch.states + 2, channels)  # A, D, delta_bias
    dBC = empty(2, rows, launch.blocks, launch.length, launch.states)
    outer = empty(*per_state) if want_initial else None
    carries = dlast
    constants = launch.constants
    block = plans.TUNING.block
    tile = constants["BLOCK_N"] * constants["BLOCK_D"]
    vectors = 3 * block * constants["BLOCK_D"]
    scratch = empty(
        rows * launch.blocks * num_segments, plan.chunk // block * tile + vectors
    )
    A = A.transpose(1, 2).contiguous()  # (s, n, d)
    inputs = _rows(delta), A
    gates = _optional_rows(z), _rows([dy])
    with torch.cuda.device_of(dy):
        if plan.is_split:
            carries, through = empty(*per_state), empty(rows, num_segments, channels)
            segment_carries[launch.grid](
                *inputs, _rows(C), delta_bias, *gates, segments, carries, through,
                launch.sizes, 0, **constants, AHEAD=plans.TUNING.ahead,
            )  # fmt: skip
            _join(launch, A, carries, through, dlast, backward=True)
        scan_backward[launch.grid](
            _rows(u), *inputs, _rows(B), _rows(C), D, delta_bias, *gates, segments,
            states, carries, scratch, du, ddelta, dBC, sums, outer,
            launch.sizes, 0, plan.chunk, **constants, BLOCK=block,
            **_registers("backward"),
        )  # fmt: skip
        if z is not None:
            elements = plans.TUNING.merge_elements
            gate_gradient[(ceil_div(dz.numel(), elements),)](
                gates[1], gates[0], ungated, dz, dz.numel(), *dz.shape[1:],
                BLOCK=elements, num_warps=plans.TUNING.merge_warps,
            )  # fmt: skip
    dA, per_channel = _sum_segments(sums, launch)
    return [
        du,
        ddelta,
        dA,
        _sum_blocks(dBC, _common(B[0], C[0]), launch),
        per_channel,
        dz,
        empty(0) if outer is None else _first_segments(outer, plan),
    ]


def _common(x: Tensor, y: Tensor) -> torch.dtype:
    """Dtype of the gradients of both."""
    return x.dtype if x.dtype == y.dtype else torch.float32


def _join(
    launch: _Launch,
    A: Tensor,
    states: Tensor,
    sums: Tensor,
    outer: Tensor | None,
    backward: bool,
) -> None:
    """Launch ``join_segments``; A (s, n, d), the rest as there."""
    sequences = launch.plan.sequences
    grid = (
        ceil_div(launch.channels, plans.TUNING.channels),
        len(sequences),
        launch.rows,
    )
    join_segments[grid](
        A, states, sums, table(launch.plan.segments, A.device),
        table(sequences, A.device), outer, launch.sizes, len(sequences),
        **launch.tile, BACKWARD=backward, AHEAD=plans.TUNING.ahead,
    )  # fmt: skip


def _merge(parts: Tensor, gate: Rows | None, y: Tensor, ungated: Tensor | None) -> None:
    block = plans.TUNING.merge_elements
    merge_directions[(ceil_div(y.numel(), block),)](
        parts, gate, y, ungated, y.numel(), y.shape[1], y.shape[2],
        BLOCK=block, num_warps=plans.TUNING.merge_warps,
    )  # fmt: skip


def _first_segments(x: Tensor, plan: Plan) -> Tensor:
    """(s b, segments, n, d) -> (s b, k, n, d), the first of each sequence."""
    if not plan.is_split:
        return x
    return torch.stack([x[:, first] for first, _ in plan.sequences], dim=1)


def _sum_blocks(x: Tensor, dtype: torch.dtype, launch: _Launch) -> Tensor:
    """(2, s b, blocks, l, n) -> (2, s, b, l, g, n), over the blocks of each group."""
    groups = launch.groups, launch.blocks // launch.groups
    x = x.view(2, launch.directions, launch.batch, *groups, *x.shape[3:]).sum(4)
    return x.transpose(3, 4).to(dtype, memory_format=torch.contiguous_format)


def _sum_segments(x: Tensor, launch: _Launch) -> tuple[Tensor, Tensor]:
    """(s b, segments, n + 2, d) -> dA (s, d, n), dD and dbias (2, s, 1 or k, d)."""
    n, counts = launch.states, [end - i for i, end in launch.plan.sequences]
    x = x.view(launch.directions, launch.batch, *x.shape[1:])
    if launch.bias_rows == 1:
        x = x.sum((1, 2)).unsqueeze(1)
    else:
        x = x.sum(1)
        x = torch.stack([part.sum(1) for part in x.split(counts, 1)], dim=1)
    dA = x[:, :, :n].sum(1).transpose(1, 2).contiguous()  # (s, k, n, d)
    return dA, x[:, :, n:].movedim(2, 0).contiguous()


@forward_op.register_fake
def _forward_fake(
    u, delta, A, B, C, D, delta_bias, z, initial, softplus, reverse, lengths,
    want_last, save,
):  # fmt: skip
    launch = _launch_of(u, B, D, delta_bias, softplus, reverse, lengths)
    last, states = _shapes(launch, save, want_last)
    y = torch.empty(u[0].shape, dtype=u[0].dtype, device=u[0].device)
    ungated = torch.empty_like(y) if save and z is not None else y.new_empty(0)
    return y, *(y.new_empty(x, dtype=torch.float32) for x in (last, states)), ungated


@backward_op.register_fake
def _backward_fake(
    dy, dlast, u, delta, A, B, C, D, delta_bias, z, states, ungated, softplus, reverse,
    lengths, want_initial,
):  # fmt: skip
    nothing = A.new_empty(0)
    initial = A.new_empty(len(u) * dy.shape[0], len(lengths), A.shape[2], A.shape[1])
    rows = next((x.shape[1] for x in (D, delta_bias) if x is not None), 1)
    return [
        *(x[0].new_empty(len(x), *x[0].shape) for x in (u, delta)),
        A.new_empty(A.shape),
        B[0].new_empty(2, len(B), *B[0].shape, dtype=_common(B[0], C[0])),
        A.new_empty(2, len(u), rows, A.shape[1]),
        nothing.clone() if z is None else z.new_empty(z.shape),
        initial if want_initial else nothing,
    ]


def _setup_context(ctx, inputs, output) -> None:
    u, delta, A, B, C, D, delta_bias, z, initial, softplus, reverse, lengths, *_ = (
        inputs
    )
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*output[2:])
    ctx.save_for_backward(*u, *delta, A, *B, *C, D, delta_bias, z, *output[2:])
    ctx.directions = len(u)
    ctx.options = softplus, list(reverse), list(lengths), initial is not None


def _backward(ctx, dy, dlast, *_):
    saved, s = ctx.saved_tensors, ctx.directions
    u, delta, A = saved[:s], saved[s : 2 * s], saved[2 * s]
    B, C = saved[2 * s + 1 : 3 * s + 1], saved[3 * s + 1 : 4 * s + 1]
    D, delta_bias, z, states, ungated = saved[4 * s + 1 :]
    if dy is None:
        dy = torch.zeros(u[0].shape, dtype=u[0].dtype, device=u[0].device)
    grads = backward_op(
        dy, None if dlast is None else dlast.contiguous(), u, delta, A, B, C, D,
        delta_bias, z, states, ungated, *ctx.options,
    )  # fmt: skip
    grads = differentiable_once("triton", grads, (dy, dlast, *saved))
    du, ddelta, dA, dBC, per_channel, dz, dinitial = grads
    dB, dC = dBC[0].to(B[0].dtype), dBC[1].to(C[0].dtype)
    return (
        list(du.unbind()), list(ddelta.unbind()), dA, list(dB.unbind()),
        list(dC.unbind()), None if D is None else per_channel[0],
        None if delta_bias is None else per_channel[1], None if z is None else dz,
        dinitial if ctx.options[3] else None, None, None, None, None, None,
    )  # fmt: skip


forward_op.register_autograd(_backward, setup_context=_setup_context)
