"""Counting the operations of a forward pass, in all and by module.

An addition and a multiplication are two operations (FLOPs); a multiply-add is the pair,
and what most papers call a FLOP. Counted are matrix products, convolutions, attention
and the scans; norms, activations, gates and sums are not. Nothing is computed and
nothing allocated: modules and inputs have no content (PyTorch's meta device).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import mmfusion.ops.torch_scan  # noqa: F401  registers the operator that is counted
from mmfusion.models.layers import MambaMixer
from mmfusion.ops import scan_backend

Counts = dict[str, float]


def scan_flops(
    u_shape: Sequence[int],
    delta_shape: Sequence[int],
    A_shape: Sequence[int],
    *_: Any,
    out_shape: Any = None,
) -> int:
    """Of one scan: seven operations a state, three a channel.

    delta A and its exponential, (delta u) B, the state's product and sum, and C's; and
    delta u, the skip's product and sum.
    """
    tokens = torch.Size(u_shape).numel()  # groups, batch, length, channels
    return tokens * (7 * A_shape[-1] + 3)


def count_flops(module: nn.Module, call: Callable[[], tuple[Any, ...]]) -> Counts:
    """FLOPs of one forward pass by module name; ``""`` is the whole.

    Args:
        module: on the meta device; it is not to be trained afterwards. call: makes its
            arguments, of tensors without content.
    """
    module.requires_grad_(False)  # torch's counter fails on a parameter given back
    mapping = {torch.ops.mmfusion.chunked_scan: scan_flops}
    counts = dict.fromkeys((name for name, _ in module.named_modules()), 0.0)
    with (
        torch.device("meta"),
        torch.no_grad(),
        sdpa_kernel(SDPBackend.MATH),
        scan_backend("torch"),
        FlopCounterMode(display=False, custom_mapping=mapping) as counter,
    ):
        hooks = []
        for name, part in module.named_modules():
            before, after = _watch(name, counter, counts)
            hooks.append(part.register_forward_pre_hook(before))
            hooks.append(part.register_forward_hook(after))
        try:
            module(*call())
        finally:
            for hook in hooks:
                hook.remove()
    return counts


def _watch(
    name: str, counter: FlopCounterMode, counts: Counts
) -> tuple[Callable[..., None], Callable[..., None]]:
    """Hooks that add what is counted between a module's beginning and its end."""
    begun: list[int] = []

    def before(*_: Any) -> None:
        begun.append(counter.get_total_flops())

    def after(*_: Any) -> None:
        counts[name] += counter.get_total_flops() - begun.pop()

    return before, after


def published_flops(module: nn.Module, counts: Counts) -> float:
    """The whole as VideoMamba's authors count it: of a mixer, its in_proj and out_proj.

    Their counter does not see into the fused kernel of convolution, x_proj, dt_proj and
    scan.
    """
    total = counts[""]
    for name, part in module.named_modules():
        if isinstance(part, MambaMixer):
            prefix = f"{name}." if name else ""
            seen = counts[f"{prefix}in_proj"] + counts[f"{prefix}out_proj"]
            total -= counts[name] - seen
    return total


def num_parameters(module: nn.Module) -> int:
    """Numbers in all parameters."""
    return sum(p.numel() for p in module.parameters())
