"""Which implementation of the scan serves a call.

A backend asked for by name is used or raises; only ``auto`` may choose. The name comes
from the argument, else from :func:`scan_backend`, else from ``MMFUSION_SCAN_BACKEND``.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from mmfusion.ops.reference import selective_scan_reference
from mmfusion.ops.torch_scan import chunked_scan

ENVIRONMENT = "MMFUSION_SCAN_BACKEND"
# (s, b, l, d) x2, (s, d, n), (s, b, l, n) x2, (s, b, d, n) -> y, last state
ScanFunction = Callable[..., tuple[Tensor, Tensor]]

_override: ContextVar[str | None] = ContextVar("scan_backend", default=None)


def _reference(
    u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, initial_state: Tensor
) -> tuple[Tensor, Tensor]:
    """The reference, one scan after the other; shapes as :func:`chunked_scan`."""
    B, C = B.unsqueeze(3), C.unsqueeze(3)  # (s, b, l, 1, n): one group each
    scans = [
        selective_scan_reference(u[i], delta[i], A[i], B[i], C[i], initial_state[i])
        for i in range(len(u))
    ]
    outputs, states = zip(*scans, strict=True)
    return torch.stack(outputs), torch.stack(states)


_BACKENDS: dict[str, ScanFunction] = {"torch": chunked_scan, "reference": _reference}


def available_backends() -> tuple[str, ...]:
    """Names that ``backend=`` takes, the one that ``auto`` prefers first."""
    return tuple(_BACKENDS)


def resolve_backend(name: str = "auto") -> ScanFunction:
    """The function behind a backend's name.

    Raises:
        ValueError: the name is none of :func:`available_backends`.
    """
    if name == "auto":
        name = _override.get() or os.environ.get(ENVIRONMENT, "auto")
    if name == "auto":
        name = available_backends()[0]
    if name not in _BACKENDS:
        raise ValueError(
            f"scan backend {name!r} is unknown; expected 'auto' or one of"
            f" {', '.join(available_backends())} (argument, scan_backend() or"
            f" {ENVIRONMENT})"
        )
    return _BACKENDS[name]


@contextmanager
def scan_backend(name: str) -> Iterator[None]:
    """Use one backend for every scan inside the block that does not name its own."""
    if name != "auto":
        resolve_backend(name)
    token = _override.set(name)
    try:
        yield
    finally:
        _override.reset(token)
