"""Triton kernels of the selective scan: one program walks through time, token by token.

A program has a block of channels (one a lane), one segment of time and one row, that is
one direction of one batch entry. The state is a tile (n, channels) in registers. Where
segments are several, :func:`segment_ends` (in the backward :func:`segment_carries`)
first runs each from zero, :func:`join_segments` turns their ends into the states they
start with, and only then :func:`scan_forward` and :func:`scan_backward` do the work.
No atomics: sums over channels, segments and batch are left as partial sums.

How Triton lays a tile over the lanes decides about the speed. From ``shift``, a zero
that it does not know, it cannot see that channels lie in aligned fours, so a lane has
one channel and all its states: no exchange between lanes, none through shared memory.
The second loop of the backward sums over channels too, so there four channels and a
quarter of the states share a lane.

With a_t = exp(delta_t A), h_t = a_t h_{t-1} + delta_t u_t B_t, y_t = C_t h_t + D u_t
and dy the gradient of y, the gradient of h_t is g_t = C_t dy_t + a_{t+1} g_{t+1}.
"""

# Triton unrolls tuples that grow in a loop; mypy takes them for fixed ones
# mypy: disable-error-code="assignment, var-annotated"

from typing import Any, NamedTuple

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)
LN_2 = tl.constexpr(0.6931471805599453)


class Rows(NamedTuple):
    """Tensors (b, l, ...) with the last axis contiguous: pointers and strides.

    ``second`` is the same input of the second direction, or ``first`` again.
    """

    first: Any
    second: Any
    batch: int
    token: int
    group: int = 0


class Sizes(NamedTuple):
    """Place of a program in the work, for every scan kernel."""

    batch: int
    length: int
    channels: int
    num_segments: int
    num_chunks: int


@triton.jit
def rows_of(rows, row, batch, num_batches, TWO: tl.constexpr):
    """Pointer to the batch entry of this row's direction."""
    pointer = rows.first
    if TWO:  # known when compiling; the inner one is not  # noqa: SIM102
        if row >= num_batches:
            pointer = rows.second
    return pointer + batch.to(tl.int64) * rows.batch


@triton.jit
def _softplus(x):
    """max(x, 0) + log1p(exp(-|x|)), with all digits where the result is tiny.

    log1p(e) = 2 artanh(e / (2 + e)), whose series needs 8 terms for e in 0..1.
    """
    e = tl.exp2(tl.abs(x) * -LOG2_E)
    s = e / (2.0 + e)
    q = s * s
    series = 1.0 / 13 + q * (1.0 / 15)
    series = 1.0 / 9 + q * (1.0 / 11 + q * series)
    series = 1.0 / 5 + q * (1.0 / 7 + q * series)
    series = 1.0 + q * (1.0 / 3 + q * series)
    return tl.maximum(x, 0.0) + 2.0 * s * series


@triton.jit
def sigmoid(x):
    return 1.0 / (1.0 + tl.exp2(x * -LOG2_E))


@triton.jit
def read_token(pointer, token, strides, index, mask):
    """One token of a row as it lies in memory."""
    return tl.load(pointer + token * strides.token + index, mask=mask, other=0.0)


@triton.jit
def all_read(segments):
    """Zero, known only when the loads before have been sent out.

    Else the assembler, to spare registers, puts a load off until just before its use,
    and each token waits for its own trip to memory. Loads do not pass a barrier, but
    arithmetic does: it has to depend on something that is loaded behind it. A table of
    segments begins with 0.
    """
    tl.debug_barrier()
    return tl.load(segments, volatile=True).to(tl.float32)


@triton.jit
def delta_of(x, bias, SOFTPLUS: tl.constexpr):
    """delta with its bias before softplus, and delta itself."""
    raw = x.to(tl.float32) + bias
    delta_t = raw
    if SOFTPLUS:
        delta_t = _softplus(raw)
    return raw, delta_t


@triton.jit
def channels_of(shift, PER_GROUP: tl.constexpr, BLOCK_D: tl.constexpr):
    """Channels of this program, which of them exist, and their group."""
    blocks: tl.constexpr = (PER_GROUP + BLOCK_D - 1) // BLOCK_D
    block = tl.program_id(0)
    group = block // blocks
    inside = (block % blocks) * BLOCK_D + tl.arange(0, BLOCK_D) + shift
    return group * PER_GROUP + inside, inside < PER_GROUP, group


