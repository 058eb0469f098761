"""Triton kernels of the selective scan: one program walks through time, token by token.

A program has a block of channels (one a lane), one segment of time and one row, that is
one direction of one batch entry. The state is a tile (n, channels) in registers. Where
segments are several, :func:`segment_ends` (in the backward :func:`segment_carries`)
first runs each from zero, :func:`join_segments` turns their ends into the states they
start with, and only then :func:`scan_forward` and :func:`scan_backward` do the work.
No atomics: sums over channels, segments and batch are left as partial sums.

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
def _rows(rows, row, batch, num_batches, TWO: tl.constexpr):
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
    e = tl.exp(-tl.abs(x))
    s = e / (2.0 + e)
    q = s * s
    series = 1.0 / 13 + q * (1.0 / 15)
    series = 1.0 / 9 + q * (1.0 / 11 + q * series)
    series = 1.0 / 5 + q * (1.0 / 7 + q * series)
    series = 1.0 + q * (1.0 / 3 + q * series)
    return tl.maximum(x, 0.0) + 2.0 * s * series


@triton.jit
def _sigmoid(x):
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def _read(pointer, token, strides, index, mask):
    """One token of a row as it lies in memory."""
    return tl.load(pointer + token * strides.token + index, mask=mask, other=0.0)


@triton.jit
def _delta_of(x, bias, SOFTPLUS: tl.constexpr):
    """delta with its bias before softplus, and delta itself."""
    raw = x.to(tl.float32) + bias
    delta_t = raw
    if SOFTPLUS:
        delta_t = _softplus(raw)
    return raw, delta_t


@triton.jit
def _channels(PER_GROUP: tl.constexpr, BLOCK_D: tl.constexpr):
    """Channels of this program, which of them exist, and their group."""
    blocks: tl.constexpr = (PER_GROUP + BLOCK_D - 1) // BLOCK_D
    block = tl.program_id(0)
    group = block // blocks
    inside = (block % blocks) * BLOCK_D + tl.arange(0, BLOCK_D)
    return group * PER_GROUP + inside, inside < PER_GROUP, group


@triton.jit
def _per_sequence(pointer, direction, sequence, d, live, channels, ROWS: tl.constexpr):
    """D or delta_bias of a sequence: row of (directions, 1 or k, d)."""
    row = direction * ROWS
    if ROWS > 1:
        row += sequence
    return tl.load(pointer + row * channels + d, mask=live, other=0.0)


@triton.jit
def _place(segments, row, sizes, BACK_0: tl.constexpr, BACK_1: tl.constexpr):
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
def _load_A(A, direction, d, live, n, channels, N: tl.constexpr):
    """A (directions, n, d) as a tile (n, channels), for exp2.

    It lies as the states do; else Triton converts between layouts at each token.
    """
    pointer = A + (direction * N + n)[:, None] * channels + d[None, :]
    mask = live[None, :] & (n < N)[:, None]
    return tl.load(pointer, mask=mask, other=0.0) * LOG2_E


@triton.jit
def _tile(row, count, index, d, n, channels, N: tl.constexpr):
    """Offsets of tile ``index`` in (rows, count, n, d)."""
    base = (row.to(tl.int64) * count + index) * (N * channels)
    return base + n[:, None] * channels + d[None, :]


@triton.jit
def segment_ends(
    u, delta, A, B, delta_bias, segments, states, sums, sizes,
    N: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
    PER_GROUP: tl.constexpr, TWO: tl.constexpr, BACK_0: tl.constexpr,
    BACK_1: tl.constexpr, ROWS: tl.constexpr, SOFTPLUS: tl.constexpr,
    AHEAD: tl.constexpr,
):  # fmt: skip
    """The state each segment ends with when it starts from zero, and its sum of delta.

    Writes states (rows, chunks, n, d), at the segment's first chunk, and
    sums (rows, segments, d).
    """
    d, live, group = _channels(PER_GROUP, BLOCK_D)
    n = tl.arange(0, BLOCK_N)
    row = tl.program_id(2)
    direction, batch = row // sizes.batch, row % sizes.batch
    origin, sign, begin, end, sequence, chunk = _place(
        segments, row, sizes, BACK_0, BACK_1
    )
    u_row = _rows(u, row, batch, sizes.batch, TWO)
    delta_row = _rows(delta, row, batch, sizes.batch, TWO)
    B_row = _rows(B, row, batch, sizes.batch, TWO) + group * B.group
    rates = _load_A(A, direction, d, live, n, sizes.channels, N)
    bias = 0.0
    if delta_bias is not None:
        bias = _per_sequence(
            delta_bias, direction, sequence, d, live, sizes.channels, ROWS
        )

    h = tl.zeros([BLOCK_N, BLOCK_D], tl.float32)
    total = tl.zeros([BLOCK_D], tl.float32)
    for i in range(begin, end, AHEAD):
        ahead = ()
        for j in tl.static_range(AHEAD):
            token = origin + sign * tl.minimum(i + j, end - 1)
            u_x = _read(u_row, token, u, d, live)
            delta_x = _read(delta_row, token, delta, d, live)
            B_x = _read(B_row, token, B, n, n < N)
            ahead = ahead + ((u_x, delta_x, B_x),)
        for j in tl.static_range(AHEAD):
            u_x, delta_x, B_x = ahead[j]
            raw, delta_t = _delta_of(delta_x, bias, SOFTPLUS)
            delta_t = tl.where(i + j < end, delta_t, 0.0)  # past the end: h stays
            drive = delta_t * u_x.to(tl.float32)
            B_t = B_x.to(tl.float32)[:, None]
            h = tl.exp2(delta_t[None, :] * rates) * h + drive[None, :] * B_t
            total += delta_t
    mask = live[None, :] & (n < N)[:, None]
    at = _tile(row, sizes.num_chunks, chunk, d, n, sizes.channels, N)
    tl.store(states + at, h, mask=mask)
    at = (row * sizes.num_segments + tl.program_id(1)) * sizes.channels + d
    tl.store(sums + at, total, mask=live)


@triton.jit
def segment_carries(
    delta, A, C, delta_bias, z, dy, segments, carries, sums, sizes,
    N: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
    PER_GROUP: tl.constexpr, TWO: tl.constexpr, BACK_0: tl.constexpr,
    BACK_1: tl.constexpr, ROWS: tl.constexpr, SOFTPLUS: tl.constexpr,
    AHEAD: tl.constexpr,
):  # fmt: skip
    """:func:`segment_ends` of the backward: what each segment hands to the one before.

    Writes carries (rows, segments, n, d), the gradient of the state before the segment
    when nothing comes from later ones, and sums (rows, segments, d) of delta.
    """
    d, live, group = _channels(PER_GROUP, BLOCK_D)
    n = tl.arange(0, BLOCK_N)
    row = tl.program_id(2)
    direction, batch = row // sizes.batch, row % sizes.batch
    origin, sign, begin, end, sequence, _ = _place(segments, row, sizes, BACK_0, BACK_1)
    delta_row = _rows(delta, row, batch, sizes.batch, TWO)
    C_row = _rows(C, row, batch, sizes.batch, TWO) + group * C.group
    dy_row = _rows(dy, row, batch, sizes.batch, False)
    if z is not None:
        z_row = _rows(z, row, batch, sizes.batch, False)
    rates = _load_A(A, direction, d, live, n, sizes.channels, N)
    bias = 0.0
    if delta_bias is not None:
        bias = _per_sequence(
            delta_bias, direction, sequence, d, live, sizes.channels, ROWS
        )

    g = tl.zeros([BLOCK_N, BLOCK_D], tl.float32)
    total = tl.zeros([BLOCK_D], tl.float32)
    for back in range(0, end - begin, AHEAD):
        ahead = ()
        for j in tl.static_range(AHEAD):
            token = origin + sign * tl.maximum(end - 1 - back - j, begin)
            dy_x = _read(dy_row, token, dy, d, live)
            delta_x = _read(delta_row, token, delta, d, live)
            C_x = _read(C_row, token, C, n, n < N)
            z_x = dy_x
            if z is not None:
                z_x = _read(z_row, token, z, d, live)
            ahead = ahead + ((dy_x, delta_x, C_x, z_x),)
        for j in tl.static_range(AHEAD):
            dy_x, delta_x, C_x, z_x = ahead[j]
            inside = back + j < end - begin  # past the end: g stays
            dy_t = tl.where(inside, dy_x.to(tl.float32), 0.0)
            if z is not None:
                z_t = z_x.to(tl.float32)
                dy_t *= z_t * _sigmoid(z_t)
            C_t = C_x.to(tl.float32)[:, None]
            raw, delta_t = _delta_of(delta_x, bias, SOFTPLUS)
            delta_t = tl.where(inside, delta_t, 0.0)
            g = tl.exp2(delta_t[None, :] * rates) * (g + C_t * dy_t[None, :])
            total += delta_t
    mask = live[None, :] & (n < N)[:, None]
    index = tl.program_id(1)
    at = _tile(row, sizes.num_segments, index, d, n, sizes.channels, N)
    tl.store(carries + at, g, mask=mask)
    at = (row * sizes.num_segments + index) * sizes.channels + d
    tl.store(sums + at, total, mask=live)


@triton.jit
def join_segments(
    A, states, sums, segments, sequences, outer, sizes, num_sequences,
    N: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
    BACKWARD: tl.constexpr,
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
    rates = _load_A(A, row // sizes.batch, d, live, n, sizes.channels, N)
    first, end = (
        tl.load(sequences + 2 * sequence),
        tl.load(sequences + 2 * sequence + 1),
    )
    h = tl.zeros([BLOCK_N, BLOCK_D], tl.float32)
    if outer is not None:
        at = _tile(row, num_sequences, sequence, d, n, sizes.channels, N)
        h = tl.load(outer + at, mask=mask, other=0.0)
    for i in range(0, end - first):
        if BACKWARD:
            index = end - 1 - i
            at = _tile(row, sizes.num_segments, index, d, n, sizes.channels, N)
        else:
            index = first + i
            chunk = tl.load(segments + index * 6 + 5)
            at = _tile(row, sizes.num_chunks, chunk, d, n, sizes.channels, N)
        own = tl.load(states + at, mask=mask, other=0.0)
        tl.debug_barrier()  # no thread writes before all have read
        tl.store(states + at, h, mask=mask)
        total = tl.load(
            sums + (row * sizes.num_segments + index) * sizes.channels + d,
            mask=live,
            other=0.0,
        )
        h = tl.exp2(total[None, :] * rates) * h + own


@triton.jit
def scan_forward(
    u, delta, A, B, C, D, delta_bias, z, segments, states, y, last, sizes,
    num_sequences,
    N: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
    PER_GROUP: tl.constexpr, TWO: tl.constexpr, BACK_0: tl.constexpr,
    BACK_1: tl.constexpr, ROWS: tl.constexpr, SOFTPLUS: tl.constexpr,
    CHUNK: tl.constexpr, STARTS: tl.constexpr, SAVE: tl.constexpr,
    AHEAD: tl.constexpr,
):  # fmt: skip
    """Scan each segment from the state it starts with.

    Writes y (rows, l, d), gated when z is given; with SAVE the state before each chunk,
    states (rows, chunks, n, d); and last (rows, sequences, n, d) unless None.
    With STARTS the first chunk of each segment already holds its state, else it is 0.
    """
    d, live, group = _channels(PER_GROUP, BLOCK_D)
    n = tl.arange(0, BLOCK_N)
    row = tl.program_id(2)
    direction, batch = row // sizes.batch, row % sizes.batch
    origin, sign, begin, end, sequence, first_chunk = _place(
        segments, row, sizes, BACK_0, BACK_1
    )
    u_row = _rows(u, row, batch, sizes.batch, TWO)
    delta_row = _rows(delta, row, batch, sizes.batch, TWO)
    B_row = _rows(B, row, batch, sizes.batch, TWO) + group * B.group
    C_row = _rows(C, row, batch, sizes.batch, TWO) + group * C.group
    if z is not None:
        z_row = _rows(z, row, batch, sizes.batch, False)
    y_row = y + row.to(tl.int64) * sizes.length * sizes.channels
    mask = live[None, :] & (n < N)[:, None]
    rates = _load_A(A, direction, d, live, n, sizes.channels, N)
    bias = 0.0
    if delta_bias is not None:
        bias = _per_sequence(
            delta_bias, direction, sequence, d, live, sizes.channels, ROWS
        )
    if D is not None:
        skip = _per_sequence(D, direction, sequence, d, live, sizes.channels, ROWS)

    h = tl.zeros([BLOCK_N, BLOCK_D], tl.float32)
    if STARTS:
        at = _tile(row, sizes.num_chunks, first_chunk, d, n, sizes.channels, N)
        h = tl.load(states + at, mask=mask, other=0.0)
    for c in range(0, tl.cdiv(end - begin, CHUNK)):
        if SAVE:
            at = _tile(row, sizes.num_chunks, first_chunk + c, d, n, sizes.channels, N)
            tl.store(states + at, h, mask=mask)
        start = begin + c * CHUNK
        stop = tl.minimum(start + CHUNK, end)
        for i in range(start, stop, AHEAD):
            ahead = ()
            for j in tl.static_range(AHEAD):
                token = origin + sign * tl.minimum(i + j, stop - 1)
                u_x = _read(u_row, token, u, d, live)
                delta_x = _read(delta_row, token, delta, d, live)
                B_x = _read(B_row, token, B, n, n < N)
                C_x = _read(C_row, token, C, n, n < N)
                z_x = u_x
                if z is not None:
                    z_x = _read(z_row, token, z, d, live)
                ahead = ahead + ((u_x, delta_x, B_x, C_x, z_x),)
            for j in tl.static_range(AHEAD):
                u_x, delta_x, B_x, C_x, z_x = ahead[j]
                inside = i + j < stop  # past the end: h stays, y is not written
                u_t = u_x.to(tl.float32)
                raw, delta_t = _delta_of(delta_x, bias, SOFTPLUS)
                delta_t = tl.where(inside, delta_t, 0.0)
                drive = (delta_t * u_t)[None, :] * B_x.to(tl.float32)[:, None]
                h = tl.exp2(delta_t[None, :] * rates) * h + drive
                y_t = tl.sum(h * C_x.to(tl.float32)[:, None], axis=0)
                if D is not None:
                    y_t += skip * u_t
                if z is not None:
                    z_t = z_x.to(tl.float32)
                    y_t *= z_t * _sigmoid(z_t)
                token = origin + sign * (i + j)
                y_at = y_row + token * sizes.channels + d
                tl.store(y_at, y_t, mask=live & inside)
    if last is not None:
        length = tl.load(segments + tl.program_id(1) * 6 + 1) + 1
        length -= tl.load(segments + tl.program_id(1) * 6)
        if end == length:
            at = _tile(row, num_sequences, sequence, d, n, sizes.channels, N)
            tl.store(last + at, h, mask=mask)


@triton.jit
def scan_backward(
    u, delta, A, B, C, D, delta_bias, z, dy, segments, states, carries, scratch,
    du, ddelta, dz, dA, dB, dC, dD, dbias, outer, sizes,
    N: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
    PER_GROUP: tl.constexpr, TWO: tl.constexpr, BACK_0: tl.constexpr,
    BACK_1: tl.constexpr, ROWS: tl.constexpr, SOFTPLUS: tl.constexpr,
    CHUNK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradients of each segment, from the states before its chunks.

    Chunks are taken from the last to the first. In each, the states before every block
    of BLOCK tokens are computed again into ``scratch``
    (programs, CHUNK / BLOCK, n, channels), then the blocks are taken from the last to
    the first with their BLOCK states in registers.

    Reads carries (rows, segments, n, d), the gradient of the state after each segment;
    None is zero. Writes du, ddelta, dz (rows, l, d); the partial sums dA
    (rows, segments, n, d), dB and dC (rows, blocks of channels, l, n), dD and dbias
    (rows, segments, d); and outer (rows, segments, n, d), the gradient of the state
    before the segment, unless None.
    """
    d, live, group = _channels(PER_GROUP, BLOCK_D)
    n = tl.arange(0, BLOCK_N)
    row = tl.program_id(2)
    direction, batch = row // sizes.batch, row % sizes.batch
    origin, sign, begin, end, sequence, first_chunk = _place(
        segments, row, sizes, BACK_0, BACK_1
    )
    u_row = _rows(u, row, batch, sizes.batch, TWO)
    delta_row = _rows(delta, row, batch, sizes.batch, TWO)
    B_row = _rows(B, row, batch, sizes.batch, TWO) + group * B.group
    C_row = _rows(C, row, batch, sizes.batch, TWO) + group * C.group
    dy_row = _rows(dy, row, batch, sizes.batch, False)
    if z is not None:
        z_row = _rows(z, row, batch, sizes.batch, False)
    row_tokens = row.to(tl.int64) * sizes.length * sizes.channels  # into du, ddelta, dz
    block_tokens = row.to(tl.int64) * tl.num_programs(0) + tl.program_id(0)
    block_tokens *= sizes.length * N  # into dB and dC
    program = row.to(tl.int64) * tl.num_programs(1) + tl.program_id(1)
    program = program * tl.num_programs(0) + tl.program_id(0)
    own = n[:, None] * BLOCK_D + tl.arange(0, BLOCK_D)[None, :]
    own_scratch = scratch + program * (CHUNK // BLOCK) * BLOCK_N * BLOCK_D + own
    mask = live[None, :] & (n < N)[:, None]
    rates = _load_A(A, direction, d, live, n, sizes.channels, N)
    bias = 0.0
    if delta_bias is not None:
        bias = _per_sequence(
            delta_bias, direction, sequence, d, live, sizes.channels, ROWS
        )
    if D is not None:
        skip = _per_sequence(D, direction, sequence, d, live, sizes.channels, ROWS)

    carry = tl.zeros([BLOCK_N, BLOCK_D], tl.float32)
    at_segment = _tile(
        row, sizes.num_segments, tl.program_id(1), d, n, sizes.channels, N
    )
    if carries is not None:
        carry = tl.load(carries + at_segment, mask=mask, other=0.0)
    sum_A = tl.zeros([BLOCK_N, BLOCK_D], tl.float32)
    sum_D = tl.zeros([BLOCK_D], tl.float32)
    sum_bias = tl.zeros([BLOCK_D], tl.float32)
    num_chunks = tl.cdiv(end - begin, CHUNK)
    for chunk_back in range(0, num_chunks):
        c = num_chunks - 1 - chunk_back
        start = begin + c * CHUNK
        stop = tl.minimum(start + CHUNK, end)
        at = _tile(row, sizes.num_chunks, first_chunk + c, d, n, sizes.channels, N)
        h = tl.load(states + at, mask=mask, other=0.0)
        num_blocks = tl.cdiv(stop - start, BLOCK)
        tl.debug_barrier()  # the chunk before has been read
        for k in range(0, num_blocks):
            tl.store(own_scratch + k * BLOCK_N * BLOCK_D, h)
            if k + 1 < num_blocks:
                ahead = ()
                for j in tl.static_range(BLOCK):
                    token = origin + sign * (start + k * BLOCK + j)
                    u_x = _read(u_row, token, u, d, live)
                    delta_x = _read(delta_row, token, delta, d, live)
                    B_x = _read(B_row, token, B, n, n < N)
                    ahead = ahead + ((u_x, delta_x, B_x),)
                for j in tl.static_range(BLOCK):
                    u_x, delta_x, B_x = ahead[j]
                    raw, delta_t = _delta_of(delta_x, bias, SOFTPLUS)
                    drive = (delta_t * u_x.to(tl.float32))[None, :]
                    a = tl.exp2(delta_t[None, :] * rates)
                    h = a * h + drive * B_x.to(tl.float32)[:, None]
        tl.debug_barrier()  # scratch is written
        for block_back in range(0, num_blocks):
            k = num_blocks - 1 - block_back
            h = tl.load(own_scratch + k * BLOCK_N * BLOCK_D)
            ahead = ()
            for j in tl.static_range(BLOCK):
                # past the end the last token is read again; the result is not used
                token = origin + sign * tl.minimum(start + k * BLOCK + j, stop - 1)
                u_x = _read(u_row, token, u, d, live)
                delta_x = _read(delta_row, token, delta, d, live)
                B_x = _read(B_row, token, B, n, n < N)
                C_x = _read(C_row, token, C, n, n < N)
                dy_x = _read(dy_row, token, dy, d, live)
                z_x = dy_x
                if z is not None:
                    z_x = _read(z_row, token, z, d, live)
                ahead = ahead + ((u_x, delta_x, B_x, C_x, dy_x, z_x),)
            hs = (h,)
            decays = ()
            for j in tl.static_range(BLOCK):
                u_x, delta_x, B_x, C_x, dy_x, z_x = ahead[j]
                raw, delta_t = _delta_of(delta_x, bias, SOFTPLUS)
                drive = (delta_t * u_x.to(tl.float32))[None, :]
                a = tl.exp2(delta_t[None, :] * rates)
                h = a * h + drive * B_x.to(tl.float32)[:, None]
                hs = hs + (h,)
                decays = decays + (a,)
            for r in tl.static_range(BLOCK):
                i = start + k * BLOCK + (BLOCK - 1 - r)
                if i < stop:
                    token = origin + sign * i
                    u_x, delta_x, B_x, C_x, dy_x, z_x = ahead[BLOCK - 1 - r]
                    u_t, dy_t = u_x.to(tl.float32), dy_x.to(tl.float32)
                    B_t, C_t = B_x.to(tl.float32)[:, None], C_x.to(tl.float32)[:, None]
                    raw, delta_t = _delta_of(delta_x, bias, SOFTPLUS)
                    h_t = hs[BLOCK - r]
                    at_token = row_tokens + token * sizes.channels + d
                    if z is not None:
                        z_t = z_x.to(tl.float32)
                        gate = _sigmoid(z_t)
                        y_t = tl.sum(h_t * C_t, axis=0)
                        if D is not None:
                            y_t += skip * u_t
                        dz_t = dy_t * y_t * gate * (1.0 + z_t * (1.0 - gate))
                        tl.store(dz + at_token, dz_t, mask=live)
                        dy_t *= z_t * gate
                    g = carry + C_t * dy_t[None, :]
                    at_state = block_tokens + token * N + n
                    # lanes without a channel have h = g = 0
                    dC_t = tl.sum(h_t * dy_t[None, :], axis=1)
                    tl.store(dC + at_state, dC_t, mask=n < N)
                    dB_t = tl.sum(g * (delta_t * u_t)[None, :], axis=1)
                    tl.store(dB + at_state, dB_t, mask=n < N)
                    carry = g * decays[BLOCK - 1 - r]
                    exponent = carry * hs[BLOCK - 1 - r]  # gradient of delta_t A
                    sum_A += exponent * delta_t[None, :]
                    g_B = tl.sum(g * B_t, axis=0)
                    du_t = g_B * delta_t
                    ddelta_t = g_B * u_t + tl.sum(exponent * rates, axis=0) * LN_2
                    if D is not None:
                        du_t += skip * dy_t
                        sum_D += dy_t * u_t
                    if SOFTPLUS:
                        ddelta_t *= _sigmoid(raw)
                    sum_bias += ddelta_t
                    tl.store(du + at_token, du_t, mask=live)
                    tl.store(ddelta + at_token, ddelta_t, mask=live)
    tl.store(dA + at_segment, sum_A, mask=mask)
    at = (row * sizes.num_segments + tl.program_id(1)) * sizes.channels + d
    if D is not None:
        tl.store(dD + at, sum_D, mask=live)
    if delta_bias is not None:
        tl.store(dbias + at, sum_bias, mask=live)
    if outer is not None:
        tl.store(outer + at_segment, carry, mask=mask)


@triton.jit
def merge_directions(parts, z, y, count, length, channels, BLOCK: tl.constexpr):
    """y = silu(z) (parts[0] + parts[1]); parts (2, b, l, d), y (b, l, d)."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    ok = at < count
    total = tl.load(parts + at, mask=ok, other=0.0)
    total += tl.load(parts + count + at, mask=ok, other=0.0)
    if z is not None:
        token = at // channels
        batch = token // length
        offset = batch * z.batch + (token % length) * z.token + at % channels
        z_t = tl.load(z.first + offset, mask=ok, other=0.0).to(tl.float32)
        total *= z_t * _sigmoid(z_t)
    tl.store(y + at, total, mask=ok)
