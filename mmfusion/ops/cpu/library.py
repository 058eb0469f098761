"""The kernels' C interface, ``csrc/mmfusion_ops.h``, bound by ctypes."""

import ctypes
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, c_char_p, c_float, c_int, c_int32, c_int64, c_void_p

import torch
from mmengine.logging import print_log
from torch import Tensor

from mmfusion.ops.cpu.build import ISA_VARIABLE, BuildError, open_library
from mmfusion.utils.errors import BackendError

ABI = 7  # MMF_ABI
DTYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}
MAX_STATES = 256
MAX_WIDTH = 8  # of the convolution's filter


def _each(kind: type, names: str) -> list[tuple[str, type]]:
    """Fields of one type, as C declares several names at once."""
    return [(name, kind) for name in names.split()]


class TensorArgument(ctypes.Structure):
    """mmf_tensor: (b, l, d), or (b, l, n) for B and C; strides in elements."""

    _fields_ = [
        ("data", c_void_p),
        *_each(c_int64, "batch_stride time_stride"),
        *_each(c_int32, "dtype unused"),
    ]


class DirectionArguments(ctypes.Structure):
    """mmf_scan_direction."""

    _fields_ = [
        *_each(TensorArgument, "u delta B C"),
        *_each(c_void_p, "A D delta_bias initial_state last_state checkpoints"),
        ("reverse", c_int64),
        ("dt", TensorArgument),
        ("dt_weight", c_void_p),
        *_each(c_int64, "rank A_is_log"),
        *_each(TensorArgument, "grad_u grad_delta grad_B grad_C"),
        *_each(c_void_p, "grad_A grad_D grad_delta_bias"),
        *_each(c_void_p, "grad_last_state grad_initial_state"),
    ]


class ScanArguments(ctypes.Structure):
    """mmf_scan."""

    _fields_ = [
        *_each(c_int64, "b l d n delta_softplus num_threads num_directions"),
        ("direction", DirectionArguments * 2),
        *_each(TensorArgument, "z y grad_y grad_z"),
    ]


class ConvDirectionArguments(ctypes.Structure):
    """mmf_conv_direction."""

    _fields_ = [
        *_each(c_void_p, "weight bias"),
        ("reverse", c_int64),
        *_each(TensorArgument, "y grad_y"),
        *_each(c_void_p, "grad_weight grad_bias"),
    ]


class ConvArguments(ctypes.Structure):
    """mmf_conv."""

    _fields_ = [
        *_each(c_int64, "b l d w silu num_threads num_directions"),
        ("direction", ConvDirectionArguments * 2),
        *_each(TensorArgument, "x grad_x"),
    ]


class ProjectDirectionArguments(ctypes.Structure):
    """mmf_project_direction."""

    _fields_ = [
        *_each(c_void_p, "u x_proj projected dt_weight grad_delta grad_projected"),
        *_each(c_void_p, "grad_u grad_x_proj grad_dt_weight"),
    ]


class ProjectArguments(ctypes.Structure):
    """mmf_project."""

    _fields_ = [
        *_each(c_int64, "tokens d outputs rank num_threads num_directions"),
        ("direction", ProjectDirectionArguments * 2),
    ]


class NormArguments(ctypes.Structure):
    """mmf_norm."""

    _fields_ = [
        *_each(c_int64, "b l d"),
        ("eps", c_float),
        ("unused", c_int32),
        ("num_threads", c_int64),
        *_each(TensorArgument, "x y"),
        *_each(c_void_p, "residual weight sum scale"),
        ("grad_y", TensorArgument),
        *_each(c_void_p, "grad_sum grad_total grad_weight"),
    ]


_FUNCTIONS = {
    "mmf_scan_forward": ScanArguments,
    "mmf_scan_backward": ScanArguments,
    "mmf_conv_forward": ConvArguments,
    "mmf_conv_backward": ConvArguments,
    "mmf_project_forward": ProjectArguments,
    "mmf_project_backward": ProjectArguments,
    "mmf_norm_forward": NormArguments,
    "mmf_norm_backward": NormArguments,
}
_ERRORS = {
    1: "a size, dtype or combination is not served; this is a fault of mmfusion",
    2: "no memory for its scratch space",
}

_lock = threading.Lock()
_library: ctypes.CDLL | None = None
_forced: dict[str, ctypes.CDLL] = {}
_reason: str | None = None
_is_fork = False


def missing_reason() -> str | None:
    """Reason that the kernels cannot be used here and what mends it, or None.

    The first call loads the library, and builds it where there is none.
    """
    global _library, _reason
    with _lock:
        if _library is None and _reason is None:
            try:
                _library = _bound_library()
            except (BuildError, AttributeError) as error:  # or a function is missing
                _reason = str(error)
        return _reason


def call(function: str, arguments: ctypes.Structure) -> None:
    """Run a kernel by the name of its C function.

    Raises:
        RuntimeError: the library is missing, or the kernel gave an error code.
    """
    code = getattr(_get(), function)(ctypes.byref(arguments))
    if code:
        raise RuntimeError(f"{function} failed: {_ERRORS.get(code, f'code {code}')}")


def instruction_set() -> str:
    """Instruction set that the loaded kernels were compiled for, as ``avx2``."""
    return _get().mmf_isa().decode()


@contextmanager
def forced_instruction_set(isa: str) -> Iterator[None]:
    """Inside, the kernels of another instruction set run, in every thread.

    For comparisons in one process; otherwise ``MMFUSION_CPU_ISA`` chooses.

    Raises:
        BuildError: this CPU does not have it, or it cannot be built.
    """
    global _library
    before = _library
    if isa not in _forced:
        variable = os.environ.get(ISA_VARIABLE)
        os.environ[ISA_VARIABLE] = isa
        try:
            _forced[isa] = _bound_library()
        finally:
            del os.environ[ISA_VARIABLE]
            if variable is not None:
                os.environ[ISA_VARIABLE] = variable
    _library = _forced[isa]
    try:
        yield
    finally:
        _library = before


def _get() -> ctypes.CDLL:
    if _library is None:
        missing_reason()
    if _library is None:
        raise BackendError(f"the cpu backend is not available: {_reason}")
    return _library


def num_threads() -> int:
    """Number of threads of a kernel: PyTorch's, but one in a fork.

    The threads of an OpenMP pool do not come along into a fork, which would wait for
    them for ever.
    """
    return 1 if _is_fork else torch.get_num_threads()


def tensor_argument(x: Tensor | None) -> TensorArgument:
    """Describe (b, l, d) or (b, l, n) with last stride 1; None is absent."""
    if x is None:
        return TensorArgument()
    return TensorArgument(x.data_ptr(), *x.stride()[:2], DTYPES[x.dtype])


def pointer(x: Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()


def _bound_library() -> ctypes.CDLL:
    library = open_library(_say)
    library.mmf_abi.restype = c_int
    library.mmf_isa.restype = c_char_p
    if library.mmf_abi() != ABI:
        raise BuildError(
            f"the kernels have interface {library.mmf_abi()}, expected {ABI}; the C++"
            " and Python files of mmfusion are of different versions: install it again"
        )
    for name, structure in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = c_int, [POINTER(structure)]
    return library


def _say(message: str) -> None:
    print_log(f"cpu backend: {message}", logger="current", level=logging.INFO)


def _after_fork() -> None:
    global _is_fork, _lock
    _is_fork = True
    _lock = threading.Lock()  # another thread of the parent may have held it


os.register_at_fork(after_in_child=_after_fork)