@triton.jit
def read_per_sequence(
    pointer, direction, sequence, d, live, channels, ROWS: tl.constexpr
):
    """D or delta_bias of a sequence: row of (directions, 1 or k, d)."""
    row = direction * ROWS
    if ROWS > 1:
        row += sequence
    return tl.load(pointer + row * channels + d, mask=live, other=0.0)


@triton.jit
def place_of(segments, row, sizes, BACK_0: tl.constexpr, BACK_1: tl.constexpr):
    """Segment of this program: origin and sign of its tokens, offsets, indices."""
    entry = segments + tl.program_id(1) * 6
    backward = BACK_0
    if row >= sizes.batch:
        backward = BACK_1
    origin = tl.load(entry)
    sign = 1
    if backward:
        origin = tl.load(entry + 1)
        sign = -1
    begin, end = tl.load(entry + 2), tl.load(entry + 3)
    return origin, sign, begin, end, tl.load(entry + 4), tl.load(entry + 5)


@triton.jit
def load_rates(A, direction, d, live, n, channels, N: tl.constexpr):
    """A (directions, n, d) as a tile (n, channels), for exp2.

    It lies as the states do; else Triton converts between layouts at each token.
    """
    pointer = A + (direction * N + n)[:, None] * channels + d[None, :]
    mask = live[None, :] & (n < N)[:, None]
    return tl.load(pointer, mask=mask, other=0.0) * LOG2_E


@triton.jit
def rates_and_bias(
    A, delta_bias, direction, sequence, d, live, n, channels, N: tl.constexpr,
    ROWS: tl.constexpr,
):  # fmt: skip
    """:func:`load_rates`, and the bias of delta (d,), 0 where there is none."""
    rates = load_rates(A, direction, d, live, n, channels, N)
    bias = 0.0
    if delta_bias is not None:
        bias = read_per_sequence(
            delta_bias, direction, sequence, d, live, channels, ROWS
        )
    return rates, bias


@triton.jit
def tile_at(row, count, index, d, n, channels, N: tl.constexpr):
    """Offsets of tile ``index`` in (rows, count, n, d)."""
    base = (row.to(tl.int64) * count + index) * (N * channels)
    return base + n[:, None] * channels + d[None, :]


@triton.jit(do_not_specialize=["shift"])
def segment_ends(
    u, delta, A, B, delta_bias, segments, states, sums, sizes, shift,
    N: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
    PER_GROUP: tl.constexpr, TWO: tl.constexpr, BACK_0: tl.constexpr,
    BACK_1: tl.constexpr, ROWS: tl.constexpr, SOFTPLUS: tl.constexpr,
    AHEAD: tl.constexpr,
):  # fmt: skip
    """The state each segment ends with when it starts from zero, and its sum of delta.

    Writes states (rows, chunks, n, d), at the segment's first chunk, and
    sums (rows, segments, d).
    """
    d, live, group = channels_of(shift, PER_GROUP, BLOCK_D)
    n = tl.arange(0, BLOCK_N)
    row = tl.program_id(2)
    direction, batch = row // sizes.batch, row % sizes.batch
    origin, sign, begin, end, sequence, chunk = place_of(
        segments, row, sizes, BACK_0, BACK_1
    )
    u_row = rows_of(u, row, batch, sizes.batch, TWO)
    delta_row = rows_of(delta, row, batch, sizes.batch, TWO)
    B_row = rows_of(B, row, batch, sizes.batch, TWO) + group * B.group
    rates, bias = rates_and_bias(
        A, delta_bias, direction, sequence, d, live, n, sizes.channels, N, ROWS
    )

    h = tl.zeros([BLOCK_N, BLOCK_D], tl.float32)
    total = tl.zeros([BLOCK_D], tl.float32)
    for i in range(begin, end, AHEAD):
        ahead = ()
        for j in tl.static_range(AHEAD):
            token = origin + sign * tl.minimum(i + j, end - 1)
            u_x = read_token(u_row, token, u, d, live)
            delta_x = read_token(delta_row, token, delta, d, live)
            B_x = read_token(B_row, token, B, n, n < N)
            ahead = ahead + ((u_x, delta_x, B_x),)
        zero = all_read(segments)
        for j in tl.static_range(AHEAD):
            u_x, delta_x, B_x = ahead[j]
            raw, delta_t = delta_of(delta_x, bias + zero, SOFTPLUS)
            delta_t = tl.where(i + j < end, delta_t, 0.0)  # past the end: h stays
            drive = delta_t * u_x.to(tl.float32)
            B_t = B_x.to(tl.float32)[:, None]
            h = tl.exp2(delta_t[None, :] * rates) * h + drive[None, :] * B_t
            total += delta_t
    mask = live[None, :] & (n < N)[:, None]
    at = tile_at(row, sizes.num_chunks, chunk, d, n, sizes.channels, N)
    tl.store(states + at, h, mask=mask)
    at = (row * sizes.num_segments + tl.program_id(1)) * sizes.channels + d
    tl.store(sums + at, total, mask=live)


