"""Triton kernels of the scan's backward; ``scan_kernels.py`` has the plan of both."""

# Triton unrolls tuples that grow in a loop; mypy takes them for fixed ones
# mypy: disable-error-code="assignment, var-annotated"

import triton
import triton.language as tl

from mmfusion.ops.triton.scan_kernels import (
    LN_2,
    LOG2_E,
    all_read,
    channels_of,
    delta_of,
    place_of,
    rates_and_bias,
    read_flat,
    read_per_sequence,
    read_token,
    rows_of,
    sigmoid,
    tile_at,
)


@triton.jit(do_not_specialize=["shift"])
def segment_carries(
    delta, A, C, delta_bias, z, dy, segments, carries, sums, sizes, shift,
    N: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
    PER_GROUP: tl.constexpr, TWO: tl.constexpr, BACK_0: tl.constexpr,
    BACK_1: tl.constexpr, ROWS: tl.constexpr, SOFTPLUS: tl.constexpr,
    AHEAD: tl.constexpr,
):  # fmt: skip
    """:func:`segment_ends` of the backward: what each segment hands to the one before.

    Writes carries (rows, segments, n, d), the gradient of the state before the segment
    when nothing comes from later ones, and sums (rows, segments, d) of delta.
    """
    d, live, group = channels_of(shift, PER_GROUP, BLOCK_D)
    n = tl.arange(0, BLOCK_N)
    row = tl.program_id(2)
    direction, batch = row // sizes.batch, row % sizes.batch
    origin, sign, begin, end, sequence, _ = place_of(
        segments, row, sizes, BACK_0, BACK_1
    )
    delta_row = rows_of(delta, row, batch, sizes.batch, TWO)
    C_row = rows_of(C, row, batch, sizes.batch, TWO) + group * C.group
    dy_row = rows_of(dy, row, batch, sizes.batch, False)
    if z is not None:
        z_row = rows_of(z, row, batch, sizes.batch, False)
    rates, bias = rates_and_bias(
        A, delta_bias, direction, sequence, d, live, n, sizes.channels, N, ROWS
    )

    g = tl.zeros([BLOCK_N, BLOCK_D], tl.float32)
    total = tl.zeros([BLOCK_D], tl.float32)
    for back in range(0, end - begin, AHEAD):
        ahead = ()
        for j in tl.static_range(AHEAD):
            token = origin + sign * tl.maximum(end - 1 - back - j, begin)
            dy_x = read_token(dy_row, token, dy, d, live)
            delta_x = read_token(delta_row, token, delta, d, live)
            C_x = read_token(C_row, token, C, n, n < N)
            z_x = dy_x
            if z is not None:
                z_x = read_token(z_row, token, z, d, live)
            ahead = ahead + ((dy_x, delta_x, C_x, z_x),)
        zero = all_read(segments)
        for j in tl.static_range(AHEAD):
            dy_x, delta_x, C_x, z_x = ahead[j]
            inside = back + j < end - begin  # past the end: g stays
            dy_t = tl.where(inside, dy_x.to(tl.float32), 0.0)
            if z is not None:
                z_t = z_x.to(tl.float32)
                dy_t *= z_t * sigmoid(z_t)
            C_t = C_x.to(tl.float32)[:, None]
            raw, delta_t = delta_of(delta_x, bias + zero, SOFTPLUS)
            delta_t = tl.where(inside, delta_t, 0.0)
            g = tl.exp2(delta_t[None, :] * rates) * (g + C_t * dy_t[None, :])
            total += delta_t
    mask = live[None, :] & (n < N)[:, None]
    index = tl.program_id(1)
    at = tile_at(row, sizes.num_segments, index, d, n, sizes.channels, N)
    tl.store(carries + at, g, mask=mask)
    at = (row * sizes.num_segments + index) * sizes.channels + d
    tl.store(sums + at, total, mask=live)


@triton.jit
def _read_block(rows, strides, token, sign, count, d, live, BLOCK: tl.constexpr):
    """BLOCK tokens of a row, (tokens, channels); the first may be the only one."""
    j = tl.arange(0, BLOCK)
    tokens = token + sign * tl.minimum(j, count - 1)
    at = tokens[:, None] * strides.token + d[None, :]
    return tl.load(rows + at, mask=live[None, :], other=0.0)


