"""Plan of a call's programs: tuning constants, segments, chunks.

The cuts depend on shapes only, never on the GPU, so results do not either.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor


@dataclass(frozen=True)
class Tuning:
    """Everything that is tuned on a GPU; ops/README.md has plans timed on an H100.

    Attributes:
        channels: channels of a scan program; 32 x 16 states make 16 elements a lane.
            Triton lays them as 4 x 4 where d is a multiple of 16, else 1 channel x 16
            states: sums over states and over channels share the shuffles.
        states_per_warp: states that one warp keeps; at 16 the backward just fills the
            255 registers of a thread. More states take more warps.
        chunk: tokens between two states that the forward saves; 64 costs n / 64 of u.
        block: tokens whose states the backward keeps in registers at a time, between
            scratch states; at 4 a thread holds 4 x 16 states and as many decays, which
            is what its registers allow (sm_90: 4 words spill by the assembler
            of an earlier Triton, 269 by that of 3.8).
        ahead: tokens that a loop reads before it computes the first of them, so that a
            trip to memory is waited for once; it divides chunk.
        forward_ahead: the same of the kernel that writes y: with 4 it needs more than
            its registers (Triton 3.8: 340 bytes a thread spill on sm_90).
        forward_registers, backward_registers: most that a thread of these kernels may
            have; 0 leaves it to the assembler. Fewer let more programs run at once: 16
            on an SM of an H100 with 128.
        programs: how many warps fill the GPU: 132 SMs x 4 schedulers x 4 warps of an
            H100. Time is cut into as many segments as fit, none into a second wave.
        enough: with so many programs time is not cut: what is not computed twice
            outweighs that fewer warps hide each other's waiting. One a scheduler.
        conv_tokens, conv_channels, conv_warps: tile of a convolution program; 64
            channels make a row of a tile one line of 128 bytes in bfloat16.
        merge_elements, merge_warps: elements of a program of the final sum.
    """

    channels: int = 32
    states_per_warp: int = 16
    chunk: int = 64
    block: int = 4
    ahead: int = 4
    forward_ahead: int = 2
    forward_registers: int = 128
    backward_registers: int = 0
    programs: int = 2112
    enough: int = 528
    conv_tokens: int = 32
    conv_channels: int = 64
    conv_warps: int = 1
    merge_elements: int = 1024
    merge_warps: int = 4


TUNING = Tuning()


@dataclass(frozen=True)
class Plan:
    """Places of sequences and their segments. Offsets count in the scan's own order.

    Attributes:
        segments: rows (first token, last token of the sequence, begin, end, sequence,
            first chunk). A segment covers the offsets begin..end of its sequence, and
            offset i is token first + i, or last - i in reverse.
        sequences: rows (first segment, end of segments) for each sequence.
        num_chunks: chunks of all segments; each segment starts a new chunk.
        chunk: tokens of a chunk.
    """

    segments: tuple[tuple[int, ...], ...]
    sequences: tuple[tuple[int, int], ...]
    num_chunks: int
    chunk: int

    @property
    def is_split(self) -> bool:
        """True if any sequence has more than one segment."""
        return len(self.segments) > len(self.sequences)


@lru_cache(maxsize=256)
def make_plan(lengths: tuple[int, ...], segment: int, chunk: int) -> Plan:
    """Cut sequences into segments of at most ``segment`` tokens."""
    segments: list[tuple[int, ...]] = []
    sequences, num_chunks, first = [], 0, 0
    for index, length in enumerate(lengths):
        before = len(segments)
        for begin in range(0, length, segment):
            end = min(begin + segment, length)
            row = (first, first + length - 1, begin, end, index, num_chunks)
            segments.append(row)
            num_chunks += ceil_div(end - begin, chunk)
        sequences.append((before, len(segments)))
        first += length
    return Plan(tuple(segments), tuple(sequences), num_chunks, chunk)


def plan_scan(
    lengths: tuple[int, ...], num_rows: int, num_blocks: int, tuning: Tuning
) -> Plan:
    """Segments for a scan of ``num_rows`` (directions x batch) x ``num_blocks``.

    Segments are equally long as far as they can be, so that none is waited for: chunks
    become shorter for it.
    """
    programs = num_rows * num_blocks * len(lengths)
    wanted = 1 if programs >= tuning.enough else max(1, tuning.programs // programs)
    segment = ceil_div(max(lengths), wanted)
    segment = max(segment, tuning.chunk)
    chunks = ceil_div(segment, tuning.chunk)
    step = max(tuning.block, tuning.ahead)
    chunk = ceil_div(segment, chunks * step) * step
    return make_plan(lengths, chunks * chunk, chunk)


@lru_cache(maxsize=256)
def table(rows: tuple[tuple[int, ...], ...], device: torch.device) -> Tensor:
    """Rows of a plan as an int32 tensor for the kernels."""
    return torch.tensor(rows, dtype=torch.int32, device=device)


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)
