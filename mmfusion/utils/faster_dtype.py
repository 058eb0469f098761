"""Choice between fp32 and bf16 autocast by what the machine at hand is fast at."""

import functools
import time
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from mmfusion.utils.commands import AMP
from mmfusion.utils.errors import check_choice

_TOKENS, _WIDTH = 256, 384  # of the product that is timed: a projection's, but short
_ROUNDS = 3
_GAIN = 1.2  # bf16 must be so many times faster to be worth its digits


@dataclass(frozen=True)
class FasterDtype:
    """The dtype that autocast should use on a device, and why.

    Attributes:
        bfloat16: True for bf16 autocast, False for none, which is fp32.
        reason: a clause, for a log.
    """

    bfloat16: bool
    reason: str

    @property
    def name(self) -> str:
        """``'bfloat16'`` or ``'float32'``."""
        return "bfloat16" if self.bfloat16 else "float32"


@functools.cache
def faster_dtype(kind: str) -> FasterDtype:
    """The faster of fp32 and bf16 on the devices of a kind, asked once a process.

    A GPU is asked for its instructions, a CPU is timed: without some for bf16
    (AVX2, AVX-512 alone) its products take many times longer than in fp32. It takes a
    tenth of a second, and no random number.

    Args:
        kind: ``'cpu'``, ``'cuda'``; any other one is taken to have fp32 alone.
    """
    if kind == "cuda":
        has = torch.cuda.is_bf16_supported(including_emulation=False)
        return FasterDtype(has, f"this GPU has {'' if has else 'no '}bf16 instructions")
    if kind != "cpu":
        return FasterDtype(False, f"bf16 is not measured on {kind}")
    slow, fast = _seconds(torch.float32), _seconds(torch.bfloat16)
    much = f"{slow / fast:.2g} times as fast as"
    if fast > slow:
        much = f"slower, by {fast / slow:.2g} times, than"
    reason = f"bf16 products are {much} fp32's on this CPU"
    return FasterDtype(slow > _GAIN * fast, reason)


def autocast_wanted(amp: str, device: torch.device | str) -> FasterDtype:
    """Decide whether to run under bf16 autocast.

    Args:
        amp: ``'off'``, ``'auto'`` (where bf16 is faster) or ``'force'``.
        device: where the model is.

    Raises:
        InputError: ``amp`` is none of these.
    """
    check_choice("amp", amp, AMP)
    if amp == "auto":
        return faster_dtype(torch.device(device).type)
    return FasterDtype(amp == "force", f"amp is {amp!r}")


def _seconds(dtype: torch.dtype) -> float:
    """The least time of a product in some rounds, after one that warms up."""
    x = torch.ones(_TOKENS, _WIDTH, dtype=dtype)
    weight = torch.ones(_WIDTH, _WIDTH, dtype=dtype)
    found = []
    with torch.inference_mode():
        for _ in range(1 + _ROUNDS):
            start = time.perf_counter()
            F.linear(x, weight)
            found.append(time.perf_counter() - start)
    return min(found[1:])