@triton.jit(do_not_specialize=["shift", "chunk"])
def scan_backward(
    u, delta, A, B, C, D, delta_bias, z, dy, segments, states, carries, scratch,
    du, ddelta, dBC, sums, outer, sizes, shift, chunk,
    N: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr,
    PER_GROUP: tl.constexpr, TWO: tl.constexpr, BACK_0: tl.constexpr,
    BACK_1: tl.constexpr, ROWS: tl.constexpr, SOFTPLUS: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradients of each segment, from the states before its chunks.

    Chunks are taken from the last to the first. In each, the states before every block
    of BLOCK tokens are computed again, then the blocks are taken from the last to the
    first with their states in registers. What passes between threads goes through
    ``scratch``, a part for each program: the states, and what a block's tokens have by
    channel alone.

    Reads carries (rows, segments, n, d), the gradient of the state after each segment;
    None is zero. Writes du, ddelta (rows, l, d); the partial sums of dB and dC
    (2, rows, blocks of channels, l, n) and of dA, dD and dbias
    (rows, segments, n + 2, d); and outer (rows, segments, n, d), the gradient of the
    state before the segment, unless None.
    """
    # the same channels twice: without ``shift`` four neighbours meet in a lane
    d, live, group = channels_of(0, PER_GROUP, BLOCK_D)
    d_1, live_1, _ = channels_of(shift, PER_GROUP, BLOCK_D)
    n = tl.arange(0, BLOCK_N)
    LANES: tl.constexpr = 4
    EACH: tl.constexpr = BLOCK_N // LANES
    i_n = tl.arange(0, LANES)[:, None] * EACH + tl.arange(0, EACH)[None, :]
    row = tl.program_id(2)
    direction, batch = row // sizes.batch, row % sizes.batch
    origin, sign, begin, end, sequence, first_chunk = place_of(
        segments, row, sizes, BACK_0, BACK_1
    )
    u_row = rows_of(u, row, batch, sizes.batch, TWO)
    delta_row = rows_of(delta, row, batch, sizes.batch, TWO)
    B_row = rows_of(B, row, batch, sizes.batch, TWO) + group * B.group
    C_row = rows_of(C, row, batch, sizes.batch, TWO) + group * C.group
    dy_row = rows_of(dy, row, batch, sizes.batch, False)
    if z is not None:
        z_row = rows_of(z, row, batch, sizes.batch, False)
    row_tokens = row.to(tl.int64) * sizes.length * sizes.channels  # into du, ddelta
    block_tokens = row.to(tl.int64) * tl.num_programs(0) + tl.program_id(0)
    block_tokens *= sizes.length * N  # into dB and dC
    all_blocks = tl.num_programs(2).to(tl.int64) * tl.num_programs(0)
    all_blocks *= sizes.length * N  # from dB to dC
    program = row.to(tl.int64) * tl.num_programs(1) + tl.program_id(1)
    program = program * tl.num_programs(0) + tl.program_id(0)
    STATE: tl.constexpr = BLOCK_N * BLOCK_D
    VECTORS: tl.constexpr = 3 * BLOCK * BLOCK_D
    own = scratch + program * (chunk // BLOCK * STATE + VECTORS)
    lane = tl.arange(0, BLOCK_D)
    own_1 = own + VECTORS + n[:, None] * BLOCK_D + (lane + shift)[None, :]
    own_3 = own + VECTORS + i_n[:, :, None] * BLOCK_D + lane[None, None, :]
    vector = own + tl.arange(0, LANES)[:, None] * 0 + lane[None, :]
    tokens = tl.arange(0, BLOCK)
    vectors = own + tokens[:, None] * BLOCK_D + lane[None, :]
    slot = tl.arange(0, 2 * BLOCK)[None, None, :]  # dB of each token, then dC
    mask_1 = live_1[None, :] & (n < N)[:, None]
    mask = live[None, None, :] & (i_n < N)[:, :, None]
    at = (direction * N + i_n)[:, :, None] * sizes.channels + d[None, None, :]
    rates = tl.load(A + at, mask=mask, other=0.0) * LOG2_E
    bias = 0.0
    if delta_bias is not None:
        bias = read_per_sequence(
            delta_bias, direction, sequence, d, live, sizes.channels, ROWS
        )[None, :]
    if D is not None:
        skip = read_per_sequence(D, direction, sequence, d, live, sizes.channels, ROWS)

    carry = tl.zeros([LANES, EACH, BLOCK_D], tl.float32)
    at_segment = (row.to(tl.int64) * sizes.num_segments + tl.program_id(1)) * N
    at_segment = (at_segment + i_n)[:, :, None] * sizes.channels + d[None, None, :]
    if carries is not None:
        carry = tl.load(carries + at_segment, mask=mask, other=0.0)
    sum_A = tl.zeros([LANES, EACH, BLOCK_D], tl.float32)
    sum_D = tl.zeros([BLOCK, BLOCK_D], tl.float32)
    sum_bias = tl.zeros([BLOCK, BLOCK_D], tl.float32)
    num_chunks = tl.cdiv(end - begin, chunk)
    for chunk_back in range(0, num_chunks):
        c = num_chunks - 1 - chunk_back
        start = begin + c * chunk
        stop = tl.minimum(start + chunk, end)
        at_chunk = tile_at(
            row, sizes.num_chunks, first_chunk + c, d_1, n, sizes.channels, N
        )
        h_1 = tl.load(states + at_chunk, mask=mask_1, other=0.0)
        # loaded here, that they leave their registers to the second loop
        rates_1, bias_1 = rates_and_bias(
            A, delta_bias, direction, sequence, d_1, live_1, n, sizes.channels, N, ROWS
        )
        num_blocks = tl.cdiv(stop - start, BLOCK)
        tl.debug_barrier()  # the chunk before has been read
        for k in range(0, num_blocks):
            tl.store(own_1 + k * STATE, h_1)
            if k + 1 < num_blocks:
                ahead = ()
                for j in tl.static_range(BLOCK):
                    token = origin + sign * (start + k * BLOCK + j)
                    u_x = read_token(u_row, token, u, d_1, live_1)
                    delta_x = read_token(delta_row, token, delta, d_1, live_1)
                    B_x = read_token(B_row, token, B, n, n < N)
                    ahead = ahead + ((u_x, delta_x, B_x),)
                zero = all_read(segments)
                for j in tl.static_range(BLOCK):
                    u_x, delta_x, B_x = ahead[j]
                    raw, delta_t = delta_of(delta_x, bias_1 + zero, SOFTPLUS)
                    drive = (delta_t * u_x.to(tl.float32))[None, :]
                    a = tl.exp2(delta_t[None, :] * rates_1)
                    h_1 = a * h_1 + drive * B_x.to(tl.float32)[:, None]
        tl.debug_barrier()  # the states are written
        for block_back in range(0, num_blocks):
            k = num_blocks - 1 - block_back
            first = start + k * BLOCK
            count = stop - first  # of tokens, where fewer than BLOCK are left
            token = origin + sign * first
            inside = (tokens < count)[:, None]
            u_x = _read_block(u_row, u, token, sign, count, d, live, BLOCK)
            delta_x = _read_block(delta_row, delta, token, sign, count, d, live, BLOCK)
            dy_x = _read_block(dy_row, dy, token, sign, count, d, live, BLOCK)
            if z is not None:
                z_x = _read_block(z_row, z, token, sign, count, d, live, BLOCK)
            h = tl.load(own_3 + k * STATE)
            ahead = ()
            for j in tl.static_range(BLOCK):
                one = origin + sign * tl.minimum(first + j, stop - 1)
                B_x = tl.load(B_row + one * B.token + i_n, mask=i_n < N, other=0.0)
                C_x = tl.load(C_row + one * C.token + i_n, mask=i_n < N, other=0.0)
                ahead = ahead + ((B_x, C_x),)
            zero = all_read(segments)
            # by channel alone, a block at a time; past the end nothing happens
            u_t, dy_t = u_x.to(tl.float32), dy_x.to(tl.float32)
            if z is not None:
                z_t = z_x.to(tl.float32)
                dy_t *= z_t * sigmoid(z_t)
            raw, delta_t = delta_of(delta_x, bias + zero, SOFTPLUS)
            delta_t = tl.where(inside, delta_t, 0.0)
            dy_t = tl.where(inside, dy_t, 0.0)
            tl.store(vectors, delta_t)
            tl.store(vectors + BLOCK * BLOCK_D, delta_t * u_t)
            tl.store(vectors + 2 * BLOCK * BLOCK_D, dy_t)
            tl.debug_barrier()  # they are written
            known = ()
            for j in tl.static_range(BLOCK):
                delta_j = tl.load(vector + j * BLOCK_D)[:, None, :]
                drive = tl.load(vector + (BLOCK + j) * BLOCK_D)[:, None, :]
                a = tl.exp2(delta_j * rates)
                passed = a * h
                h = passed + drive * ahead[j][0].to(tl.float32)[:, :, None]
                known = known + ((a, passed),)
            # sums stay in the lanes where they are wanted, instead of one store a token
            of_states = tl.zeros([LANES, EACH, 2 * BLOCK], tl.float32)
            g_B = tl.zeros([BLOCK, BLOCK_D], tl.float32)
            ddelta_t = tl.zeros([BLOCK, BLOCK_D], tl.float32)
            for r in tl.static_range(BLOCK):
                a, passed = known[BLOCK - 1 - r]
                at_vector = vector + (BLOCK - 1 - r) * BLOCK_D
                delta_j = tl.load(at_vector)[:, None, :]
                drive = tl.load(at_vector + BLOCK * BLOCK_D)[:, None, :]
                dy_j = tl.load(at_vector + 2 * BLOCK * BLOCK_D)[:, None, :]
                B_t = ahead[BLOCK - 1 - r][0].to(tl.float32)[:, :, None]
                C_t = ahead[BLOCK - 1 - r][1].to(tl.float32)[:, :, None]
                g = carry + C_t * dy_j
                # lanes without a channel have h = g = 0
                dC_t = tl.sum((passed + drive * B_t) * dy_j, axis=2)[:, :, None]
                dB_t = tl.sum(g * drive, axis=2)[:, :, None]
                of_states = tl.where(slot == BLOCK - 1 - r, dB_t, of_states)
                of_states = tl.where(slot == 2 * BLOCK - 1 - r, dC_t, of_states)
                exponent = g * passed  # gradient of delta_t A
                sum_A += exponent * delta_j
                here = (tokens == BLOCK - 1 - r)[:, None]
                by_B = tl.sum(tl.sum(g * B_t, axis=1), axis=0)
                g_B = tl.where(here, by_B[None, :], g_B)
                by_A = tl.sum(tl.sum(exponent * rates, axis=1), axis=0)
                ddelta_t = tl.where(here, by_A[None, :], ddelta_t)
                carry = g * a
            tl.debug_barrier()  # the vectors have been read
            of_token = slot % BLOCK
            at_states = block_tokens + (slot // BLOCK) * all_blocks
            at_states += (token + sign * of_token) * N + i_n[:, :, None]
            there_n = (i_n < N)[:, :, None] & (of_token < count)
            tl.store(dBC + at_states, of_states, mask=there_n)
            ddelta_t = g_B * u_t + ddelta_t * LN_2
            du_t = g_B * delta_t
            if D is not None:
                du_t += skip[None, :] * dy_t
                sum_D += dy_t * u_t
            if SOFTPLUS:
                ddelta_t *= sigmoid(raw)
            ddelta_t = tl.where(inside, ddelta_t, 0.0)
            sum_bias += ddelta_t
            there = inside & live[None, :]
            at_block = (token + sign * tokens)[:, None] * sizes.channels + d[None, :]
            tl.store(du + row_tokens + at_block, du_t, mask=there)
            tl.store(ddelta + row_tokens + at_block, ddelta_t, mask=there)
    to = row.to(tl.int64) * sizes.num_segments + tl.program_id(1)
    to = sums + to * (N + 2) * sizes.channels
    at_rate = i_n[:, :, None] * sizes.channels + d[None, None, :]
    tl.store(to + at_rate, sum_A, mask=mask)
    if D is not None:
        tl.store(to + N * sizes.channels + d, tl.sum(sum_D, axis=0), mask=live)
    if delta_bias is not None:
        at_bias = (N + 1) * sizes.channels + d
        tl.store(to + at_bias, tl.sum(sum_bias, axis=0), mask=live)
    if outer is not None:
        tl.store(outer + at_segment, carry, mask=mask)


@triton.jit
def gate_gradient(dy, z, ungated, dz, count, length, channels, BLOCK: tl.constexpr):
    """Gradient of the gate, dz = dy ungated silu'(z); all (b, l, d)."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    ok = at < count
    z_t = read_flat(z, at, ok, length, channels)
    gate = sigmoid(z_t)
    total = tl.load(ungated + at, mask=ok, other=0.0).to(tl.float32)
    total *= read_flat(dy, at, ok, length, channels) * gate * (1.0 + z_t * (1.0 - gate))
    tl.store(dz + at, total, mask=ok)
