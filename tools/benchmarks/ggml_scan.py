"""ggml's ``ssm_scan``, the operator of llama.cpp, on PyTorch's tensors by ctypes.

    pip install --no-deps pywhispercpp        # its wheel holds ggml's libraries

``MMFUSION_GGML`` names the folder of another build, of llama.cpp say. Forward only:
ggml has no backward of it.
"""

import ctypes
import importlib.util
import os
from collections.abc import Mapping
from ctypes import c_bool, c_char_p, c_int, c_int64, c_size_t, c_void_p
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

_F32, _I32 = 0, 26  # enum ggml_type
_ISAS = ("avx512", "avx2", "avx", "sve", "neon")  # best first


class _Init(ctypes.Structure):
    """ggml_init_params."""

    _fields_ = (("mem_size", c_size_t), ("buffer", c_void_p), ("no_alloc", c_bool))


_P, _SIZES = c_void_p, [c_int64] * 4
# ggml_<name>: result, arguments. Since 0.19 ssm_scan has one argument more at its end,
# how many states to keep; an older one does not look at it.
_FUNCTIONS: Mapping[str, tuple[Any, list[Any]]] = {
    "version": (c_char_p, []),  # since 0.9, so ssm_scan has `ids` where it is there
    "init": (_P, [_Init]),
    "free": (None, [_P]),
    "tensor_overhead": (c_size_t, []),
    "graph_overhead": (c_size_t, []),
    "new_tensor_4d": (_P, [_P, c_int, *_SIZES]),
    "reshape_4d": (_P, [_P, _P, *_SIZES]),
    "view_3d": (_P, [_P, _P, *_SIZES[:3], *[c_size_t] * 3]),
    "add": (_P, [_P] * 3),
    "mul": (_P, [_P] * 3),
    "swiglu_split": (_P, [_P] * 3),
    "ssm_scan": (_P, [*[_P] * 8, c_int64]),
    "new_graph": (_P, [_P]),
    "build_forward_expand": (None, [_P, _P]),
    "backend_cpu_buffer_type": (_P, []),
    "backend_cpu_buffer_from_ptr": (_P, [_P, c_size_t]),
    "backend_buffer_free": (None, [_P]),
    "backend_tensor_alloc": (c_int, [_P] * 3),
    "gallocr_new": (_P, [_P]),
    "gallocr_alloc_graph": (c_bool, [_P, _P]),
    "backend_graph_compute": (c_int, [_P, _P]),
    "backend_cpu_init": (_P, []),
    "backend_cpu_set_n_threads": (None, [_P, c_int]),
    **{f"cpu_has_{isa}": (c_int, []) for isa in _ISAS},
}


def missing() -> str | None:
    """Reason why it cannot run here; None where it can."""
    try:
        load()
    except OSError as error:
        return str(error)
    return None


@cache
def load() -> SimpleNamespace:
    """ggml's functions without their prefix; a backend and an allocator, both kept.

    Raises:
        OSError: there are no libraries, or none that load here.
    """
    folder = os.environ.get("MMFUSION_GGML")
    if folder is None:
        package = importlib.util.find_spec("pywhispercpp")
        if package is None or package.origin is None:
            raise OSError("`pip install --no-deps pywhispercpp`")
        folder = str(Path(package.origin).parents[1] / "pywhispercpp.libs")
    ggml = _open(Path(folder))
    ggml.backend = ggml.backend_cpu_init()
    ggml.allocator = ggml.gallocr_new(ggml.backend_cpu_buffer_type())
    return ggml


def _open(folder: Path) -> SimpleNamespace:
    paths = [sorted(folder.glob(f"libggml-{x}[-.]*")) for x in ("base", "cpu")]
    if not all(paths):
        raise OSError(f"{folder} has no libggml-base and libggml-cpu")
    libraries = [ctypes.CDLL(str(found[0])) for found in paths]
    functions = SimpleNamespace()
    for name, (result, arguments) in _FUNCTIONS.items():
        library = next((x for x in libraries if hasattr(x, f"ggml_{name}")), None)
        if library is None:
            raise OSError(f"{folder}: its ggml has no ggml_{name}")
        function = getattr(library, f"ggml_{name}")
        function.restype, function.argtypes = result, arguments
        setattr(functions, name, function)
    return functions


