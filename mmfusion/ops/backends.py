"""Scan backends: the contract, the list of them, and the choice for a call.

A backend is one file with an object ``BACKEND`` of a subclass of :class:`Backend`. A
backend asked for by name is used or raises; only ``auto`` may
choose, and it logs what it passes over. The name comes from the argument, else from
:func:`scan_backend`, else from ``MMFUSION_SCAN_BACKEND``.

Shapes: b batch, l tokens, d channels, n state.
"""

import importlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from mmengine.logging import print_log
from torch import Tensor

from mmfusion.utils.errors import InputError

ENVIRONMENT = "MMFUSION_SCAN_BACKEND"

# name -> the module that has BACKEND; it is imported when first asked for
_MODULES = {
    "cpu": "mmfusion.ops.cpu.backend",
    "triton": "mmfusion.ops.triton.backend",
    "mamba_ssm": "mmfusion.ops.mamba_ssm_backend",
    "torch": "mmfusion.ops.torch_scan",
    "reference": "mmfusion.ops.reference",
}
# what auto tries on a device, fastest first as measured; elsewhere only torch
_ORDER = {"cuda": ("triton", "mamba_ssm", "torch"), "cpu": ("cpu", "torch")}

_loaded: dict[str, "Backend"] = {}
_reasons: dict[str, str | None] = {}
_logged: set[str] = set()
_override: ContextVar[str | None] = ContextVar("scan_backend", default=None)


class ScanInputs(NamedTuple):
    """Inputs of one direction of a scan.

    Attributes:
        u: (b, l, d). delta: (b, l, d). A: (d, n). B: (b, l, n). C: (b, l, n).
        D: (d,), the skip. delta_bias: (d,).
    """

    u: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor | None = None
    delta_bias: Tensor | None = None


@dataclass(frozen=True)
class ScanCall:
    """One call as a backend gets it, with every shape, dtype and device checked.

    A, D, delta_bias and initial_state are float32; u, delta, B, C and z are each
    float32, bfloat16 or float16. Or all of them are float64. Any may be a strided view.

    Attributes:
        directions: one, or two over the same tokens whose outputs are summed.
        reverse: for each direction, whether it reads from the last token to the first.
        z: (b, l, d), the gate, applied once to the sum: y silu(z).
        delta_softplus: whether delta with its bias passes through softplus.
        initial_state: (b, d, n); only with one direction.
        return_last_state: whether the state after the last token scanned is wanted.
    """

    directions: tuple[ScanInputs, ...]
    reverse: tuple[bool, ...]
    z: Tensor | None = None
    delta_softplus: bool = False
    initial_state: Tensor | None = None
    return_last_state: bool = False


class InnerParameters(NamedTuple):
    """Parameters of one direction of a Mamba layer, under their published names.

    Attributes:
        conv_weight: (e, w). conv_bias: (e,) or None.
        x_proj: (r + 2n, e), gives delta's input, B and C. dt_proj: (e, r).
        dt_bias: (e,). A_log: (e, n), log(-A). D: (e,), the skip.
    """

    conv_weight: Tensor
    conv_bias: Tensor | None
    x_proj: Tensor
    dt_proj: Tensor
    dt_bias: Tensor
    A_log: Tensor
    D: Tensor


@dataclass(frozen=True)
class InnerCall:
    """A Mamba layer between its two projections, with every shape checked.

    Of d_inner channels e, states n, rank r of delta and a filter of w taps. xz and
    x_proj have one dtype; the others are float32, or all are float64.

    Attributes:
        xz: (b, l, 2e), the tokens and their gate; (b, l, e) without a gate.
        directions: one, from first to last token, or two, the second from last to
            first, whose outputs are summed.
        gated: whether xz holds a gate.
    """

    xz: Tensor
    directions: tuple[InnerParameters, ...]
    gated: bool


@dataclass(frozen=True)
class ConvCall:
    """A causal convolution, with every shape checked.

    Attributes:
        x: (b, l, d). weight: (d, w). bias: (d,) or None.
        silu: whether SiLU follows. reverse: whether tokens look at the future.
    """

    x: Tensor
    weight: Tensor
    bias: Tensor | None
    silu: bool
    reverse: bool


@dataclass(frozen=True)
class NormCall:
    """A sum and its RMS norm, with every shape checked.

    Attributes:
        x: (..., d). residual: (..., d), in at least float32. weight: (d,). eps: > 0.
    """

    x: Tensor
    residual: Tensor
    weight: Tensor
    eps: float


Call = ScanCall | InnerCall | ConvCall | NormCall


