"""Selective scans of several streams that hand one state to each other.

Shapes: b batch, m streams, l tokens of a stream, t steps of all, d channels, n state.

Plain PyTorch on every device, differentiated by autograd; some numbers for each step,
channel and state are in memory.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mmfusion.ops.backends import ScanInputs
from mmfusion.ops.checks import check_axes
from mmfusion.ops.precision import full_dtype, full_precision
from mmfusion.ops.torch_scan import prefix_states
from mmfusion.utils.errors import InputError

_AXES = dict(
    u="b l d", delta="b l d", A="d n", B="b l n", C="b l n", D="d?", delta_bias="d?"
)  # of ScanInputs


def coupled_scan(
    streams: Sequence[ScanInputs], steps: Sequence[Tensor], num_steps: int
) -> list[Tensor]:
    """Scan streams whose next state comes from the states of all before it.

    At step t each stream m that has a token there reads
    h_t^m = exp(delta_t^m A^m) s_{t-1} + delta_t^m B_t^m u_t^m and gives
    y_t^m = C_t^m h_t^m + D^m u_t^m; s_t is the mean of those h_t^m, and s_{t-1} where
    no stream has a token. delta = softplus(delta + delta_bias). s is a scan itself, of
    the mean decay and the mean input, so all steps are computed side by side.

    Args:
        streams: as of :func:`mmfusion.ops.selective_scan`; b, d and n of all are the
            same.
        steps: (b, l_m) int64, the step of each token: rising in a row; ``num_steps``
            for padding, which is not read and whose y means nothing.
        num_steps: t.

    Returns:
        y (b, l_m, d) of each stream, in the dtype of its u.

    Raises:
        ValueError: a shape or dtype does not fit.

    Example:
        >>> u, B = torch.randn(1, 3, 4), torch.randn(1, 3, 2)
        >>> one = ScanInputs(u, u, -torch.rand(4, 2), B, B, None, None)
        >>> [y.shape for y in coupled_scan([one], [torch.arange(3)[None]], 3)]
        [torch.Size([1, 3, 4])]
    """
    _check(streams, steps)
    with full_precision(streams[0].u):
        parts = [_discretise(one) for one in streams]
        state = (
            parts[0][0]
            .new_zeros(1)
            .expand(parts[0][0].shape[0], num_steps + 1, *parts[0][0].shape[2:])
        )  # (b, t + 1, d, n), the last of padding
        count = state.new_zeros(state.shape[:2])  # (b, t + 1)
        decay = drive = state
        for (rate, step), at in zip(parts, steps, strict=True):
            count = count.scatter_add(1, at, torch.ones_like(at, dtype=count.dtype))
            index = at[..., None, None].expand_as(rate)
            decay = decay.scatter_add(1, index, rate)
            drive = drive.scatter_add(1, index, step)
        shared = count.clamp(min=1)[..., None, None]
        idle = (count == 0)[..., None, None]
        decay = (decay / shared).masked_fill(idle, 1)[:, :num_steps]
        drive = (drive / shared)[:, :num_steps]
        states = prefix_states(decay.unsqueeze(0), drive.unsqueeze(0)).squeeze(0)
        # of padding: anything finite
        before = F.pad(states, (0, 0, 0, 0, 1, 0))  # (b, t + 1, d, n)
        return [
            _read(one, *part, before.gather(1, at[..., None, None].expand_as(part[0])))
            for one, part, at in zip(streams, parts, steps, strict=True)
        ]


def coupled_scan_reference(
    streams: Sequence[ScanInputs], steps: Sequence[Tensor], num_steps: int
) -> list[Tensor]:
    """Scan step by step, sample by sample: the truth for :func:`coupled_scan`.

    Of padding y is 0.
    """
    _check(streams, steps)
    # y by stream, sample, token
    outputs: list[list[list[Tensor]]] = [[[] for _ in one.u] for one in streams]
    for sample in range(streams[0].u.shape[0]):
        shared: Tensor | float = 0.0
        for t in range(num_steps):
            states = []
            for index, (one, at) in enumerate(zip(streams, steps, strict=True)):
                for place in (at[sample] == t).nonzero().flatten().tolist():
                    u, delta = one.u[sample, place], one.delta[sample, place]
                    if one.delta_bias is not None:
                        delta = delta + one.delta_bias
                    delta = F.softplus(delta).unsqueeze(-1)  # (d, 1)
                    drive = delta * u.unsqueeze(-1) * one.B[sample, place]
                    states.append(torch.exp(delta * one.A) * shared + drive)
                    y = states[-1] @ one.C[sample, place]
                    outputs[index][sample].append(y if one.D is None else y + one.D * u)
            if states:
                shared = sum(states) / len(states)
    return [
        torch.stack(
            [
                F.pad(torch.stack(rows), (0, 0, 0, one.u.shape[1] - len(rows)))
                if rows
                else torch.zeros_like(one.u[0])
                for rows in samples
            ]
        )
        for one, samples in zip(streams, outputs, strict=True)
    ]


def coupled_scan_flops(streams: Sequence[ScanInputs]) -> int:
    """Operations of :func:`coupled_scan`: thirteen a state, three a channel of a token.

    As of any scan (seven and three), and the mean of the decays, of the inputs, and the
    shared state's own product and sum.
    """
    return sum(one.u.numel() * (13 * one.B.shape[-1] + 3) for one in streams)


def _check(streams: Sequence[ScanInputs], steps: Sequence[Tensor]) -> None:
    if not streams or len(streams) != len(steps):
        raise InputError(
            f"{len(streams)} streams and {len(steps)} steps, expected as many, one or"
            " more"
        )
    shared: dict[str, int] = {}
    for one, at in zip(streams, steps, strict=True):
        sizes = dict(shared)
        check_axes(one._asdict(), _AXES, sizes)
        if at.shape != one.u.shape[:2]:
            raise InputError(
                f"steps has shape {tuple(at.shape)}, expected {tuple(one.u.shape[:2])}"
            )
        shared = {name: sizes[name] for name in "bdn"}


def _discretise(one: ScanInputs) -> tuple[Tensor, Tensor]:
    """exp(delta A) and delta B u, (b, l, d, n) each."""
    dtype = full_dtype(one.u)
    u, delta, A, B = (x.to(dtype) for x in (one.u, one.delta, one.A, one.B))
    if one.delta_bias is not None:
        delta = delta + one.delta_bias.to(dtype)
    delta = F.softplus(delta)
    decay = torch.exp(delta.unsqueeze(-1) * A)
    return decay, (delta * u).unsqueeze(-1) * B.unsqueeze(2)


def _read(one: ScanInputs, decay: Tensor, drive: Tensor, before: Tensor) -> Tensor:
    """y (b, l, d) of one stream, ``before`` (b, l, d, n) the shared state."""
    state = decay * before + drive
    y = (state * one.C.to(state.dtype).unsqueeze(2)).sum(-1)
    if one.D is not None:
        y = y + one.D.to(y.dtype) * one.u.to(y.dtype)
    return y.to(one.u.dtype)