def instruction_set() -> str:
    """Instruction set that the library was built for, ``avx2`` say."""
    ggml = load()
    return next((x for x in _ISAS if getattr(ggml, f"cpu_has_{x}")()), "scalar")


def version() -> str:
    return load().version().decode()


def scan(x: Mapping[str, Tensor]) -> Tensor:
    """y = silu(z) (scan(u) + D u), all of it by ggml, in PyTorch's number of threads.

    ``ssm_scan`` has softplus inside; delta's bias, D and the gate are ggml's operators
    around it, those that llama.cpp puts there for Mamba-1. No input is copied.

    Args:
        x: float32, contiguous. u, delta, z (b, l, d); B, C (b, l, n); A (d, n);
            D, delta_bias (d,).

    Returns:
        (b, l, d).
    """
    y = torch.empty_like(x["u"])
    with _Graph() as graph:
        graph.compute(_scan(graph, x), y)
    return y


def _scan(graph: "_Graph", x: Mapping[str, Tensor]) -> int:
    """ggml's tensor of y; ggml says sizes from the last axis to the first."""
    ggml, context = graph.ggml, graph.context
    (batch, length, d), n = x["u"].shape, x["A"].shape[1]
    u = graph.tensor(x["u"], d, length, batch)
    bias = graph.tensor(x["delta_bias"], d)
    scanned = ggml.ssm_scan(
        context,
        graph.tensor(torch.zeros(batch, d, n), n, 1, d, batch),
        ggml.reshape_4d(context, u, 1, d, length, batch),  # each channel is a head
        ggml.add(context, graph.tensor(x["delta"], d, length, batch), bias),
        graph.tensor(x["A"], n, d),
        graph.tensor(x["B"], n, 1, length, batch),
        graph.tensor(x["C"], n, 1, length, batch),
        graph.tensor(torch.arange(batch, dtype=torch.int32), batch),
        1,
    )  # y, and the last state behind it
    strides = (4 * d, 4 * d * length)
    scanned = ggml.view_3d(context, scanned, d, length, batch, *strides, 0)
    skip = ggml.mul(context, u, graph.tensor(x["D"], d))
    z = graph.tensor(x["z"], d, length, batch)
    return ggml.swiglu_split(context, z, ggml.add(context, scanned, skip))


class _Graph:
    """A call's operators: their inputs and output lie in PyTorch's memory."""

    def __init__(self) -> None:
        self.ggml = load()
        size = 32 * self.ggml.tensor_overhead() + self.ggml.graph_overhead()
        self.context = self.ggml.init(_Init(size, None, True))
        self._placed: list[tuple[Tensor, int]] = []  # keeps the memory of both

    def __enter__(self) -> "_Graph":
        return self

    def __exit__(self, *_: object) -> None:
        for _data, buffer in self._placed:
            self.ggml.backend_buffer_free(buffer)
        self.ggml.free(self.context)

    def tensor(self, data: Tensor, *sizes: int) -> int:
        kind = _I32 if data.dtype == torch.int32 else _F32
        sizes += (1,) * (4 - len(sizes))
        made = self.ggml.new_tensor_4d(self.context, kind, *sizes)
        self._place(made, data)
        return made

    def compute(self, result: int, into: Tensor) -> None:
        ggml = self.ggml
        self._place(result, into)
        graph = ggml.new_graph(self.context)
        ggml.build_forward_expand(graph, result)
        ggml.backend_cpu_set_n_threads(ggml.backend, torch.get_num_threads())
        if not ggml.gallocr_alloc_graph(ggml.allocator, graph):
            raise MemoryError("ggml finds no memory for the scan")
        status = ggml.backend_graph_compute(ggml.backend, graph)
        if status:
            raise RuntimeError(f"ggml could not compute the scan: status {status}")

    def _place(self, tensor: int, data: Tensor) -> None:
        address = data.data_ptr()
        buffer = self.ggml.backend_cpu_buffer_from_ptr(address, data.nbytes)
        self.ggml.backend_tensor_alloc(buffer, tensor, address)
        self._placed.append((data, buffer))