class Backend:
    """One implementation of the scans, and of what else it has kernels for.

    A subclass has a ``name`` and ``scan``; each further kernel is a method here, and
    ``refuses`` lets its calls pass. A call that is refused goes to the next backend,
    and in the end to PyTorch's own operators.
    """

    name: str

    def missing(self) -> str | None:
        """Reason that it cannot run here, and the command that mends it; None: it can.

        It is asked once in a process.
        """
        return None

    def refuses(self, call: Call) -> str | None:
        """Reason that it does not serve this very call; None: it serves."""
        return None if isinstance(call, ScanCall) else "it has kernels for scans alone"

    def scan(self, call: ScanCall) -> tuple[Tensor, Tensor | None]:
        """Scan; differentiable in every tensor of the call.

        Returns:
            y (b, l, d) in the dtype of u; the last state, (b, d, n) in float32 (float64
            for a float64 call), or None where it was not asked for.
        """
        raise NotImplementedError

    def conv(self, call: ConvCall) -> Tensor:
        """Convolve: (b, l, d) in the dtype of x."""
        raise NotImplementedError

    def inner(self, call: InnerCall) -> Tensor:
        """Convolve, project and scan as one: (b, l, e) in the dtype of xz."""
        raise NotImplementedError

    def add_norm(self, call: NormCall) -> tuple[Tensor, Tensor]:
        """Sum and norm: the norm (..., d) in the dtype of x, the sum in float32."""
        raise NotImplementedError


def constant_for_compiler(function: Callable) -> Callable:
    """Mark as ``torch.compiler.assume_constant_result`` does: called while compiling.

    PyTorch's own sets the same attribute after importing its compiler, which takes as
    long as all of our models.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def backend_names() -> tuple[str, ...]:
    """Every name that ``backend=`` knows, available here or not."""
    return tuple(_MODULES)


def order(device_type: str) -> tuple[str, ...]:
    """Names that ``auto`` tries for tensors on such a device, in this order."""
    return _ORDER.get(device_type, ("torch",))


def available_backends() -> tuple[str, ...]:
    """Names of the backends that run on this machine, the fast ones first."""
    return tuple(name for name in _MODULES if missing_reason(name) is None)


@constant_for_compiler
def missing_reason(name: str) -> str | None:
    """Reason that a backend cannot run here and what mends it; None: it can."""
    if name not in _reasons:
        module = importlib.import_module(_MODULES[name])
        _loaded[name] = cast(Backend, module.BACKEND)
        _reasons[name] = _loaded[name].missing()
    return _reasons[name]


def get_backend(name: str) -> Backend:
    """The backend of that name.

    Raises:
        ValueError: the name is unknown, or the backend cannot run on this machine.
    """
    if name not in _MODULES:
        raise InputError(
            f"scan backend {name!r} is unknown; expected 'auto' or one of"
            f" {', '.join(_MODULES)} (argument, scan_backend() or {ENVIRONMENT})"
        )
    reason = missing_reason(name)
    if reason is not None:
        raise InputError(f"scan backend {name!r} is not available here: {reason}")
    return _loaded[name]


def resolve(call: ScanCall, name: str = "auto") -> Backend:
    """The backend that serves a call: the named one, or the first that auto finds.

    Raises:
        ValueError: the named backend is unknown, not available or refuses the call.
    """
    passed: list[str] = []
    for backend in candidates(name, call.directions[0].u.device):
        reason = backend.refuses(call)
        if reason is None:
            if passed:
                _log_once(f"scan backend {backend.name!r} is used: {'; '.join(passed)}")
            return backend
        passed.append(f"{backend.name!r} cannot serve this call: {reason}")
    raise InputError(f"scan backend {'; '.join(passed)}")


def own_kernel(
    call: ConvCall | InnerCall | NormCall, device: torch.device, name: str
) -> Backend | None:
    """First backend with a kernel for a call; None: PyTorch's operators serve it.

    Raises:
        ValueError: the named backend is unknown or not available.
    """
    for backend in candidates(name, device):
        if backend.refuses(call) is None:
            return backend
    return None


def candidates(name: str, device: torch.device) -> Sequence[Backend]:
    """Backends that may serve on a device, fastest first; a named one comes alone."""
    name = _requested(name)
    if name != "auto":
        return [get_backend(name)]
    if torch.compiler.is_exporting():  # the others are not made of PyTorch's own ops
        return [get_backend("torch")]
    # all are loaded before the table is read: torch.compile reads it once
    reasons = [
        (candidate, missing_reason(candidate)) for candidate in order(device.type)
    ]
    found = []
    for candidate, reason in reasons:
        if reason is None:
            found.append(_loaded[candidate])
        elif not found:
            _log_once(f"scan backend {candidate!r} is not available: {reason}")
    return found


@contextmanager
def scan_backend(name: str) -> Iterator[None]:
    """Use one backend for every scan inside the block that does not name its own.

    Raises:
        ValueError: the name is unknown, or the backend cannot run on this machine.
    """
    if name != "auto":
        get_backend(name)
    with _overridden(name):
        yield


@contextmanager
def _overridden(name: str | None) -> Iterator[None]:
    """None: as outside of every block, so that the environment variable decides."""
    token = _override.set(name)
    try:
        yield
    finally:
        _override.reset(token)


def same_scan_backend() -> tuple[AbstractContextManager, AbstractContextManager]:
    """Contexts for a forward and for its recomputation in the backward.

    The second one has the backend of now, which the block around the forward, left by
    then, may have set; it is ``context_fn`` of torch.utils.checkpoint.
    """
    return nullcontext(), _overridden(_override.get())


@constant_for_compiler
def _requested(name: str) -> str:
    if name != "auto":
        return name
    return _override.get() or os.environ.get(ENVIRONMENT) or "auto"


@constant_for_compiler
def _log_once(message: str) -> None:
    if message not in _logged:
        _logged.add(message)
        print_log(message, logger="current", level=logging.WARNING)