@triton.jit
def join_segments(
    A, states, sums, segments, sequences, outer, sizes, num_sequences,
    N: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
    BACKWARD: tl.constexpr, AHEAD: tl.constexpr,
):  # fmt: skip
    """Replace what each segment gives from zero by what it receives.

    Forward: states (rows, chunks, n, d) at first chunks, in the order of time.
    Backward: states (rows, segments, n, d), the other way. A is constant, so a segment
    lets through exp(A sum of delta) of what it receives. ``outer``
    (rows, sequences, n, d) is what the sequence receives, or None for zero.
    """
    d = tl.program_id(0) * BLOCK_D + tl.arange(0, BLOCK_D)
    live = d < sizes.channels
    n = tl.arange(0, BLOCK_N)
    sequence, row = tl.program_id(1), tl.program_id(2)
    mask = live[None, :] & (n < N)[:, None]
    rates = load_rates(A, row // sizes.batch, d, live, n, sizes.channels, N)
    first, end = (
        tl.load(sequences + 2 * sequence),
        tl.load(sequences + 2 * sequence + 1),
    )
    h = tl.zeros([BLOCK_N, BLOCK_D], tl.float32)
    if outer is not None:
        at = tile_at(row, num_sequences, sequence, d, n, sizes.channels, N)
        h = tl.load(outer + at, mask=mask, other=0.0)
    for i in range(0, end - first, AHEAD):
        ahead = ()
        for j in tl.static_range(AHEAD):
            inside = i + j < end - first
            index = first + tl.minimum(i + j, end - first - 1)
            if BACKWARD:
                index = end - 1 - tl.minimum(i + j, end - first - 1)
                at = tile_at(row, sizes.num_segments, index, d, n, sizes.channels, N)
            else:
                chunk = tl.load(segments + index * 6 + 5)
                at = tile_at(row, sizes.num_chunks, chunk, d, n, sizes.channels, N)
            own = tl.load(states + at, mask=mask, other=0.0)
            total = tl.load(
                sums + (row * sizes.num_segments + index) * sizes.channels + d,
                mask=live,
                other=0.0,
            )
            ahead = ahead + ((own, total, at, inside),)
        tl.debug_barrier()  # no thread writes before all have read
        for j in tl.static_range(AHEAD):
            own, total, at, inside = ahead[j]
            tl.store(states + at, h, mask=mask & inside)
            h = tl.exp2(total[None, :] * rates) * h + own


@triton.jit(do_not_specialize=["shift", "chunk"])
def scan_forward(
    u, delta, A, B, C, D, delta_bias, z, segments, states, y, ungated, last, sizes,
    shift,
    chunk, num_sequences,
    N: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
    PER_GROUP: tl.constexpr, TWO: tl.constexpr, BACK_0: tl.constexpr,
    BACK_1: tl.constexpr, ROWS: tl.constexpr, SOFTPLUS: tl.constexpr,
    STARTS: tl.constexpr, SAVE: tl.constexpr,
    AHEAD: tl.constexpr,
):  # fmt: skip
    """Scan each segment from the state it starts with.

    Writes y (rows, l, d), gated when z is given; with SAVE the state before each chunk,
    states (rows, chunks, n, d); and last (rows, sequences, n, d) unless None.
    With STARTS the first chunk of each segment already holds its state, else it is 0.
    """
    d, live, group = channels_of(shift, PER_GROUP, BLOCK_D)
    n = tl.arange(0, BLOCK_N)
    row = tl.program_id(2)
    direction, batch = row // sizes.batch, row % sizes.batch
    origin, sign, begin, end, sequence, first_chunk = place_of(
        segments, row, sizes, BACK_0, BACK_1
    )
    u_row = rows_of(u, row, batch, sizes.batch, TWO)
    delta_row = rows_of(delta, row, batch, sizes.batch, TWO)
    B_row = rows_of(B, row, batch, sizes.batch, TWO) + group * B.group
    C_row = rows_of(C, row, batch, sizes.batch, TWO) + group * C.group
    if z is not None:
        z_row = rows_of(z, row, batch, sizes.batch, False)
    row_tokens = row.to(tl.int64) * sizes.length * sizes.channels
    y_row = y + row_tokens
    if ungated is not None:
        ungated_row = ungated + row_tokens
    mask = live[None, :] & (n < N)[:, None]
    rates, bias = rates_and_bias(
        A, delta_bias, direction, sequence, d, live, n, sizes.channels, N, ROWS
    )
    if D is not None:
        skip = read_per_sequence(D, direction, sequence, d, live, sizes.channels, ROWS)

    h = tl.zeros([BLOCK_N, BLOCK_D], tl.float32)
    if STARTS:
        at = tile_at(row, sizes.num_chunks, first_chunk, d, n, sizes.channels, N)
        h = tl.load(states + at, mask=mask, other=0.0)
    for c in range(0, tl.cdiv(end - begin, chunk)):
        if SAVE:
            at = tile_at(
                row, sizes.num_chunks, first_chunk + c, d, n, sizes.channels, N
            )
            tl.store(states + at, h, mask=mask)
        start = begin + c * chunk
        stop = tl.minimum(start + chunk, end)
        for i in range(start, stop, AHEAD):
            ahead = ()
            for j in tl.static_range(AHEAD):
                token = origin + sign * tl.minimum(i + j, stop - 1)
                u_x = read_token(u_row, token, u, d, live)
                delta_x = read_token(delta_row, token, delta, d, live)
                B_x = read_token(B_row, token, B, n, n < N)
                C_x = read_token(C_row, token, C, n, n < N)
                z_x = u_x
                if z is not None:
                    z_x = read_token(z_row, token, z, d, live)
                ahead = ahead + ((u_x, delta_x, B_x, C_x, z_x),)
            zero = all_read(segments)
            for j in tl.static_range(AHEAD):
                u_x, delta_x, B_x, C_x, z_x = ahead[j]
                inside = i + j < stop  # past the end: h stays, y is not written
                u_t = u_x.to(tl.float32)
                raw, delta_t = delta_of(delta_x, bias + zero, SOFTPLUS)
                delta_t = tl.where(inside, delta_t, 0.0)
                drive = (delta_t * u_t)[None, :] * B_x.to(tl.float32)[:, None]
                h = tl.exp2(delta_t[None, :] * rates) * h + drive
                y_t = tl.sum(h * C_x.to(tl.float32)[:, None], axis=0)
                if D is not None:
                    y_t += skip * u_t
                y_at = (origin + sign * (i + j)) * sizes.channels + d
                if ungated is not None:
                    tl.store(ungated_row + y_at, y_t, mask=live & inside)
                if z is not None:
                    z_t = z_x.to(tl.float32)
                    y_t *= z_t * sigmoid(z_t)
                tl.store(y_row + y_at, y_t, mask=live & inside)
    if last is not None:
        length = tl.load(segments + tl.program_id(1) * 6 + 1) + 1
        length -= tl.load(segments + tl.program_id(1) * 6)
        if end == length:
            at = tile_at(row, num_sequences, sequence, d, n, sizes.channels, N)
            tl.store(last + at, h, mask=mask)


@triton.jit
def merge_directions(
    parts, z, y, ungated, count, length, channels, BLOCK: tl.constexpr
):
    """ungated = parts[0] + parts[1], y = silu(z) times it; parts (2, b, l, d).

    y and ungated (b, l, d); ungated may be None.
    """
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    ok = at < count
    total = tl.load(parts + at, mask=ok, other=0.0)
    total += tl.load(parts + count + at, mask=ok, other=0.0)
    if ungated is not None:
        tl.store(ungated + at, total, mask=ok)
    if z is not None:
        z_t = read_flat(z, at, ok, length, channels)
        total *= z_t * sigmoid(z_t)
    tl.store(y + at, total, mask=ok)


@triton.jit
def read_flat(rows, at, ok, length, channels):
    """Elements ``at`` of (b, l, d), counted without strides, of one that has them."""
    token = at // channels
    batch = (token // length).to(tl.int64)
    offset = batch * rows.batch + (token % length) * rows.token + at % channels
    return tl.load(rows.first + offset, mask=ok, other=0.0).to(tl.float32)
